"""What the missing runs of a grid need of a node with GPUs.

An estimate, made of the constants below: the training speed that `benchmarks/gpu.py` measured on one H100,
scaled by the model's size, a rating speed that others report for one, and assumptions. Notes beneath the
answer name what it is made of.
"""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from dataclasses import dataclass

import pandas as pd

from ds2.base.errors import UserError
from ds2.config import RunConfig
from ds2.config.stages import BASE, method_of, stages_of
from ds2.models import flops
from ds2.report.table_text import Table
from ds2.runs.expected import ExpectedRun, State
from experiments.grid import Grid
from experiments.result import Result

POOL = 300_932
"""Samples of the paper's pool."""
PARAMETERS = {"llama_3_1_8b": 8.0e9, "llama_2_7b": 6.7e9, "mistral_7b_v0_3": 7.2e9, "llama_3_2_3b": 3.2e9}
"""Base model -> parameters."""
MEASURED = "benchmarks/results/gpu-nvidia-h100-80gb-hbm3.md"
TRAINED_PER_SECOND = 5_524.5
"""Tokens a second of LoRA on 8 B parameters, one H100, packed rows of 4,032 tokens, as measured (`MEASURED`,
part lora); others by their size."""
REFERENCE_PER_SECOND = 12_473.0
"""The same, as NeMo AutoModel reports it."""
TOKENS_A_SAMPLE = 500
"""An assumption: mean tokens of a sample of the pool, cut at `finetune.max_tokens`."""
RATED_PER_SECOND = 100.0
"""Ratings a second of 568 tokens by a model of 8 B parameters, one H100, as TensorRT-LLM reports in FP8: the
measured card had no vLLM."""
EVALUATION_HOURS = 1.0
"""An assumption: the five benchmarks on the paper's subsets, one H100."""
DOLLARS_AN_HOUR = 2.5
"""An assumption: what an H100 costs for an hour."""
API_DOLLARS = {"gpt_4o_mini": POOL * (568 * 0.15 + 60 * 0.60) / 1e6}
"""Rater behind an API -> dollars for the pool: 568 tokens read, 60 written, at conf/price.yaml's prices."""
ADAPTER_SHARE = 0.042
"""An adapter of rank 64 in float32, as a share of the base model in 16 bits."""


@dataclass(frozen=True)
class Need:
    """What one run needs."""

    hours: float
    """Of one GPU."""
    training: float
    """Those of them that train."""
    disk: float
    """Bytes, the base model's own left out."""


def need_of(config: RunConfig) -> Need:
    """Training and evaluation of one run; what runs share (ratings, base models) is counted by `totals`."""
    if config.selection.strategy == BASE:
        return Need(EVALUATION_HOURS, 0.0, 0.0)
    size = _size(config)
    hours = _tokens_seen(config, size) / (TRAINED_PER_SECOND * 8.0e9 / size) / 3600
    return Need(hours + EVALUATION_HOURS, hours, 2 * size * ADAPTER_SHARE)


def _tokens_seen(config: RunConfig, size: float) -> float:
    """Tokens trained on in all passes; of a budget of FLOPs as many as it pays for if selecting is free."""
    if config.finetune.max_steps is not None:
        return config.finetune.max_steps * config.finetune.total_batch * TOKENS_A_SAMPLE
    budget = config.budget
    if config.selection.budgeted and budget.most_flops is not None:
        return budget.most_flops / flops.training(1, 1) / size
    if config.selection.budgeted and budget.most_tokens is not None:
        return budget.most_tokens * config.finetune.epochs  # of responses: what prompts add is not known here
    samples = budget.samples if budget.samples >= 1 else budget.samples * POOL
    return (samples if config.selection.budgeted else POOL) * TOKENS_A_SAMPLE * config.finetune.epochs


def _size(config: RunConfig) -> float:
    if config.model.name not in PARAMETERS:
        raise UserError(
            f"--plan knows no size of model={config.model.name}; it knows {', '.join(PARAMETERS)}"
        )
    return PARAMETERS[config.model.name]


def plan(grid: Grid) -> Result:
    """GPU hours, disk and dollars of each cell whose runs are not done, and of all together."""
    waiting = [each for each in grid.expected if each.state is not State.done]
    rows: dict[tuple[str, str, str], list[Need]] = {}
    for each in waiting:
        rater = each.config.rater.name if "rate" in stages_of(each.config) else ""
        rows.setdefault((each.config.model.name, method_of(each.config), rater), []).append(
            need_of(each.config)
        )
    lines = [
        {
            "model": model, "method": method, "rater": rater, "runs": len(needs),
            "GPU hours a run": round(needs[0].hours, 1), "GPU hours": round(sum(n.hours for n in needs), 1),
            "disk GB": round(sum(n.disk for n in needs) / 1e9, 1),
            "dollars": round(sum(n.hours for n in needs) * DOLLARS_AN_HOUR),
        }
        for (model, method, rater), needs in rows.items()
    ]  # fmt: skip
    notes = [*_totals(waiting), *_sources(), f"to write job scripts: {_export_line(grid)}"]
    caption = f"What {len(waiting)} runs that are not done need of one H100: an estimate; notes say of what."
    return Result(f"Plan of {grid.sweep.name}", caption, [Table("plan", pd.DataFrame(lines))], notes=notes)


def _totals(waiting: Sequence[ExpectedRun]) -> list[str]:
    needs = [need_of(each.config) for each in waiting]
    raters = {each.config.rater.name for each in waiting if "rate" in stages_of(each.config)}
    models = {each.config.model.name: _size(each.config) for each in waiting}
    rating = sum(POOL / RATED_PER_SECOND / 3600 for rater in raters if rater not in API_DOLLARS)
    hours, api = sum(n.hours for n in needs) + rating, sum(API_DOLLARS.get(rater, 0.0) for rater in raters)
    training = sum(n.training for n in needs)
    faster = hours - training * (1 - TRAINED_PER_SECOND / REFERENCE_PER_SECOND)
    disk = sum(n.disk for n in needs) + sum(2 * size for size in models.values()) + POOL * 1024 * 4
    return [
        f"rating the pool once by each of {len(raters)} raters: {rating:.1f} GPU hours, ${api:.0f} to an API",
        f"all: {hours:.0f} GPU hours, {disk / 1e9:.0f} GB of disk, of which the base models "
        f"{2 * sum(models.values()) / 1e9:.0f}, ${hours * DOLLARS_AN_HOUR + api:,.0f}",
        f"of these {training:.0f} hours train; at the speed that NeMo AutoModel reports "
        f"({REFERENCE_PER_SECOND:,.0f} tokens/s) all would be {faster:.0f} GPU hours, "
        f"${faster * DOLLARS_AN_HOUR + api:,.0f}",
    ]


def _sources() -> list[str]:
    return [
        f"measured on one H100: {TRAINED_PER_SECOND:,.0f} tokens/s of LoRA on 8 B parameters ({MEASURED}); "
        f"reported by others: {RATED_PER_SECOND:g} ratings/s (TensorRT-LLM, FP8); assumed: "
        f"{TOKENS_A_SAMPLE} tokens a sample, {EVALUATION_HOURS:g} hour an evaluation, ${DOLLARS_AN_HOUR:g} a "
        "GPU hour (experiments/plan.py)",
        "not in it: what a strategy measures with the base model (LESS, perplexity), embedding, the graph",
    ]


def _export_line(grid: Grid) -> str:
    command = ["python", "-m", "experiments", grid.sweep.name, *grid.extra, "--export", "slurm", "FOLDER"]
    return shlex.join(command)
