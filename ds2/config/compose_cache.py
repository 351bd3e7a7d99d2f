"""Composed configurations, remembered: Hydra takes a seventh of a second for each, a table has a hundred.

What overrides compose to depends on the files of `conf/`, on the configuration's dataclasses, on the plugins
and on the environment; the memory is a file named by a hash of these, so a change starts a new one. Losing it
costs time only.
"""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import fields, is_dataclass
from functools import cache
from pathlib import Path
from typing import Any, get_type_hints

import ds2.config
from ds2.base.dataclass_json import from_plain, to_plain
from ds2.base.drafts import replacing
from ds2.base.hashes import fingerprint
from ds2.base.load import load_function
from ds2.base.paths import project_root
from ds2.config import RunConfig, plugins

_FILES = ".composed-{}.json"


def compose_all(runs: Sequence[Sequence[str]], *, memory: Path) -> list[RunConfig]:
    """Each run's configuration, of its overrides; Hydra is asked where the folder `memory` does not know
    it.
    """
    named = sorted({o for run in runs for o in run if o.lstrip("+").startswith("plugins=")})
    plugins.activate(named)
    file = memory / _FILES.format(_sources(tuple(plugins.names(named))))
    keys = [" ".join(overrides) for overrides in runs]
    packed, known = _read(file, keys)
    unknown = {key: list(overrides) for key, overrides in zip(keys, runs, strict=True) if key not in known}
    if unknown:
        composed = _compose(unknown)
        known |= composed
        _save(file, packed | {key: _packed(config) for key, config in composed.items()})
    return [known[key] for key in keys]


def _read(file: Path, keys: Sequence[str]) -> tuple[dict[str, Any], dict[str, RunConfig]]:
    """What the memory holds, and those of it that are asked for; nothing where it is absent or damaged."""
    try:
        packed = dict(json.loads(file.read_text(encoding="utf-8")))
        return packed, {key: _unpacked(packed[key]) for key in keys if key in packed}
    except (OSError, ValueError, TypeError, KeyError, AttributeError):
        return {}, {}


def _compose(runs: dict[str, list[str]]) -> dict[str, RunConfig]:
    """Runs that differ in their seed alone are composed together."""
    from ds2.config.compose import compose, compose_seeds

    composed, alike = {}, dict[tuple[str, ...], dict[str, int]]()
    for key, overrides in runs.items():
        seeds = [o.removeprefix("seed=") for o in overrides if o.startswith("seed=")]
        if len(seeds) == 1 and seeds[0].isdecimal():
            rest = tuple(o for o in overrides if not o.startswith("seed="))
            alike.setdefault(rest, {})[key] = int(seeds[0])
        else:
            composed[key] = compose(overrides)
    for rest, by_key in alike.items():
        composed |= zip(by_key, compose_seeds(rest, list(by_key.values())), strict=True)
    return composed


def _packed(config: RunConfig) -> dict[str, Any]:
    """Plain values, and the class of each group: `pool` may be any kind of pool."""
    return {
        f.name: {"class": f"{type(value).__module__}:{type(value).__qualname__}", "fields": to_plain(value)}
        if is_dataclass(value := getattr(config, f.name))
        else to_plain(value)
        for f in fields(config)
    }


def _unpacked(packed: dict[str, Any]) -> RunConfig:
    values = {
        name: from_plain(_class(value["class"]), value["fields"]) if isinstance(value, dict) else value
        for name, value in packed.items()
    }
    until = get_type_hints(RunConfig)["until"]
    return RunConfig(**values | {"until": until(values["until"])})


@cache
def _class(path: str) -> type[Any]:
    schema = load_function(path)
    if not isinstance(schema, type):
        raise TypeError(f"{path} is no class")
    return schema


@cache
def _sources(used: tuple[str, ...]) -> str:
    """A hash of all that decides what overrides compose to."""
    from importlib.metadata import version

    root = project_root()
    code = [*Path(ds2.config.__file__).parent.glob("*.py")]
    files = sorted([*(root / "conf").rglob("*.yaml"), *code, *plugins.sources(used)])
    content = [[*p.parts[-3:], p.read_text(encoding="utf-8")] for p in files]
    return fingerprint([content, os.environ.get("DS2_DATA"), version("hydra-core"), version("omegaconf")])


def _save(file: Path, known: dict[str, Any]) -> None:
    with suppress(OSError):  # a read-only store still works, without memory
        file.parent.mkdir(parents=True, exist_ok=True)
        for old in file.parent.glob(_FILES.format("*")):
            if old != file:
                old.unlink(missing_ok=True)
        with replacing(file) as draft:
            draft.write_text(json.dumps(known), encoding="utf-8")
