"""Hydra composes a configuration, which becomes dataclasses here and nowhere else."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import fields
from pathlib import Path
from typing import cast

import hydra
from hydra.core.config_search_path import ConfigSearchPath
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.plugins import Plugins
from hydra.plugins.search_path_plugin import SearchPathPlugin
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from ds2.base.errors import UserError
from ds2.base.paths import project_root
from ds2.config import plugins
from ds2.config.hydra_errors import explain
from ds2.config.run import PathsConfig, RunConfig


class PluginFolders(SearchPathPlugin):  # type: ignore[misc]
    """Hydra looks for YAML in the plugins' folders too, after DS2's own."""

    def manipulate_search_path(self, search_path: ConfigSearchPath) -> None:
        for package, folder in plugins.conf_folders().items():
            if package != plugins.OWN:
                search_path.append(package, f"file://{folder}")


Plugins.instance().register(PluginFolders)


def paths_of(arguments: Sequence[str]) -> PathsConfig:
    """`paths` as these arguments leave it, before anything is composed. Raises UserError: unknown key."""
    parser = OverridesParser.create()
    given = [parser.parse_override(a) for a in arguments if a.startswith("paths.")]
    values = {o.get_key_element().removeprefix("paths."): str(o.value()) for o in given}
    unknown = values.keys() - {f.name for f in fields(PathsConfig)}
    if unknown:
        raise UserError(f"paths.{min(unknown)}: no such key")
    return PathsConfig(**values)


def artifacts_root(arguments: Sequence[str]) -> Path:
    """`paths.artifacts` of these arguments. Raises UserError where it is a file."""
    root = Path(paths_of(arguments).artifacts)
    if root.exists() and not root.is_dir():
        raise UserError(f"paths.artifacts={root} is not a folder")
    return root


def admit(overrides: Sequence[str]) -> None:
    """Import these overrides' plugins and check their choices, before Hydra sees them. Raises UserError."""
    plugins.activate(overrides)
    _check_choices(overrides)


def _check_choices(overrides: Sequence[str]) -> None:
    """Refuse a number where the name of a choice belongs (`budget=20`); Hydra would trace back. Raises
    UserError.
    """
    for override in overrides:
        group, _, given = override.partition("=")
        known = plugins.choices(group) if group else {}
        if known and re.search(r"(^|,)\s*[-+]?[\d.]+\s*(,|$)", given):
            number = f"; for a number of samples: budget.samples={given}" if group == "budget" else ""
            raise UserError(f"{override}: {group} takes a name, one of {', '.join(known)}{number}")


def compose(overrides: Sequence[str]) -> RunConfig:
    """The configuration that these overrides give, as `ds2 OVERRIDES` would run it."""
    return to_config(_compose(overrides))


def compose_seeds(overrides: Sequence[str], seeds: Sequence[int]) -> list[RunConfig]:
    """`compose([*overrides, "seed=N"])` for each seed, composed once: no choice depends on `seed`."""
    cfg = _compose(overrides)
    configs = []
    for seed in seeds:
        cfg.seed = seed
        configs.append(to_config(cfg))
    return configs


def _compose(overrides: Sequence[str]) -> DictConfig:
    admit(overrides)
    with hydra.initialize_config_dir(str(project_root() / "conf"), version_base="1.3"):
        return cast(DictConfig, hydra.compose("config", overrides=list(overrides)))


def to_config(cfg: DictConfig) -> RunConfig:
    """Dataclasses of a composed configuration. Raises UserError naming a value that is missing."""
    try:
        missing = sorted(OmegaConf.missing_keys(cfg))
    except OmegaConfBaseException as error:  # a value that refers to a missing one
        raise UserError(explain(error)) from error
    if missing:
        raise UserError(f"{missing[0]} is missing: give {missing[0]}=VALUE")
    return cast(RunConfig, OmegaConf.to_object(cfg))
