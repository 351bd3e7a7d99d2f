"""Stage `select`: the subset."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ds2.artifacts.curation import read_curation
from ds2.artifacts.embeddings import read_embeddings
from ds2.artifacts.graph import read_graph
from ds2.artifacts.ratings import read_scores
from ds2.artifacts.store import Outcome, Step
from ds2.artifacts.subset import write_subset
from ds2.artifacts.values import read_values
from ds2.artifacts.written_samples import layout, present_fields
from ds2.base.progress import Bar
from ds2.config import SelectionConfig
from ds2.config.stages import counts_tokens
from ds2.pool import Pool
from ds2.runs.context import Context
from ds2.runs.stages.model import BaseModel, base_model
from ds2.selection import choose
from ds2.selection.request import Readers, Request
from ds2.selection.tokens import fill


def step(run: Context) -> Step:
    """The step that writes the subset."""
    config, budget = run.config.selection, run.config.budget.samples
    reads = config.needs
    most = run.config.budget.most_tokens if counts_tokens(run.config) else None
    base = base_model(run) if most is not None else BaseModel({}, str, None)

    def compute(folder: Path) -> Outcome:
        pool = run.pool.load()
        request = Request(config, len(pool), budget, run.config.seed, _readers(run, reads))
        tokens: dict[str, int] = {}
        if most is None:
            choice = choose(request)
        else:
            choice, used = fill(request, _trained_tokens(run, pool, base.locate(), base.revision), most)
            tokens = {"tokens": used, "most_tokens": most}
        title = f"{run.pool.name}: {config.name}, {len(choice.positions):,} of {len(pool):,} samples"
        write_subset(
            folder, pool, choice, _known(request, reads),
            title=title,
            neighbors=read_graph(run.path("knn")).neighbors if "curate" in reads else None,
        )  # fmt: skip
        counts = {"selected": len(choice.positions), "pool": len(pool)} | tokens
        return Outcome(counts, (*(() if reads else pool.warnings), *choice.warnings))

    values = config.identity(budget=budget, seed=run.config.seed) | run.contents(config, config.files)
    if most is not None:
        recipe = {"template": run.config.finetune.template, "max_tokens": run.config.finetune.max_tokens}
        values["budget"] = {"tokens": most, **recipe, **base.identity}
    rater = run.config.rater.name if reads & {"rate", "curate"} else ""
    slug = "-".join(filter(None, [run.pool.name, rater, config.strategy]))
    inputs = run.inputs(*sorted(reads), *(["model"] if most is not None else []), pool=True)
    return Step("select", 4, slug, values, inputs, compute, package=config.package)


def _trained_tokens(run: Context, pool: Pool, model: str, revision: str | None) -> NDArray[np.int64]:
    """(N,) assistant tokens of each sample, as fine-tuning will see it."""
    from ds2.models import trained_tokens

    recipe = run.config.finetune
    tokenizer = trained_tokens.load_tokenizer(model, revision)
    trained_tokens.set_template(tokenizer, recipe.template)
    form = layout(pool.samples)
    turns = [[present_fields(turn) for turn in form.messages(sample)] for sample in pool.samples]
    if recipe.template == trained_tokens.OWN_TEMPLATE:
        turns = [list(trained_tokens.with_native_calls(each)) for each in turns]
    with Bar(total=len(turns), desc="count tokens", unit="sample", disable=not run.progress) as bar:
        return trained_tokens.trained_counts(
            tokenizer, turns, max_tokens=recipe.max_tokens, progress=bar.update
        )


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
