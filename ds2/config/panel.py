"""The raters of a panel: what a person names, as the configurations that those would have alone."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, cast

import hydra
from hydra.core.global_hydra import GlobalHydra
from omegaconf import DictConfig, OmegaConf, open_dict
from omegaconf.errors import OmegaConfBaseException

from ds2.base.errors import UserError
from ds2.base.paths import project_root
from ds2.config import plugins
from ds2.config.hydra_errors import explain
from ds2.config.rating import PanelRaterConfig, RaterConfig


def with_members(panel: PanelRaterConfig, cfg: DictConfig) -> PanelRaterConfig:
    """The panel with its raters' configurations. `cfg`: the whole run's, to which theirs may refer.

    Raises UserError: a rater that is unknown or lacks an option, a panel of one, two of one name.
    """
    if panel.members:
        raise UserError("rater.members is filled in by ds2: give rater.raters=[NAME, NAME, ...]")
    named = [_named(entry) for entry in panel.raters]
    if len(named) < 2:
        one = f", or for one: rater={named[0][0]}" if named else ""
        raise UserError(f"rater.raters={panel.raters}: a panel needs at least two raters{one}")
    members = [_member(name, options, cfg) for name, options in named]
    names = [member.name for member in members]
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice is not None:
        raise UserError(
            f"rater.raters: two raters are called {twice}; give one a name of its own: {{rater: "
            f"{named[names.index(twice)][0]}, name: NAME}}"
        )
    return replace(panel, prices=_prices(panel.prices or {}, names)).of(members)


def _prices(prices: Any, names: list[str]) -> dict[str, float]:
    if not isinstance(prices, Mapping) or not all(isinstance(p, int | float) for p in prices.values()):
        raise UserError(
            f"rater.prices={prices} is no mapping of names to dollars: rater.prices={{NAME: 3.5}}"
        )
    unknown = [name for name in prices if name not in names]
    if unknown:
        raise UserError(f"rater.prices: no rater is called {unknown[0]}; there are: {', '.join(names)}")
    return {str(name): float(price) for name, price in prices.items()}


def _named(entry: Any) -> tuple[str, dict[str, Any]]:
    """A rater's choice and its options."""
    if isinstance(entry, str):
        return entry, {}
    if isinstance(entry, Mapping) and isinstance(entry.get("rater"), str):
        return str(entry["rater"]), {str(k): v for k, v in entry.items() if k != "rater"}
    raise UserError(
        f"rater.raters: {entry!r} is neither a rater's name nor options with one, such as {{rater: released, "
        "path: scores.npy, name: mine}"
    )


def _member(name: str, options: dict[str, Any], cfg: DictConfig) -> RaterConfig:
    known = plugins.choices("rater")
    if name not in known:
        raise UserError(f"rater.raters: there is no rater {name}; there are: {', '.join(known)}")
    scope = copy.deepcopy(cfg)
    try:
        with open_dict(scope):
            scope.rater = _compose(name).rater
        if issubclass(OmegaConf.get_type(scope.rater) or object, PanelRaterConfig):
            raise UserError(f"rater.raters: {name} is a panel itself; name its raters instead")
        scope.rater.merge_with(options)
        missing = [str(key) for key in scope.rater if OmegaConf.is_missing(scope.rater, key)]
        if missing:
            raise UserError(
                f"rater.raters: {name} needs {missing[-1]}: give {{rater: {name}, {missing[-1]}: VALUE}}"
            )
        return cast(RaterConfig, OmegaConf.to_object(scope.rater))
    except OmegaConfBaseException as error:
        raise UserError(f"rater.raters: {name}: {explain(error)}") from error


def _compose(name: str) -> DictConfig:
    if GlobalHydra.instance().is_initialized():
        return cast(DictConfig, hydra.compose(f"rater/{name}"))
    with hydra.initialize_config_dir(str(project_root() / "conf"), version_base="1.3"):
        return cast(DictConfig, hydra.compose(f"rater/{name}"))
