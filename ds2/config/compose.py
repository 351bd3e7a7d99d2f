"""Hydra composes a configuration, which becomes dataclasses here and nowhere else."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import fields, is_dataclass, replace
from itertools import chain
from pathlib import Path
from typing import Any, cast

import hydra
from hydra.core.config_search_path import ConfigSearchPath
from hydra.core.global_hydra import GlobalHydra
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import QuotedString
from hydra.core.plugins import Plugins
from hydra.errors import HydraException
from hydra.plugins.search_path_plugin import SearchPathPlugin
from omegaconf import DictConfig, OmegaConf, open_dict
from omegaconf.errors import InterpolationKeyError, OmegaConfBaseException

from ds2.base.dataclass_json import to_plain
from ds2.base.errors import UserError, refuse
from ds2.base.paths import project_root
from ds2.base.secrets import (
    environment_secrets,
    holds_secret,
    masked,
    secret_option,
    secrets_in,
    value_holds_secret,
    variables_in,
)
from ds2.base.words import did_you_mean
from ds2.config import outside, plugins
from ds2.config.hydra_errors import explain, yaml_faults
from ds2.config.narrowing import launches
from ds2.config.numbers import number_problems
from ds2.config.panel import with_members
from ds2.config.paths import refuse_not_utf8, resolve_paths
from ds2.config.rating import PanelRaterConfig
from ds2.config.run import PathsConfig, RunConfig
from ds2.config.schemas import near_key

_MAY_SET_PATHS = ("plugins=", "hydra.searchpath=")
"""What brings YAML from outside; DS2's own leaves `paths` alone."""


class PluginFolders(SearchPathPlugin):  # type: ignore[misc]
    """Hydra looks for YAML in the plugins' folders too, after DS2's own."""

    def manipulate_search_path(self, search_path: ConfigSearchPath) -> None:
        for package, folder in plugins.conf_folders().items():
            if package != plugins.OWN:
                search_path.append(package, f"file://{folder}")


Plugins.instance().register(PluginFolders)
outside.look_first()


def paths_of(overrides: Sequence[str]) -> PathsConfig:
    """`paths` as these overrides leave it, resolved.

    Raises:
        UserError: an unknown key, a value that refers to nothing, or several values.
    """
    parser = OverridesParser.create()
    given = [parser.parse_override(o) for o in overrides if o.lstrip("+").startswith("paths.")]
    for override in given:
        if override.is_sweep_override():
            raise UserError(
                f"{override.input_line}: a command has one folder; give paths once, without a sweep"
            )
    if any(o.lstrip("+~").startswith(_MAY_SET_PATHS) for o in overrides) or plugins.installed():
        return compose(_without_sweeps(overrides)).paths
    cfg = OmegaConf.structured(PathsConfig)
    try:
        for override in given:
            OmegaConf.update(
                cfg, override.get_key_element().lstrip("+").removeprefix("paths."), override.value()
            )
        cfg = OmegaConf.create({"paths": cfg})
        return resolve_paths(cast(PathsConfig, OmegaConf.to_object(cfg.paths)))
    except InterpolationKeyError:  # it refers to another group
        return compose(_without_sweeps(overrides)).paths
    except OmegaConfBaseException as error:
        raise UserError(f"paths.{explain(error)}") from error


def _without_sweeps(overrides: Sequence[str]) -> list[str]:
    parser = OverridesParser.create()
    return [o for o in overrides if not parser.parse_override(o).is_sweep_override()]


def artifacts_root(overrides: Sequence[str]) -> Path:
    """`paths.artifacts` of these overrides. Raises UserError where it is a file."""
    root = Path(paths_of(overrides).artifacts)
    if root.exists() and not root.is_dir():
        raise UserError(f"paths.artifacts={root} is not a folder")
    return root


def admit(overrides: Sequence[str]) -> None:
    """Import these overrides' plugins and check their choices, before Hydra sees them or anything is written.
    Raises UserError.
    """
    for override in overrides:
        _refuse_secrets(override)
    plugins.activate(overrides)
    _check_choices(overrides)
    _refuse_two_budgets(overrides)


def _refuse_secrets(override: str) -> None:
    option = secret_option(override)
    meant = None if option is None else near_key(option)
    if meant is not None:  # what it was given is not repeated: the slip may be in a secret's name
        raise UserError(f"{option}: no such key (did you mean {meant}?)")
    key = override.partition("=")[0].lstrip("+~")
    values = _values(override)
    if (
        option is not None
        or holds_secret(override)
        or any(value_holds_secret(key, value) for value in values)
    ):
        raise _holds_secret(option or key)
    for value, variable in environment_secrets().items():
        if any(value in text for text in (override, *values)):
            raise _holds_secret(key, variable)


def _values(override: str) -> list[str]:
    """The texts that an override gives, without the quotes of Hydra's grammar."""
    given = override.partition("=")[2]
    if not any(sign in given for sign in "'\"[{(,"):
        return [given]
    try:
        read = OverridesParser.create().parse_override(override)
        value = list(read.sweep_iterator()) if read.is_choice_sweep() else read.value()
    except (HydraException, ValueError, RecursionError):  # which is said where it is composed
        return [given]
    return list(_plain_texts(value))


