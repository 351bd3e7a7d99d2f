"""Composed configurations, remembered: Hydra takes a seventh of a second for each, a table has a hundred.

What overrides compose to depends on the YAML found on the search path, on the configuration's dataclasses, on
the plugins, and on what interpolations read: the memory is a file named by a hash of the first three, and
beside each composition stand the environment variables that it names. One that asks another resolver (the
clock, a plugin's) is composed each time. Runs of a sweep share most of their groups, so that the file holds
each once. Losing the memory costs time only.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import fields, is_dataclass, replace
from functools import cache, lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypedDict

import ds2.config
from ds2.base.dataclass_json import from_plain, to_plain, typed
from ds2.base.drafts import replacing
from ds2.base.hashes import fingerprint
from ds2.base.json_files import parse_json, read_json
from ds2.base.load import load_function
from ds2.base.paths import project_root
from ds2.config import PanelRaterConfig, RunConfig, plugins
from ds2.config.paths import resolve_all
from ds2.config.run import OnWarning, Until

if TYPE_CHECKING:
    from omegaconf import DictConfig


_FILES = ".composed-{}.json"
_RESOLVER = re.compile(r"\$\{\s*([\w.]*)\s*(?=:|\$\{)")
_VARIABLE = re.compile(r"\$\{\s*oc\.env\s*:\s*([A-Za-z_]\w*)\s*[,}]")
_PURE = {"oc.create", "oc.decode", "oc.deprecated", "oc.dict.keys", "oc.dict.values", "oc.select"}
"""Resolvers that read the configuration alone."""
_GROUP = "group"
_ENUMS = {"until": Until, "on_warning": OnWarning}
Environment = dict[str, str | None]
"""Variable -> its value; None: not set."""


class _Packed(TypedDict):
    """A run in the memory's file."""

    config: dict[str, Any]
    """Its groups are numbers into the list of all."""
    environment: Environment


class _Kept(TypedDict):
    """What the memory's file holds."""

    groups: list[str]
    """Each group's class and fields, as JSON."""
    runs: dict[str, _Packed]
    """By overrides."""


def compose_all(runs: Sequence[Sequence[str]], *, memory: Path | None) -> list[RunConfig]:
    """Each run's configuration, of its overrides; Hydra is asked where the folder `memory` does not know
    it, or there is none.
    """
    named = sorted(
        {o for run in runs for o in run if o.lstrip("+").startswith(("plugins=", plugins.SEARCH_PATH))}
    )
    plugins.activate(named)
    sources = _sources(tuple(plugins.names(named)), plugins.search_folders(named))
    keys = [" ".join(overrides) for overrides in runs]
    if sources is None or memory is None:  # of the search path, a part may be unreadable here
        known = {key: config for key, (config, _) in _compose(dict(zip(keys, runs, strict=True))).items()}
        return resolve_all([known[key] for key in keys])
    file = memory / _FILES.format(sources)
    kept, known = _read(file, keys)
    unknown = {key: overrides for key, overrides in zip(keys, runs, strict=True) if key not in known}
    if unknown:
        made = _compose(unknown)
        known |= {key: config for key, (config, _) in made.items()}
        _save(file, _with(kept, made))
    return resolve_all([known[key] for key in keys])


def _read(file: Path, keys: Sequence[str]) -> tuple[_Kept, dict[str, RunConfig]]:
    """What the memory holds, and those of it that are asked for and hold in this environment; nothing where
    it is absent or damaged.
    """
    try:
        kept: _Kept = typed(_Kept, read_json(file), file.name)
        valid = [key for key in keys if key in kept["runs"] and _holds(kept["runs"][key]["environment"])]
        return kept, {key: _unpacked(kept["runs"][key]["config"], kept["groups"]) for key in valid}
    except (OSError, ValueError, TypeError, KeyError, IndexError):  # of what is kept, also in parts
        return _Kept(groups=[], runs={}), {}


def _holds(environment: Environment) -> bool:
    return all(os.environ.get(name) == value for name, value in environment.items())


def _compose(runs: Mapping[str, Sequence[str]]) -> dict[str, tuple[RunConfig, Environment | None]]:
    """Each configuration as it is written, and what it read of the environment (None: more than that). Runs
    that differ in their seed alone are composed together: no choice depends on `seed`.
    """
    from ds2.config.compose import as_written, composed

    alike = dict[tuple[str, ...], dict[str, int | None]]()
    for key, overrides in runs.items():
        seeds = [o.removeprefix("seed=") for o in overrides if o.startswith("seed=")]
        single = len(seeds) == 1 and seeds[0].isdecimal()
        rest = tuple(o for o in overrides if not (single and o.startswith("seed=")))
        alike.setdefault(rest, {})[key] = int(seeds[0]) if single else None
    made = {}
    for rest, seed_by_key in alike.items():
        cfg = composed(rest)
        read = _environment(cfg, rest)
        for key, seed in seed_by_key.items():
            if seed is not None:
                cfg.seed = seed
            made[key] = as_written(cfg), read
    return made


