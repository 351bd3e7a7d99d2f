"""Stage `select`: the subset."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from ds2.artifacts.curation import read_curation
from ds2.artifacts.embeddings import read_embeddings
from ds2.artifacts.graph import read_graph
from ds2.artifacts.ratings import read_scores
from ds2.artifacts.store import Outcome, Step
from ds2.artifacts.subset import write_subset
from ds2.artifacts.values import read_values
from ds2.config import SelectionConfig
from ds2.runs.context import Context
from ds2.selection import choose
from ds2.selection.request import Readers, Request


def step(run: Context) -> Step:
    """The step that writes the subset."""
    config, budget = run.config.selection, run.config.budget.samples
    reads = config.needs

    def compute(folder: Path) -> Outcome:
        pool = run.pool.load()
        request = Request(config, len(pool), budget, run.config.seed, _readers(run, reads))
        choice = choose(request)
        title = f"{run.pool.name}: {config.name}, {len(choice.positions):,} of {len(pool):,} samples"
        write_subset(
            folder, pool, choice, _known(request, reads),
            title=title,
            neighbors=read_graph(run.path("knn")).neighbors if "curate" in reads else None,
        )  # fmt: skip
        counts = {"selected": len(choice.positions), "pool": len(pool)}
        return Outcome(counts, (*(() if reads else pool.warnings), *choice.warnings))

    values = config.identity(budget=budget, seed=run.config.seed) | run.contents(config, config.files)
    rater = run.config.rater.name if reads & {"rate", "curate"} else ""
    slug = "-".join(filter(None, [run.pool.name, rater, config.strategy]))
    inputs = run.inputs(*sorted(reads), pool=True)
    return Step("select", 3, slug, values, inputs, compute, package=config.package)


def _readers(run: Context, reads: frozenset[str]) -> Readers:
    """Readers of the artifacts that the strategy said it reads, and of no others."""
    return Readers(
        pool=run.pool.load,
        scores=(lambda: read_scores(run.path("rate"))) if "rate" in reads else None,
        embeddings=(lambda: np.asarray(read_embeddings(run.path("embed")))) if "embed" in reads else None,
        graph=(lambda: read_graph(run.path("knn"))) if "knn" in reads else None,
        curation=(lambda: read_curation(run.path("curate"))) if "curate" in reads else None,
        values=(lambda: read_values(run.path("measure"))) if "measure" in reads else None,
    )


def _known(request: Request[SelectionConfig], reads: frozenset[str]) -> Mapping[str, Any]:
    """What is known of every sample: score, curated, long_tail, refined, each (N,), as far as this run has
    it.
    """
    if "curate" in reads:
        names = ("score", "curated", "long_tail", "refined")
        return {name: request.curation[name].to_numpy() for name in names if name in request.curation}
    return {"score": request.scores} if "rate" in reads else {}
