"""Stage `select`: the subset."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ds2.artifacts.curation import read_curation
from ds2.artifacts.embeddings import read_embeddings
from ds2.artifacts.graph import read_graph
from ds2.artifacts.ratings import read_scores
from ds2.artifacts.run import RunResult
from ds2.artifacts.step import Outcome, Step
from ds2.artifacts.subset import BUDGET_USED, write_subset
from ds2.artifacts.values import read_values
from ds2.artifacts.versions import version
from ds2.artifacts.written_samples import layout, present_fields
from ds2.base.errors import UserError
from ds2.base.paths import shown
from ds2.base.progress import Bar
from ds2.config import SelectionConfig
from ds2.config.compute import stated_costs
from ds2.config.stages import counts_tokens, stages_of
from ds2.config.training import FOLDS
from ds2.models.compute import parameters_of
from ds2.models.trained_tokens import TokenCounts, functions_of
from ds2.pool import Pool, Sample
from ds2.report.costs import costs
from ds2.runs.context import Context
from ds2.runs.stages.model import BaseModel, base_model
from ds2.selection import choose
from ds2.selection.limits import Limit, Training, fill, of_flops, of_tokens
from ds2.selection.request import Readers, Request


def step(run: Context) -> Step:
    """The step that writes the subset."""
    config, budget = run.config.selection, run.config.budget.samples
    reads, counted = config.needs, counts_tokens(run.config)
    before = tuple(run.steps) if run.config.budget.flops is not None else tuple(sorted(reads))
    base = base_model(run) if counted else BaseModel({}, "", str, None)

    def compute(folder: Path) -> Outcome:
        pool = run.pool.load()
        request = Request(config, len(pool), budget, run.config.seed, _readers(run, reads))
        took: dict[str, float] = {}
        if not counted:
            choice = choose(request)
        else:
            limit, took = _limit(run, pool, base, before)
            filled = fill(request, limit)
            choice = filled.choice
            took = {limit.name: limit.kind(filled.taken), **took}
            if filled.used is not None:
                took[BUDGET_USED] = filled.used
        title = f"{run.pool.name}: {config.name}, {len(choice.positions):,} of {len(pool):,} samples"
        write_subset(
            folder, pool, choice, _known(request, reads),
            title=title,
            neighbors=read_graph(run.path("knn")).neighbors if "curate" in reads else None,
        )  # fmt: skip
        counts = {"selected": len(choice.positions), "pool": len(pool)} | took
        return Outcome(counts, (*(() if reads else pool.warnings), *choice.warnings))

    values = config.identity(budget=budget, seed=run.config.seed) | run.contents(config, config.files)
    if counted:
        values["budget"] = _budget(run) | dict(base.identity)
    rater = run.config.rater.name if reads & {"rate", "curate"} else ""
    slug = "-".join(filter(None, [run.pool.name, rater, config.strategy]))
    inputs = run.inputs(*before, *(["model"] if counted else []), pool=True)
    kind = ["flops"] if counted and run.config.budget.flops is not None else []
    return Step("select", version("select", *kind), slug, values, inputs, compute, package=config.package)


def _budget(run: Context) -> dict[str, Any]:
    """Identity of a budget of tokens or FLOPs: what it is, and what it is counted by."""
    recipe, budget = run.config.finetune, run.config.budget
    counted: dict[str, Any] = {"template": recipe.template, "max_tokens": recipe.max_tokens, "of": "trained"}
    if budget.most_flops is None:
        return {"tokens": budget.most_tokens, **counted}
    cleaned = {"token_weights": recipe.token_weights.value, "reference": recipe.token_reference is not None}
    counted |= {"epochs": recipe.epochs, "total_batch": recipe.total_batch}
    stated = stated_costs(run.config, stages_of(run.config))
    return {
        "flops": budget.most_flops, "stated": stated, **counted,
        **(cleaned if recipe.cleans_tokens else {}),
    }  # fmt: skip


def _limit(
    run: Context, pool: Pool, base: BaseModel, before: Sequence[str]
) -> tuple[Limit, dict[str, float]]:
    """What the choice may take, and for the record what else the budget was counted with."""
    recipe, budget = run.config.finetune, run.config.budget
    counts = _token_counts(run, pool, base.locate(), base.revision)
    if budget.most_flops is None:
        assert budget.most_tokens is not None
        return of_tokens(counts.trained, budget.most_tokens), {"most_tokens": budget.most_tokens}
    selecting = _selecting(run, before)
    references = None
    if recipe.cleans_tokens:
        references = FOLDS if recipe.token_reference is None else 0
    parameters = parameters_of(base.locate(), base.revision)
    training = Training(counts.lengths, parameters, recipe.epochs, recipe.total_batch, references)
    limit = of_flops(training, budget.most_flops, selecting=selecting)
    return limit, {"selecting_flops": selecting, "most_flops": budget.most_flops}


def _selecting(run: Context, before: Sequence[str]) -> float:
    """FLOPs of the stages before this one. Raises UserError where one is not known."""
    finished = {name: run.results[name] for name in before}
    by_stage = costs(RunResult(run.config, "", "", finished))
    unknown = [name for name, cost in by_stage.items() if cost.flops is None]
    if unknown:
        path = next(result.path for name, result in finished.items() if name.startswith(unknown[0]))
        raise UserError(
            f"budget.flops: what stage {unknown[0]} took is not in {shown(path)}: it was made before "
            "operations were counted (delete it and run again), or by code that counts none (give "
            "selection.flops=)"
        )
    return float(sum(cost.flops or 0.0 for cost in by_stage.values()))


def _token_counts(run: Context, pool: Pool, model: str, revision: str | None) -> TokenCounts:
    """The tokens of each sample, as fine-tuning will see them."""
    from ds2.models import trained_tokens

    recipe = run.config.finetune
    tokenizer = trained_tokens.load_tokenizer(model, revision)
    trained_tokens.set_template(tokenizer, recipe.template)
    form = layout(pool.samples)
    turns = [[present_fields(turn) for turn in form.messages(sample)] for sample in pool.samples]
    if recipe.template == trained_tokens.OWN_TEMPLATE:
        turns = [list(trained_tokens.with_native_calls(each)) for each in turns]
    tools = None
    if recipe.template == trained_tokens.OWN_TEMPLATE and run.config.budget.flops is not None:
        tools = [_tools(sample) for sample in pool.samples]  # they are read, and no loss is on them
    with Bar(total=len(turns), desc="count tokens", unit="sample", disable=not run.progress) as bar:
        return trained_tokens.count_tokens(
            tokenizer, turns, max_tokens=recipe.max_tokens, tools=tools, progress=bar.update
        )


def _tools(sample: Sample) -> list[dict[str, Any]] | None:
    """What the conversation may call; None where that is nothing that fine-tuning would render."""
    try:
        return functions_of(sample.columns.get("tools"))
    except ValueError:
        return None


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
