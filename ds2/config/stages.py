"""What a choice implies: which stages a run has, whether its choices agree, which of them had a say."""

from __future__ import annotations

import math
import re
from collections.abc import Hashable, Iterable, Iterator

from ds2.base.errors import UserError
from ds2.config.budget import BudgetConfig
from ds2.config.compute import compute_problems
from ds2.config.curation import CurationConfig
from ds2.config.run import RunConfig, Until
from ds2.config.selection import SelectionConfig
from ds2.config.strategies import STRATEGIES
from ds2.method.choices import CurationMethod

READS: dict[str, tuple[str, ...]] = {
    "sift": (),
    "model": (),
    "rate": (),
    "embed": (),
    "knn": ("embed",),
    "curate": ("rate", "embed", "knn"),
    "measure": (),
    "select": (),
    "export": ("select",),
    "tokens": ("model", "select"),
    "finetune": ("model", "select"),
    "evaluate": ("model",),
    "report": (),
}
"""Stage, in chain order -> the stages that it always reads; what the later ones read besides, a run
chooses.
"""
STAGES = tuple(READS)
"""Every stage, in chain order."""
OF_POOL = frozenset({"sift", "rate", "embed", "measure", "select"})
"""Stages that read the pool."""
BASE = "base"
"""The selection that selects nothing: the base model is evaluated as it is."""
CHOICES = ("pool", "model", "budget", "method", "rater")
"""What distinguishes rows; a column with one value wherever it has any is left out."""
TOKENS, FLOPS = "_tokens", "_flops"
"""Behind a budget that is one of tokens, or of FLOPs."""
Key = tuple[Hashable, ...]
"""A row's choices, in the order of `CHOICES`."""


def stages_of(config: RunConfig) -> list[str]:
    """The last stage of a run and its ancestors, in order; `sift` where the pool is looked through, `model`
    also where the base model needs no making.
    """
    chain = _chosen_stages(config)
    sifts = config.pool.sifts and not OF_POOL.isdisjoint(chain)
    return ["sift", *(stage for stage in chain if stage != "sift")] if sifts else chain


def _chosen_stages(config: RunConfig) -> list[str]:
    until = config.until
    if STAGES.index(until.value) < STAGES.index("select"):
        return _with_ancestors({until.value})
    if config.selection.strategy == BASE:
        selected, trained = [], ["model"]
    else:
        selected = [*_with_ancestors(config.selection.needs), "select"]
        if config.selection.measures_with_base_model or counts_tokens(config):
            selected = ["model", *selected]
        if config.selection.export:
            selected = [*selected, "export"]
        cleaned = ["tokens"] if config.finetune.cleans_tokens else []
        trained = ["model", *cleaned, "finetune"] if config.finetune.enabled else []
    chain = selected if until is Until.select else list(dict.fromkeys([*selected, *trained]))
    if trained and config.eval.enabled and until in (Until.evaluate, Until.report):
        chain = [*chain, "evaluate"]
    return [*chain, "report"] if until is Until.report else chain


def counts_tokens(config: RunConfig) -> bool:
    """Whether the budget is one of tokens or FLOPs, for which the base model's tokenizer counts."""
    given = config.budget.tokens is not None or config.budget.flops is not None
    return given and config.selection.budgeted


def _with_ancestors(stages: Iterable[str]) -> list[str]:
    """These stages and all that they read, directly or not, in chain order."""
    wanted = set(stages)
    for stage in reversed(STAGES):  # a stage reads only those before it
        wanted |= set(READS[stage]) if stage in wanted else set()
    return [stage for stage in STAGES if stage in wanted]


def check(config: RunConfig) -> None:
    """Refuse choices that contradict each other, before anything runs: all of them at once."""
    lines = list(_contradictions(config))
    if lines:
        raise UserError(*lines)


