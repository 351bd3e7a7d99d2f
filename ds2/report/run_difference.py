"""What tells two runs apart: choices, versions, inputs, and then results. Records alone are read, and the
subsets' ids.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from ds2.artifacts import subset
from ds2.artifacts.lineage import lineage
from ds2.artifacts.record import Record
from ds2.report import facts

Pair = tuple[Any, Any]
"""What one run has and what the other; None where it has none."""
_EXECUTION = ("runtime", "engine", "paths", "tracking", "until", "on_warning")
"""Parts of a configuration that no result depends on."""
_READERS = {
    "model": {"model", "measure", "finetune", "evaluate"}, "finetune": {"finetune"}, "eval": {"evaluate"},
    "budget": {"select"}, "selection": {"measure", "select"},
}  # fmt: skip
"""Groups of choices that the later stages alone read."""
_TIMES = ("seconds", "memory", "per_second", "mfu", "resumed_from_step")
"""Counts whose name has one of these tell of the machine."""


@dataclass(frozen=True)
class RunDifference:
    """By name, what both runs have where that is not the same."""

    choices: dict[str, Pair] = field(default_factory=dict)
    """Fields of the configuration that decide what comes out."""
    execution: dict[str, Pair] = field(default_factory=dict)
    """Fields that decide where and how it is computed."""
    versions: dict[str, Pair] = field(default_factory=dict)
    """Packages, Python, DS2's commit and stages' versions, host."""
    inputs: dict[str, Pair] = field(default_factory=dict)
    """Content of files and models, and of each stage the fingerprint."""
    results: dict[str, Pair] = field(default_factory=dict)
    """Numbers that the stages counted."""
    notes: tuple[str, ...] = ()
    """What cannot be told, or is worth a word."""

    @property
    def plain(self) -> dict[str, Any]:
        """JSON-ready."""
        return asdict(self)


def run_difference(first: Path, second: Path) -> RunDifference:
    """How two runs differ, each known by an artifact: it and all that it was made from.

    Raises:
        DamagedArtifact: a record is not what was written.
    """
    a, b = lineage(first), lineage(second)
    stages = list(dict.fromkeys([*a, *b]))
    of_run = a[first.parent.name][1].get("run"), b[second.parent.name][1].get("run")
    notes = []
    if None in of_run:
        notes.append("settings are those of stages: one record is older than kept configurations")
    settings = _apart(*(_settings(lines, run if None not in of_run else None)
                        for lines, run in zip((a, b), of_run, strict=True)))  # fmt: skip
    shared = [stage for stage in stages if stage in a and stage in b]
    settings = {key: pair for key, pair in settings.items() if _has_a_say(key, shared)}
    choices = {key: pair for key, pair in settings.items() if not _is_execution(key)}
    for which, only in (("first", a), ("second", b)):
        alone = [stage for stage in only if stage not in shared]
        notes += [f"only the {which} has {', '.join(alone)}"] if alone else []
    notes += _overlap(a, b)
    return RunDifference(
        choices=choices,
        execution={key: pair for key, pair in settings.items() if key not in choices},
        versions=_versions(a, b, shared),
        inputs=_apart(_inputs(a, shared), _inputs(b, shared)),
        results=_apart(_results(a, shared), _results(b, shared)),
        notes=tuple(notes),
    )


Lineage = Mapping[str, tuple[Path, Record]]


def _apart(one: Mapping[str, Any], other: Mapping[str, Any]) -> dict[str, Pair]:
    keys = dict.fromkeys([*one, *other])
    return {key: (one.get(key), other.get(key)) for key in keys if one.get(key) != other.get(key)}


def _has_a_say(key: str, shared: Sequence[str]) -> bool:
    """Whether a stage that both runs have could read it."""
    readers = _READERS.get(key.partition(".")[0])
    return readers is None or bool(readers & set(shared))


def _is_execution(key: str) -> bool:
    return bool(set(key.split(".")) & set(_EXECUTION))


def _settings(stages: Lineage, run: Mapping[str, Any] | None) -> dict[str, Any]:
    """The run's whole configuration by dotted key; without one, the settings of its stages."""
    if run is not None:
        return _flat(run)
    return _flat({name: record["config"] for name, (_, record) in stages.items()})


def _flat(value: Mapping[str, Any], at: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for key, item in value.items():
        name = f"{at}.{key}" if at else str(key)
        flat |= _flat(item, name) if isinstance(item, Mapping) and item else {name: item}
    return flat


def _versions(a: Lineage, b: Lineage, shared: Sequence[str]) -> dict[str, Pair]:
    """One line where all stages agree, one a stage where they do not."""
    found: dict[str, dict[str, Pair]] = {}
    for stage in shared:
        for key, pair in _apart(_made_with(a[stage][1]), _made_with(b[stage][1])).items():
            found.setdefault(key, {})[stage] = pair
    apart: dict[str, Pair] = {}
    for key, pairs in found.items():
        if len(pairs) == len(shared) and len(set(pairs.values())) == 1:
            apart[key] = next(iter(pairs.values()))
        else:
            apart |= {f"{stage}: {key}": pair for stage, pair in pairs.items()}
    return apart


def _made_with(record: Record) -> dict[str, Any]:
    packages = record.get("packages") or record["versions"]
    host = record["host"]
    return {
        "stage's version": record["version"], "python": record["python"], "commit": record["git_commit"],
        "host": f"{host.get('name')} ({host.get('system')} {host.get('machine')})", **packages,
    }  # fmt: skip


def _inputs(stages: Lineage, shared: Sequence[str]) -> dict[str, Any]:
    """What came from outside the run, by content; then each stage's fingerprint."""
    outside = {
        name: fingerprint
        for _, record in stages.values()
        for name, fingerprint in record["inputs"].items()
        if name not in stages
    }
    return outside | {name: stages[name][1]["fingerprint"] for name in shared}


def _results(stages: Lineage, shared: Sequence[str]) -> dict[str, Any]:
    return {
        f"{name}.{key}": value
        for name in shared
        for key, value in facts.flatten(stages[name][1]["counts"]).items()
        if not any(word in key for word in _TIMES)
    }


def _overlap(a: Lineage, b: Lineage) -> list[str]:
    if "select" not in a or "select" not in b:
        return []
    one, other = (set(subset.read_subset(stages["select"][0])["id"]) for stages in (a, b))
    return [f"the subsets share {len(one & other):,} of {len(one):,} and {len(other):,} samples"]