def _plain_texts(value: Any) -> Iterator[str]:
    if isinstance(value, QuotedString | str):
        yield value if isinstance(value, str) else value.text
    elif isinstance(value, Mapping):
        for one in value.values():
            yield from _plain_texts(one)
    elif isinstance(value, list | tuple):
        for one in value:
            yield from _plain_texts(one)


def _holds_secret(key: str, variable: str | None = None) -> UserError:
    of = (
        "a key, an address with a password or a query"
        if variable is None
        else f"here the value of {variable}"
    )
    return UserError(
        f"{masked(key)}: no option takes a secret ({of}), for options are "
        "written into records; a key belongs into the environment (OPENAI_API_KEY, HF_TOKEN, WANDB_API_KEY)"
    )


def admit_launcher(overrides: Sequence[str]) -> None:
    """Compose how these overrides launch runs, which Hydra writes beside them. Raises UserError for a secret,
    Hydra's errors for what is unknown.
    """
    launching = [o for o in overrides if launches(o)]
    if launching:
        composed([*(o for o in overrides if o.lstrip("+~").startswith(_MAY_SET_PATHS)), *launching])


def refuse_secrets(cfg: DictConfig) -> None:
    """Raise UserError where a composed configuration has a secret, of whatever YAML; Hydra's part too."""
    refuse(_secrets(OmegaConf.to_container(cfg, resolve=False))[:1])


def _secrets(values: Any) -> list[UserError]:
    """One for each secret of nested values, of whatever shape, or known from the environment."""
    shaped = dict.fromkeys(secrets_in(values))
    known = {key: variable for key, variable in variables_in(values) if key not in shaped}
    return [*map(_holds_secret, shaped), *(_holds_secret(key, variable) for key, variable in known.items())]


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


def _refuse_two_budgets(overrides: Sequence[str]) -> None:
    """A number of samples beside one of tokens or FLOPs would have no say, and nobody would be told. Raises
    UserError.
    """
    given = {key: value for key, _, value in (override.partition("=") for override in overrides)}
    samples, others = given.get("budget.samples"), ("budget.tokens", "budget.flops")
    other = next((key for key in others if given.get(key, "null") != "null"), None)
    if samples is not None and other is not None:
        raise UserError(
            f"budget.samples={samples} and {other}={given[other]}: a run has one budget; leave one out, or "
            f"give {other}=null"
        )


def compose(overrides: Sequence[str]) -> RunConfig:
    """The configuration that these overrides give, as `ds2 OVERRIDES` would run it."""
    return to_config(composed(overrides))


def composed(overrides: Sequence[str]) -> DictConfig:
    """What Hydra makes of these overrides, interpolations unresolved."""
    admit(overrides)
    named = (Path(name.removeprefix("file://")) for name in plugins.search_folders(overrides))
    with (
        yaml_faults(chain(plugins.conf_folders().values(), named)),
        _other_hydra_aside(),
        hydra.initialize_config_dir(str(project_root() / "conf"), version_base="1.3"),
    ):
        cfg = hydra.compose("config", overrides=list(overrides), return_hydra_config=True)
    refuse_secrets(cfg)
    with open_dict(cfg):
        del cfg["hydra"]
    return cast(DictConfig, cfg)


@contextmanager
def _other_hydra_aside() -> Iterator[None]:
    """A program that uses Hydra itself gets its own back: there is one to a process."""
    before = GlobalHydra.instance().hydra
    GlobalHydra.instance().clear()
    try:
        yield
    finally:
        GlobalHydra.instance().hydra = before


def to_config(cfg: DictConfig) -> RunConfig:
    """Dataclasses of a composed configuration, those of a panel's raters among them, with paths resolved.
    Raises UserError: a value is missing, is a secret or no UTF-8, a number is none, or what is wrong with a
    panel.
    """
    config = resolve_paths(as_written(cfg))
    refuse_not_utf8(config)
    return config


def as_written(cfg: DictConfig) -> RunConfig:
    """`to_config`, with paths as they were given."""
    try:
        missing = sorted(OmegaConf.missing_keys(cfg))
    except OmegaConfBaseException as error:  # a value that refers to a missing one
        raise UserError(explain(error)) from error
    if missing:
        raise UserError(f"{missing[0]} is missing: give {missing[0]}=VALUE")
    config = cast(RunConfig, OmegaConf.to_object(cfg))
    refuse(_unknown(config))
    if isinstance(config.rater, PanelRaterConfig):
        config = replace(config, rater=with_members(config.rater, cfg))
    refuse([UserError(line) for line in number_problems(config)])
    refuse(_secrets(to_plain(config)))  # also what the environment gave
    return config


def _unknown(config: Any, where: str = "") -> list[UserError]:
    """What was added with `+key=value` and no dataclass has: OmegaConf sets it as an attribute."""
    errors = []
    known = {field.name for field in fields(config)}
    for name, value in vars(config).items():
        key = f"{where}{name}"
        if name not in known:
            hint = did_you_mean(name, known)
            errors.append(UserError(f"{key}: no such key{hint}; there are: {', '.join(sorted(known))}"))
        elif is_dataclass(value):
            errors += _unknown(value, f"{key}.")
    return errors