def _contradictions(config: RunConfig) -> Iterator[str]:
    presumed, similarity = config.selection, getattr(config.pool, "near_duplicates", None)
    if similarity is not None and not 0 < similarity <= 1:
        yield f"pool.near_duplicates={similarity:g} must be a similarity above 0, up to 1"
    if config.until is Until.sift and not config.pool.sifts:
        yield "until=sift looks for what pool.decontaminate and pool.near_duplicates name: give one of them"
    wrong = _wrong_strategy(presumed)
    if wrong:
        yield wrong
    if presumed.strategy == BASE and presumed.export:
        yield f"selection={presumed.name} selects nothing that selection.export could write"
    roomless = [form.value for form in presumed.export if presumed.export_scores and not form.holds_scores]
    if roomless:
        yield f"selection.export_scores=true: the rows of {', '.join(roomless)} have no room for scores"
    if presumed.curation is not None and presumed.curation is not config.curation.method:
        yield (
            f"selection={presumed.name} presumes curation={presumed.curation.value}, not "
            f"{config.curation.method.value}; leave curation= out or choose another selection, such as "
            "selection=ds2, which takes any"
        )
    if presumed.rater is not None and presumed.rater != config.rater.name:
        yield (
            f"selection={presumed.name} presumes rater={presumed.rater}, not {config.rater.name}; leave "
            "rater= out or choose another selection"
        )
    takes_one = config.curation.method in (CurationMethod.rank, CurationMethod.none)
    if config.rater.several and takes_one and "curate" in stages_of(config):
        raise UserError(
            f"curation={config.curation.method.value} takes one rater, and rater={config.rater.name} gives "
            "the scores of several: use curation=refine, which fuses them (or curation=posterior, which "
            "people's ratings put below it), or one of the raters"
        )
    if not 2 <= config.scale.num_scores <= 11:
        yield (
            f"scale.low={config.scale.low} and scale.high={config.scale.high} give "
            f"{config.scale.num_scores} score levels; 2 to 11 are supported"
        )
    yield from _wrong_knowledge(config.curation)
    try:
        check_budget(config.budget.samples)
        _ = config.budget.most_tokens, config.budget.most_flops
    except UserError as error:
        yield str(error)
    yield from compute_problems(config, stages_of(config))
    if config.finetune.cleans_tokens and not 0 < config.finetune.token_share < 1:
        yield f"finetune.token_share={config.finetune.token_share:g} must be a share between 0 and 1"
    few = config.finetune.too_few(1)
    by_samples = config.selection.budgeted and not counts_tokens(config)
    if few and by_samples and config.budget.samples == 1 and "tokens" in stages_of(config):
        yield f"budget.samples=1: {few}"
    if config.finetune.token_reference is not None and not config.finetune.cleans_tokens:
        yield "finetune.token_reference has no say without finetune.token_weights=base_difference"
    if config.seed < 0:
        yield f"seed={config.seed} must not be negative"


def _wrong_knowledge(curation: CurationConfig) -> Iterator[str]:
    """What people state of the truth, where the method cannot make use of it."""
    method = curation.method
    if curation.anchors is not None and method not in (CurationMethod.refine, CurationMethod.posterior):
        yield (
            f"curation.anchors is for curation=refine and curation=posterior, not curation={method.value}; "
            "`ds2 anchors judge FILE` judges every order"
        )
    if curation.rater_accuracy is not None and method is not CurationMethod.posterior:
        yield (
            f"curation.rater_accuracy is for curation=posterior, not curation={method.value}, which has no "
            "model of the rater to hold at it"
        )


def _wrong_strategy(selection: SelectionConfig) -> str | None:
    if selection.implementation is not None:  # a plugin's, whose class says where it is
        return None
    if selection.strategy not in STRATEGIES:
        return (
            f"selection.strategy={selection.strategy} is unknown; there are: {', '.join(sorted(STRATEGIES))}"
        )
    kind = STRATEGIES[selection.strategy]
    if isinstance(selection, kind):
        return None
    return (
        f"selection.strategy={selection.strategy} takes the fields of {kind.__name__}; choose a "
        "selection= whose strategy it is instead of setting selection.strategy"
    )


def check_budget(budget: float) -> None:
    """Raises UserError for a budget that no pool could meet: zero, negative, or neither whole nor a share."""
    if not math.isfinite(budget) or budget <= 0:
        raise UserError(
            f"budget.samples={budget_text(budget)} must be a number of samples, or a share between 0 and 1"
        )
    if budget >= 1 and budget != int(budget):
        raise UserError(f"budget.samples={budget_text(budget)} is neither a whole number nor a share below 1")