def _environment(cfg: DictConfig, overrides: Sequence[str]) -> Environment | None:
    """The variables that a composition's interpolations read; None where they read more than can be told."""
    from omegaconf import OmegaConf

    text = "\n".join([OmegaConf.to_yaml(cfg, resolve=False), *overrides])
    resolvers = [name for name in _RESOLVER.findall(text) if name not in _PURE]
    variables = _VARIABLE.findall(text)
    if len(resolvers) != len(variables):
        return None
    return {name: os.environ.get(name) for name in sorted(set(variables))}


def _with(kept: _Kept, made: Mapping[str, tuple[RunConfig, Environment | None]]) -> _Kept:
    """The memory with what was composed, where it is known on what that rests."""
    places, runs = {text: place for place, text in enumerate(kept["groups"])}, dict(kept["runs"])
    for key, (config, read) in made.items():
        if read is None:
            continue
        values = {f.name: getattr(config, f.name) for f in fields(config)}
        packed = {
            name: {_GROUP: places.setdefault(json.dumps(_pack(v)), len(places))}
            if is_dataclass(v)
            else to_plain(v)
            for name, v in values.items()
        }
        runs[key] = {"config": packed, "environment": read}
    return _Kept(groups=list(places), runs=runs)


def _pack(value: Any) -> dict[str, Any]:
    packed = {"class": f"{type(value).__module__}:{type(value).__qualname__}", "fields": to_plain(value)}
    if isinstance(value, PanelRaterConfig):
        packed["members"] = [_pack(member) for member in value.members]
    return packed


def _unpacked(packed: dict[str, Any], groups: Sequence[str]) -> RunConfig:
    values = {name: _group(groups[v[_GROUP]]) if isinstance(v, dict) else v for name, v in packed.items()}
    enums = {name: kind(values[name]) for name, kind in _ENUMS.items()}
    return RunConfig(**values | enums)


@lru_cache(maxsize=4096)
def _group(packed: str) -> Any:
    """One object for equal groups of many runs: configurations are never changed."""
    return _unpack(parse_json(packed))


def _unpack(packed: dict[str, Any]) -> Any:
    value = from_plain(_class(packed["class"]), packed["fields"])
    if isinstance(value, PanelRaterConfig):
        value = replace(value, members=[_unpack(member) for member in packed["members"]])
    return value


@cache
def _class(path: str) -> type[Any]:
    schema = load_function(path)
    if not isinstance(schema, type):
        raise TypeError(f"{path} is no class")
    return schema


def _sources(used: tuple[str, ...], folders: tuple[str, ...] = ()) -> str | None:
    """A hash of all that decides what overrides compose to, but for what these read themselves; None where a
    folder is no `file://`.
    """
    if any(not folder.startswith("file://") for folder in folders):
        return None
    content, variables = _content(used, folders)
    return fingerprint([content, {name: os.environ.get(name) for name in ("DS2_DATA", *variables)}])


@cache
def _content(used: tuple[str, ...], folders: tuple[str, ...]) -> tuple[str, tuple[str, ...]]:
    """A hash of code and YAML, wherever the project lies, and the variables that YAML names (a defaults list
    reads them too).
    """
    from importlib.metadata import version

    roots = [project_root() / "conf", *(Path(folder.removeprefix("file://")) for folder in folders)]
    named = [(str(file.relative_to(root)), file) for root in roots for file in sorted(root.rglob("*.yaml"))]
    named += [(file.name, file) for file in sorted(Path(ds2.config.__file__).parent.glob("*.py"))]
    named += [("/".join(file.parts[-3:]), file) for file in sorted(plugins.sources(used))]
    texts = [[name, file.read_text("utf-8", "replace")] for name, file in named if file.is_file()]
    variables = sorted({name for *_, text in texts for name in _VARIABLE.findall(text)})
    hashed = fingerprint([texts, version("hydra-core"), version("omegaconf")])
    return hashed, tuple(variables)


def _save(file: Path, kept: _Kept) -> None:
    with suppress(OSError):  # a read-only store still works, without memory
        file.parent.mkdir(parents=True, exist_ok=True)
        for old in file.parent.glob(_FILES.format("*")):
            if old != file:
                old.unlink(missing_ok=True)
        with replacing(file) as draft:
            draft.write_text(json.dumps(kept), encoding="utf-8")
