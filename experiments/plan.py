"""What the missing runs of a grid need of a node with GPUs, cell by cell and in all: `experiments.needs`,
added up. Notes beneath the answer name what it is made of.
"""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Sequence

import pandas as pd

from ds2.config.stages import method_of, stages_of
from ds2.report.table_text import Table
from ds2.runs.expected import ExpectedRun, State
from experiments import needs
from experiments.grid import Grid
from experiments.needs import Need, Shared, need_of, shared_by
from experiments.result import Result

REFERENCE_PER_SECOND = 12_473.0
"""Tokens a second of LoRA on 8 B parameters, one H100, as NeMo AutoModel reports."""
DOLLARS_AN_HOUR = 2.5
"""An assumption: what an H100 costs for an hour."""


def plan(grid: Grid) -> Result:
    """GPU hours, disk and dollars of each cell whose runs are not done, and of all together.

    Raises:
        UserError: the size of a model or pool is not known here.
    """
    waiting = [each for each in grid.expected if each.state is not State.done]
    rows: dict[tuple[str, str, str], list[ExpectedRun]] = {}
    for each in waiting:
        rater = each.config.rater.name if "rate" in stages_of(each.config) else ""
        rows.setdefault((each.config.model.name, method_of(each.config), rater), []).append(each)
    lines = [
        {"model": model, "method": method, "rater": rater} | _cell(runs)
        for (model, method, rater), runs in rows.items()
    ]
    notes = [*_totals(waiting), *_sources(), f"to write job scripts: {_export_line(grid)}"]
    caption = f"What {len(waiting)} runs that are not done need of one H100: an estimate; notes say of what."
    return Result(f"Plan of {grid.sweep.name}", caption, [Table("plan", pd.DataFrame(lines))], notes=notes)


def _cell(runs: Sequence[ExpectedRun]) -> dict[str, float]:
    """The row of a cell's runs, as if no other cell had done what they share with it."""
    own, shared = _needs(runs), _shared(runs)
    selecting = sum(each.hours for each in shared)
    hours = sum(need.hours for need in own) + selecting
    return {
        "runs": len(own), "GPU hours a run": round(hours / len(own), 1), "GPU hours": round(hours, 1),
        "of these to select": round(selecting, 1), "disk GB": round(_disk(own, shared) / 1e9, 1),
        "dollars": round(_dollars(hours, shared)),
    }  # fmt: skip


def _needs(runs: Iterable[ExpectedRun]) -> list[Need]:
    return [need_of(each.config) for each in runs]


def _shared(runs: Iterable[ExpectedRun]) -> list[Shared]:
    """What the runs share, once."""
    return list(dict.fromkeys(work for each in runs for work in shared_by(each.config)))


def _disk(own: Iterable[Need], shared: Iterable[Shared]) -> float:
    return sum(need.disk for need in own) + sum(each.disk for each in shared)


def _dollars(hours: float, shared: Iterable[Shared]) -> float:
    return hours * DOLLARS_AN_HOUR + sum(each.dollars for each in shared)


def _totals(waiting: Sequence[ExpectedRun]) -> list[str]:
    own, shared = _needs(waiting), _shared(waiting)
    models = {each.config.model.name: needs.size_of(each.config) for each in waiting}
    embedded = {each.config.pool.label: needs.samples_of(each.config) for each in waiting
                if "embed" in stages_of(each.config)}  # fmt: skip
    hours = sum(need.hours for need in own) + sum(each.hours for each in shared)
    training = sum(need.training for need in own)
    faster = hours - training * (1 - needs.TRAINED_PER_SECOND / REFERENCE_PER_SECOND)
    disk = _disk(own, shared) + sum(2 * size for size in models.values()) + sum(embedded.values()) * 1024 * 4
    return [
        *_shared_lines(shared),
        f"all, what rows share once: {hours:.0f} GPU hours, {disk / 1e9:.0f} GB of disk, of which the base "
        f"models {2 * sum(models.values()) / 1e9:.0f}, ${_dollars(hours, shared):,.0f}",
        f"of these {training:.0f} hours train; at the speed that NeMo AutoModel reports "
        f"({REFERENCE_PER_SECOND:,.0f} tokens/s) all would be {faster:.0f} GPU hours, "
        f"${_dollars(faster, shared):,.0f}",
    ]


def _shared_lines(shared: Sequence[Shared]) -> list[str]:
    """What is rated and measured once, a line each kind."""
    rated = [each for each in shared if each.stage == "rate"]
    measured = [each for each in shared if each.stage == "measure"]
    lines = []
    if rated:
        dollars = sum(each.dollars for each in rated)
        lines.append(
            f"rating a pool once by each of {len(rated)} raters: {sum(each.hours for each in rated):.1f} "
            f"GPU hours, ${dollars:.0f} to an API"
        )
        unpriced = [each.of for each in rated if each.waiting and not each.dollars]
        lines += [f"what these ask of an API has no price here: {', '.join(unpriced)}"] if unpriced else []
    if measured:
        room = sum(each.disk for each in measured) / 1e9
        lines.append(
            f"measuring a pool once by each base model, {len(measured)} times: "
            f"{sum(each.hours for each in measured):.1f} GPU hours, {room:.0f} GB of directions (LESS)"
        )
    return lines


def _sources() -> list[str]:
    return [
        f"measured on one H100: {needs.TRAINED_PER_SECOND:,.0f} tokens/s of LoRA on 8 B parameters "
        f"({needs.MEASURED}); reported by others: {needs.RATED_PER_SECOND:g} ratings/s (TensorRT-LLM, FP8); "
        f"assumed: {needs.TOKENS_A_SAMPLE} tokens a sample, {needs.EVALUATION_HOURS:g} hour an evaluation, "
        f"reading twice as fast as training, ${DOLLARS_AN_HOUR:g} a GPU hour (experiments/needs.py)",
        "LESS passes the pool with a gradient a sample, in selection.dtype: count its hours as the least",
        "not in it: embedding and the graph (minutes)",
    ]


def _export_line(grid: Grid) -> str:
    command = ["python", "-m", "experiments", grid.sweep.name, *grid.extra, "--export", "slurm", "FOLDER"]
    return shlex.join(command)
