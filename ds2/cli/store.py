"""`ds2 list`, `show`, `verify`, `diff`, `doctor`, `gc`: what can be chosen, what is in the store, and whether
it is sound.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, Protocol

from rich.table import Table

from ds2.artifacts.lineage import locate
from ds2.artifacts.record import RECORD, find_artifacts, read_any_record
from ds2.artifacts.store import ArtifactStore
from ds2.artifacts.versions import Age, age
from ds2.base.errors import DamagedArtifact, NewerArtifact, UserError
from ds2.base.extras import absent, extras
from ds2.base.paths import shown
from ds2.base.words import duration, number_of, size
from ds2.cli import console, gc
from ds2.cli.usage import GROUPS
from ds2.config import plugins
from ds2.config.command_line import JSON, CommandLine
from ds2.config.compose import artifacts_root, paths_of
from ds2.config.stages import STAGES

_LISTED = ("stage", "slug", "fingerprint", "version", "finished", "wall_seconds")
"""Of a record, what `ds2 list --json` tells."""
_WANDB = ("WANDB_MODE", "WANDB_DISABLED", "WANDB_PROJECT", "WANDB_ENTITY", "WANDB_DIR")
"""Variables that decide where a run is tracked; none holds a secret."""


class _SaysJson(Protocol):
    def __call__(self, store: ArtifactStore, words: Sequence[str], /, *, as_json: bool) -> int: ...


def run(command: str, given: CommandLine) -> int:
    """One subcommand; its exit code. Raises UserError for words, keys and options it does not know."""
    if command == "doctor" and any(o.startswith("rater") for o in given.overrides) and not given.words:
        from ds2.cli.doctor import examine_rater

        return examine_rater(given.overrides)
    choices = command == "list" and given.words[:1] == ["choices"]
    allowed = ("plugins=", "+plugins=") if choices else ("paths.artifacts=",)
    if command == "gc":
        allowed = (*allowed, "paths.store=")
    as_json = [JSON] if given.as_json and (command not in MACHINE_READABLE or choices) else []
    refused = [*(o for o in given.overrides if not o.startswith(allowed)), *given.options, *as_json]
    if refused:
        raise UserError(f"ds2 {command} {' '.join(given.words)}".rstrip() + f" takes no {refused[0]}")
    if choices:
        return _choices(given.words[1:], given.overrides)
    store = ArtifactStore(artifacts_root(given.overrides))
    if command in MACHINE_READABLE:
        return MACHINE_READABLE[command](store, given.words, as_json=given.as_json)
    if command == "gc":
        return gc.run(store, given.words, paths_of(given.overrides).store)
    return COMMANDS[command](store, given.words)


def _artifacts(store: ArtifactStore, stage: str | None = None) -> Iterator[Path]:
    for name in [stage] if stage else STAGES:
        yield from find_artifacts(store.root / name)


def _choices(groups: Sequence[str], named: Sequence[str]) -> int:
    """ds2 list choices [GROUP] [plugins=[...]]: what can be chosen, and the package that it comes with."""
    unknown = [group for group in groups if group not in GROUPS]
    if unknown or len(groups) > 1:
        raise UserError(f"ds2 list choices takes one group; there are: {', '.join(GROUPS)}")
    plugins.activate(named)
    table = Table("group", "choice", "package")
    for group in groups or GROUPS:
        for choice, package in plugins.choices(group).items():
            table.add_row(group, choice, package)
    console.show(table)
    return 0


def _list(store: ArtifactStore, words: Sequence[str], *, as_json: bool) -> int:
    """ds2 list [STAGE] [--json]: finished artifacts; as JSON one object a line."""
    stage = words[0] if words else None
    if stage is not None and stage not in STAGES:
        raise UserError(f"ds2 list {stage}: no such stage; there are: {', '.join(STAGES)}; or choices")
    header, rows = ("stage", "artifact", "finished", "computed in", "size"), []
    total = 0
    for path in _artifacts(store, stage):
        record = read_any_record(path)
        count = sum(file["bytes"] for file in record["files"].values())
        total += count
        if as_json:
            listed = {key: value for key, value in record.items() if key in _LISTED} | {
                "path": str(path),
                "bytes": count,
            }
            console.line(json.dumps(listed, ensure_ascii=False))
            continue
        took, how_old = duration(record["wall_seconds"]), age(record["stage"], record["version"])
        of = "" if how_old is Age.current else f" ({how_old.value} version)"
        rows.append((record["stage"] + of, path.name, record["finished"], took, size(count)))
    if not as_json:
        console.columns(header, rows, right=(3, 4))
        console.line(f"{number_of(len(rows), 'artifact')}, {size(total)}, in {shown(store.root)}")
    return 0


def _show(store: ArtifactStore, words: Sequence[str], *, as_json: bool) -> int:
    """ds2 show FINGERPRINT [--json]: an artifact's record; the first digits are enough. As JSON: one object
    and nothing else, the installed packages by name.
    """
    if len(words) != 1:
        raise UserError("ds2 show takes one fingerprint, or its first digits")
    path = locate(store.root, words[0])
    record: dict[str, Any] = {**read_any_record(path)}
    if as_json:
        console.line(json.dumps({"path": str(path), **record}, ensure_ascii=False))
        return 0
    if record.get("packages"):
        record["packages"] = f"{len(record['packages'])}, named in {RECORD}"
    console.line(shown(path))
    console.line(json.dumps(record, indent=2, ensure_ascii=False))
    return 0


def _doctor(store: ArtifactStore, words: Sequence[str]) -> int:
    """ds2 doctor: installed extras, and every artifact against its checksums."""
    if words:
        raise UserError(f"ds2 doctor takes no {words[0]}")
    for extra in extras():
        missing = absent(extra)
        console.line(
            f"{extra}: "
            + (f"missing {', '.join(missing)} (pip install 'ds2[{extra}]')" if missing else "installed")
        )
    said = {name: os.environ[name] for name in _WANDB if name in os.environ}
    console.line("W&B's variables: " + (", ".join(f"{k}={v}" for k, v in said.items()) or "none is set"))
    sound, damaged, newer = 0, list[str](), list[str]()
    for path in _artifacts(store):
        try:
            store.verify(path)
            sound += 1
        except DamagedArtifact as error:
            damaged.append(str(error))
        except NewerArtifact as error:
            newer.append(str(error))
    console.line(f"{sound} sound artifacts in {shown(store.root)}")
    for line in newer:
        console.warning(line)
    for line in damaged:
        console.error(line)
    return 1 if damaged else 0


def _verify(store: ArtifactStore, words: Sequence[str]) -> int:
    from ds2.cli import verify  # it brings the stages, which the others here do without

    return verify.run(store, words)


def _diff(store: ArtifactStore, words: Sequence[str], *, as_json: bool) -> int:
    from ds2.cli import diff  # brings pandas

    return diff.run(store, words, as_json=as_json)


MACHINE_READABLE: dict[str, _SaysJson] = {"list": _list, "show": _show, "diff": _diff}
"""Commands that take `--json`."""
COMMANDS: dict[str, Callable[[ArtifactStore, Sequence[str]], int]] = {
    "verify": _verify,
    "doctor": _doctor,
}
NAMES = (*MACHINE_READABLE, *COMMANDS, "gc")
