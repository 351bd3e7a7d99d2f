"""Selection as a stage of the chain: what identifies a subset, what it reads, what it leaves."""

from __future__ import annotations

import shutil
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ds2 import artifacts, selection
from ds2.plain import to_plain
from ds2.selection import exports, report
from ds2.selection.config import MeasuredSelectionConfig
from ds2.selection.request import Inputs, Request
from ds2.stage import Outcome, Step

if TYPE_CHECKING:
    from ds2.steps import Context


_NOT_IDENTITY = ("runtime", "scorer", "scorer_revision")
"""How to execute, and names whose content enters instead."""


def select(run: Context) -> Step:
    """The step that writes the subset."""
    config, budget = run.config.selection, run.config.budget.samples
    reads = selection.needs(config)

    def compute(folder: Path) -> Outcome:
        pool = run.pool.load()
        inputs = _inputs(run, reads)
        request = Request(config, len(pool), budget, run.config.seed, inputs)
        choice = selection.chosen(config).choose(request)
        known = _known(request, reads)
        rows = artifacts.write_subset(folder, pool, choice, known)
        title = f"{run.pool.name}: {config.name}, {len(choice.positions):,} of {len(pool):,} samples"
        others = report.overlaps(folder.parent, run.pool.fingerprint, [row["row"] for row in rows])
        described = report.describe(pool, choice, known, title=title, overlap=others)
        artifacts.write_json(folder / "subset_report.json", described)
        text = report.markdown(described)
        (folder / "subset_report.md").write_text(text, encoding="utf-8")
        placed = [{**row, "position": p} for row, p in zip(rows, choice.positions.tolist(), strict=True)]
        exports.write_exports(folder, f"{run.pool.name}_{config.name}", pool, placed, text)
        counts = {"selected": len(choice.positions), "pool": len(pool)}
        return Outcome(counts, (*(() if reads else pool.warnings), *choice.warnings))

    own = selection.identity(config, budget=budget, seed=run.config.seed)
    own |= _contents(run, getattr(selection.chosen(config), "FILES", ()))
    rater = run.config.rater.name if reads & {"rate", "curate"} else ""
    slug = "-".join(filter(None, [run.pool.name, rater, config.strategy]))
    return Step("select", 2, slug, own, run.inputs(*sorted(reads), pool=True), compute)


def measure(run: Context) -> Step:
    """The step that asks a language model for each sample's value; interrupted, it keeps its finished parts."""
    from ds2.steps import base_model

    config = run.config.selection
    assert isinstance(config, MeasuredSelectionConfig)
    strategy = selection.chosen(config)
    fields = [name for name in selection.measured_fields(config) if name not in _NOT_IDENTITY]
    own: dict[str, Any] = {"measure": config.strategy}
    own |= {name: to_plain(getattr(config, name)) for name in fields}
    own |= _contents(run, [name for name in fields if name == "target"])
    if config.scorer is None:
        base = base_model(run)
        own, locate, revision = own | dict(base.identity), base.locate, base.revision
    else:
        scorer, (named, revision) = config.scorer, run.named(config.scorer, config.scorer_revision)
        own, locate = own | {"model": named}, lambda: scorer

    def compute(folder: Path) -> Outcome:
        pool, progress = run.pool.load(), run.config.runtime.progress
        measure: Any = strategy
        values = measure.measure(config, pool, locate(), revision, folder, progress)
        np.save(folder / "values.npy", values)
        shutil.rmtree(folder / "parts", ignore_errors=True)
        missing = int((~np.isfinite(values).reshape(len(pool), -1).all(axis=1)).sum())
        warnings = (f"{missing} samples have no answer to measure; they cannot be chosen",) if missing else ()
        return Outcome({"samples": len(pool), "unmeasured": missing}, warnings)

    slug = f"{run.pool.name}-{config.strategy}"
    inputs = run.inputs(*(["model"] if config.scorer is None else []), pool=True)
    return Step("measure", 1, slug, own, inputs, compute, resumable=True)


def _contents(run: Context, names: Iterable[str]) -> dict[str, Any]:
    """Fields that name files, by the files' content."""
    paths = {name: getattr(run.config.selection, name) for name in names}
    return {name: run.hashes.of(Path(path)) for name, path in paths.items()}


def _inputs(run: Context, reads: frozenset[str]) -> Inputs:
    """Loaders of the artifacts that the strategy said it reads, and of no others."""
    loaders = {
        "rate": ("scores", lambda: artifacts.read_scores(run.path("rate"))),
        "embed": ("embeddings", lambda: np.asarray(artifacts.read_embeddings(run.path("embed")))),
        "knn": ("graph", lambda: artifacts.read_graph(run.path("knn"))),
        "curate": ("curation", lambda: artifacts.read_curation(run.path("curate"))),
        "measure": ("values", lambda: np.load(run.path("measure") / "values.npy", allow_pickle=False)),
    }
    return Inputs(pool=run.pool.load, **dict(loaders[stage] for stage in sorted(reads)))


def _known(request: Request, reads: frozenset[str]) -> Mapping[str, Any]:
    """What is known of every sample: score, curated, long_tail, each (N,), as far as this run has it."""
    if "curate" in reads:
        return {name: request.curation[name].to_numpy() for name in ("score", "curated", "long_tail")}
    return {"score": request.scores} if "rate" in reads else {}
