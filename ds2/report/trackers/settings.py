"""What panels filter and group by: the choices of a run, flat."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import fields, is_dataclass
from enum import Enum
from typing import Any

from ds2.base.dataclass_json import to_plain
from ds2.base.hashes import fingerprint
from ds2.config import RunConfig
from ds2.config.base import PATH
from ds2.config.stages import STAGES, amount, choices, method_of, stages_of
from ds2.report.choices import NONE, word


def settings_of(config: RunConfig) -> dict[str, Any]:
    """The run's choices, `none` where one has no say, the settings of curation and fine-tuning, those that
    its sweep varies (`tracking.keys`, with _ for dots), and `cell`: all of them in words but the seed, and a
    digest of whatever else decides the result, so that runs of one cell differ in their seed alone.
    """
    said = choices(config)
    curated, budget, trained = (said[name] is not None for name in ("curation", "budget", "finetune"))
    thresholded = "confidence" not in config.curation.without_say
    recipe = config.finetune
    settings = {
        **{name: NONE if value is None else value for name, value in said.items()},
        # Named also where a run stops before they matter: what a workspace filters by keeps its values.
        "base_model": config.model.name,
        "eval": config.eval.name if config.eval.enabled else "off",
        "budget": amount(said["budget"])[1] if budget else NONE,
        "budget_unit": _UNITS[amount(said["budget"])[0]] if budget else NONE,
        "budget_named": word("budget", said["budget"]),
        "seed": config.seed,
        "method": method_of(config),
        "curation_k": config.curation.k if curated else NONE,
        "curation_confidence": config.curation.confidence if curated and thresholded else NONE,
        "finetune_learning_rate": recipe.learning_rate if trained else NONE,
        "finetune_max_steps": recipe.max_steps if trained and recipe.max_steps is not None else NONE,
        "trial": NONE if config.tracking.trial is None else config.tracking.trial,
    }
    settings = {**{key.replace(".", "_"): value for key, value in _varied(config)}, **settings}
    told = {**settings, "budget": said["budget"] or NONE}
    named = {name: value for name, value in told.items() if name not in _SAID_ONCE and value != NONE}
    cell = " ".join(f"{name}={value}" for name, value in {**named, "rest": _rest(config)}.items())
    group = {"group": config.tracking.group} if config.tracking.group else {}
    return {**settings, "cell": cell, **group}


_UNITS = ("samples", "tokens", "FLOPs")
"""Of a budget, by its kind."""
_SAID_ONCE = ("seed", "budget_unit", "budget_named")
"""No part of a cell's name, which has the budget as it is typed."""
_OF_STAGES = {
    "pool": STAGES, "rater": ("rate",), "scale": ("rate",), "embedder": ("embed",), "knn": ("knn",),
    "curation": ("curate",), "selection": ("select",), "budget": ("select",),
    "model": ("model", "finetune", "evaluate"), "finetune": ("finetune",), "eval": ("evaluate",),
}  # fmt: skip
"""Group -> the stages for which it has a say."""
_NOT_THE_RESULT = ("seed", "runtime", "name")


def _rest(config: RunConfig) -> str:
    """Six digits of all that decides the result but the seed: two runs whose choices have one name may differ
    in what was typed beside it. Where files lie is no part of it.
    """
    stages = set(stages_of(config))
    groups = {name: getattr(config, name) for name, of in _OF_STAGES.items() if stages.intersection(of)}
    return fingerprint({name: _deciding(group) for name, group in groups.items()})[:6]


def _deciding(value: Any) -> Any:
    if is_dataclass(value):
        kept = (f for f in fields(value) if f.name not in _NOT_THE_RESULT and PATH not in f.metadata)
        return [type(value).__name__, {f.name: _deciding(getattr(value, f.name)) for f in kept}]
    if isinstance(value, list | tuple):
        return [_deciding(each) for each in value]
    return to_plain(value)


def _varied(config: RunConfig) -> Iterator[tuple[str, Any]]:
    """What the run's sweep varies, of the keys that this run's choices have; `choices` tell the groups."""
    for key in config.tracking.keys:
        value: Any = config
        for name in key.split("."):
            value = getattr(value, name, None)
        if isinstance(value, Enum):
            value = value.value
        if isinstance(value, bool | int | float | str):
            yield key, value
