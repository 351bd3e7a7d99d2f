"""Whether `budget.flops` leaves anything to train with: looked at before a rating is paid for."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from ds2.base.errors import MissingInput
from ds2.config import LlmRaterConfig, RunConfig
from ds2.config.rating import raters_of
from ds2.config.stages import counts_tokens, flops_text, stages_of
from ds2.models import flops
from ds2.models.compute import parameters_of
from ds2.rating import by_model, planning
from ds2.rating.cost import stated_parameters
from ds2.runs.preflight.finding import Finding, Run, problem, warning


def budget(run: Run) -> Iterator[Finding]:
    """What is stated of costs is below the budget, and so it is with what ratings are reckoned to take.

    A lower bound: what encoders, graphs and gradients take is known when they are done, and what earlier
    runs asked is not reckoned. What only is reckoned does not stop a run.
    """
    most = run.config.budget.most_flops
    if most is None or not counts_tokens(run.config):
        return
    stated = _stated(run.config)
    asked = 0.0 if run.config.rater.flops is not None else sum(_reckoned(run))
    left = "and nothing is left to train with; raise it, or choose what costs less"
    if stated >= most:
        yield problem(f"budget.flops={flops_text(most)}: selection takes {flops_text(stated, 3)}, {left}")
    elif stated + asked >= most:
        rating = f"ratings take about {flops_text(asked, 3)}"
        others = f", all else {flops_text(stated, 3)}" if stated else ""
        yield warning(f"budget.flops={flops_text(most)}: {rating}{others}, {left}")


def _stated(config: RunConfig) -> float:
    """What the configuration says that selecting takes."""
    stages, said = stages_of(config), [config.selection.flops]
    if "embed" in stages:
        said.append(config.embedder.flops)
    if "rate" in stages:
        alone = config.rater.flops is not None
        said += [config.rater.flops] if alone else [rater.flops for rater in raters_of(config.rater)]
    return float(sum(filter(None, said)))


def _reckoned(run: Run) -> Iterator[float]:
    """FLOPs of the questions that are still to be asked, of each language model that rates."""
    if "rate" in stages_of(run.config):
        for rater in raters_of(run.config.rater):
            if isinstance(rater, LlmRaterConfig) and rater.flops is None:
                yield _of_questions(run, rater)


def _of_questions(run: Run, rater: LlmRaterConfig) -> float:
    folder = Path(run.config.paths.artifacts) / by_model.FOLDER
    try:
        size = stated_parameters(rater)
        size = parameters_of(rater.model, rater.revision) if size is None else size
        left = planning.forecast(
            rater, run.pool, model={"served": rater.model}, revision=rater.revision, folder=folder
        )
    except MissingInput:  # a model of this machine that is not here: the stage that needs it says so
        return 0.0
    return flops.reading(size, round(left.tokens_in + left.tokens_out))
