"""What panels filter and group by: the choices of a run, flat."""

from __future__ import annotations

from collections.abc import Iterator
from enum import Enum
from typing import Any

from ds2.config import RunConfig
from ds2.config.stages import amount, choices, method_of
from ds2.report.choices import NONE


def settings_of(config: RunConfig) -> dict[str, Any]:
    """The run's choices, `none` where one has no say, the settings of curation and fine-tuning, those that
    its sweep varies (`tracking.keys`, with _ for dots), and `cell`: all of them in words but the seed, so
    that runs of one cell differ in their seed alone.
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
    cell = " ".join(f"{name}={value}" for name, value in told.items() if name != "seed" and value != NONE)
    group = {"group": config.tracking.group} if config.tracking.group else {}
    return {**settings, "cell": cell, **group}


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
