"""Hydra composes a configuration, which becomes dataclasses here and nowhere else."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import fields
from pathlib import Path
from typing import cast

import hydra
from hydra.core.override_parser.overrides_parser import OverridesParser
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from ds2.base.errors import UserError
from ds2.base.paths import project_root
from ds2.config.hydra_errors import explain
from ds2.config.run import PathsConfig, RunConfig
from ds2.config.schemas import register_schemas

register_schemas()


def paths_of(arguments: Sequence[str]) -> PathsConfig:
    """`paths` as these arguments leave it, before anything is composed. Raises UserError for another key of `paths`."""
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


def check_choices(overrides: Sequence[str]) -> None:
    """Refuse a number where the name of a choice belongs (`budget=20`), for which Hydra has a traceback only. Raises UserError."""
    for override in overrides:
        group, _, given = override.partition("=")
        if (project_root() / "conf" / group).is_dir() and re.search(r"(^|,)\s*[-+]?[\d.]+\s*(,|$)", given):
            known = sorted(path.stem for path in (project_root() / "conf" / group).glob("*.yaml"))
            number = f"; for a number of samples: budget.samples={given}" if group == "budget" else ""
            raise UserError(f"{override}: {group} takes a name, one of {', '.join(known)}{number}")


def compose(overrides: Sequence[str]) -> RunConfig:
    """The configuration that these overrides give, as `ds2 OVERRIDES` would run it."""
    check_choices(overrides)
    with hydra.initialize_config_dir(str(project_root() / "conf"), version_base="1.3"):
        return to_config(hydra.compose("config", overrides=list(overrides)))


def compose_seeds(overrides: Sequence[str], seeds: Sequence[int]) -> list[RunConfig]:
    """`compose([*overrides, "seed=N"])` for each seed, composed once: `seed` is a value, no choice depends on it."""
    check_choices(overrides)
    with hydra.initialize_config_dir(str(project_root() / "conf"), version_base="1.3"):
        cfg = hydra.compose("config", overrides=list(overrides))
    found = []
    for seed in seeds:
        cfg.seed = seed
        found.append(to_config(cfg))
    return found


def to_config(cfg: DictConfig) -> RunConfig:
    """Dataclasses of a composed configuration. Raises UserError naming a value that is missing."""
    try:
        missing = sorted(OmegaConf.missing_keys(cfg))
    except OmegaConfBaseException as error:  # a value that refers to a missing one
        raise UserError(explain(error)) from error
    if missing:
        raise UserError(f"{missing[0]} is missing: give {missing[0]}=VALUE")
    return cast(RunConfig, OmegaConf.to_object(cfg))