def budget_text(budget: float) -> str:
    """A budget in words of the command line, as slugs hold it: six digits, and more above a million where
    those would make two budgets one.
    """
    short = f"{budget:g}"
    return f"{budget:.15g}" if budget > 1_000_000 and float(short) != budget else short


def flops_text(flops: float, digits: int = 13) -> str:
    """A number of operations as people write one: `1e18`, `3.5e17`."""
    first, exponent = f"{flops:.{digits - 1}e}".split("e")
    return f"{first.rstrip('0').rstrip('.')}e{int(exponent)}"


def _budget_said(config: RunConfig) -> str:
    if config.budget.flops is not None:
        return f"{flops_text(config.budget.flops)}{FLOPS}"
    if config.budget.tokens is None:
        return budget_text(config.budget.samples)
    return f"{config.budget.tokens}{TOKENS}"


def amount(budget: Hashable) -> tuple[int, float]:
    """Where a budget stands among others: samples by number, tokens by number, then FLOPs; none first."""
    text = str(budget or 0)
    if text.endswith(TOKENS):
        return 1, float(BudgetConfig(tokens=text.removesuffix(TOKENS)).most_tokens or 0)
    if text.endswith(FLOPS):
        return 2, float(text.removesuffix(FLOPS))
    return 0, float(text)


def choices(config: RunConfig) -> dict[str, str | None]:
    """The choices that tell this run from its neighbours, by the word used on the command line; None where
    one has no say.
    """
    stages = set(stages_of(config))
    said = {
        "pool": config.pool.label,
        "rater": config.rater.name if "rate" in stages else None,
        "embedder": config.embedder.name if "embed" in stages else None,
        "curation": config.curation.method.value if "curate" in stages else None,
        "selection": config.selection.name or config.selection.strategy,
        "budget": _budget_said(config) if "select" in stages and config.selection.budgeted else None,
        "base_model": config.model.name if stages & {"finetune", "evaluate", "model"} else None,
        "finetune": config.finetune.name if "finetune" in stages else None,
        "eval": config.eval.name if "evaluate" in stages else None,
        "seed": str(config.seed),
    }
    return said


def method_of(config: RunConfig) -> str:
    """The selection, with the curation where that had a say and the selection's own name does not tell it,
    and with the marks of anchors and of cleaned tokens.
    """
    said = choices(config)
    selection, curation = str(said["selection"]), said["curation"]
    told = curation is None or config.selection.curation is not None or curation in selection
    anchored = curation is not None and config.curation.anchors is not None
    cleaned = "finetune" in stages_of(config) and config.finetune.cleans_tokens
    marks = [*([] if told else [str(curation)]), *(["anchors"] if anchored else [])]
    marks = [*marks, *(["tokens"] if cleaned else [])]
    return " ".join([selection, *(f"({mark})" for mark in marks)])


def key_of(config: RunConfig) -> Key:
    """A run's row: its choices, None where a choice has no say."""
    said = choices(config)
    presumed = config.selection.rater is not None
    rater = None if presumed else said["rater"]
    return (said["pool"], config.model.name, said["budget"], method_of(config), rater)


def run_name(config: RunConfig) -> str:
    """What a run is called: pool, rater, method, budget, base model and seed, as far as they have a say."""
    said, trained = choices(config), {"finetune", "evaluate"} & set(stages_of(config))
    method = re.sub(r" \((\w+)\)", r"-\1", method_of(config))
    last = [config.model.name, f"s{config.seed}"] if trained else []
    return "-".join(filter(None, [said["pool"], said["rater"], method, said["budget"], *last]))


def slug_of(config: RunConfig) -> str:
    """The name of a run's page in the store, and its identity: what runs were called before `run_name` told
    curations apart.
    """
    said, trained = choices(config), {"finetune", "evaluate"} & set(stages_of(config))
    chosen, method = str(said["selection"]), said["curation"]
    if method not in (None, "rank") and config.selection.curation is None and method not in chosen:
        chosen = f"{chosen}_{method}"
    last = [config.model.name, f"s{config.seed}"] if trained else []
    return "-".join(filter(None, [said["pool"], said["rater"], chosen, said["budget"], *last]))
