"""The jobs that a queue would run: a script for each missing run of a grid, a folder for each export."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator, Sequence
from dataclasses import fields, is_dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from hydra.core.override_parser.types import Quote, QuotedString

from ds2.base.errors import UserError
from ds2.base.paths import resolved, shown, writing
from ds2.base.words import printable
from ds2.config import RunConfig
from ds2.config.paths import path_fields
from ds2.config.plugins import search_folders
from ds2.runs.expected import ExpectedRun, State
from experiments.grid import Grid
from experiments.needs import NotKnown, wall_hours

_FIRST_LINES = "#!/bin/bash\n#SBATCH --job-name={name}\n"
"""By which a script of an earlier export is known."""
_SCRIPT = """#SBATCH --gpus=1
#SBATCH --cpus-per-task=8
#SBATCH --mem=64G
{limit}
#SBATCH --output={name}-%j.log
# Two minutes before its time is up the run keeps a checkpoint; submitted again, it goes on from there.
#SBATCH --signal=B:TERM@120
#SBATCH --requeue
# Where it reads and writes, as meant in the folder where this was exported:
{paths}
set -euo pipefail
cd "${{DS2_HOME:?the folder of the clone}}"
exec {command}
"""
DEFAULT_HOURS = 24
"""The time limit of a run of which nobody here knows how long it takes."""
_PLAIN = re.compile(r"[\w./:@+-]+", re.ASCII)
"""A path that Hydra takes without quotes."""


def check(system: str, folder: str) -> Path:
    """The whole path of an export's folder. Raises UserError for another queue, and for a folder that an
    export must not replace.
    """
    if system != "slurm":
        raise UserError(f"--export {system}: slurm is the only queue that is known")
    path = Path(folder).expanduser().resolve()
    if path.exists() and not path.is_dir():
        raise UserError(f"--export {system} {folder}: that is a file; name a folder for the scripts")
    if Path.cwd().is_relative_to(path):
        raise UserError(f"--export {system} {folder}: name a folder of the scripts' own, such as jobs")
    foreign = sorted(each for each in path.iterdir() if not _is_ours(each)) if path.exists() else []
    if foreign:
        raise UserError(
            f"--export {system} {folder}: {shown(foreign[0])} was written by no export, which replaces its "
            "folder as a whole; name another folder"
        )
    return path


def _is_ours(path: Path) -> bool:
    if path.suffix != ".sh" or path.is_symlink() or not path.is_file():
        return False
    return path.read_bytes().startswith(_FIRST_LINES.format(name=path.stem).encode())


def export(grid: Grid, system: str, folder: str) -> list[Path]:
    """Write a job script for each run that is not done, in place of an earlier export; their paths.

    Raises:
        UserError: another queue, or a folder that cannot be written or must not be replaced.
    """
    path = check(system, folder)
    waiting = [each for each in grid.expected if each.state is not State.done and each.to_launch]
    names = [f"{grid.sweep.name}-{number:03d}" for number in range(len(waiting))]
    scripts = {f"{name}.sh": _script(name, each) for name, each in zip(names, waiting, strict=True)}
    with writing(path.parent):
        _replace(path, scripts)
    return [path / name for name in scripts]


def _replace(folder: Path, scripts: dict[str, str]) -> None:
    """Let the folder hold these scripts and no others. All are written beside it first: what is killed
    meanwhile leaves one export or none, never two in one folder.
    """
    with TemporaryDirectory(prefix=f".{folder.name}.", suffix=".draft", dir=folder.parent) as beside:
        new, old = Path(beside) / "new", Path(beside) / "old"
        new.mkdir()
        for name, script in scripts.items():
            (new / name).write_text(script, encoding="utf-8")
        if folder.exists():
            folder.rename(old)
        try:
            new.rename(folder)
        finally:
            if not folder.exists() and old.exists():  # the new ones did not get there
                old.rename(folder)


def _script(name: str, run: ExpectedRun) -> str:
    paths = _paths_of(run.config) | _search_path(run.overrides)
    given = [o for o in run.overrides if o.partition("=")[0].lstrip("+") not in paths]
    command = shlex.join(["ds2", *given, *(f"{key}={value}" for key, value in paths.items())])
    said = "\n".join(f"#   {key}={printable(value)}".replace("\n", "\\n") for key, value in paths.items())
    return _FIRST_LINES.format(name=name) + _SCRIPT.format(
        name=name, limit=_limit(run.config), paths=said, command=command
    )


def _limit(config: RunConfig) -> str:
    """The line of the time limit: twice the estimate, for it is one."""
    try:
        return f"#SBATCH --time={int(2 * wall_hours(config)) + 1}:00:00"
    except NotKnown as error:
        return (
            f"# How long it takes is not known ({error}): change this line, or sbatch --time=HOURS:00:00\n"
            f"#SBATCH --time={DEFAULT_HOURS}:00:00"
        )


def _paths_of(config: RunConfig) -> dict[str, str]:
    """Key -> value, as Hydra reads it, of each path that another folder or environment would make another
    one: those of the store, and those that lie below the working folder.
    """
    here = str(Path.cwd())
    return {
        key: _text(value)
        for key, value in _path_values(config)
        if value and (key.startswith("paths.") or any(path.startswith(here) for path in _each(value)))
    }


def _search_path(overrides: Sequence[str]) -> dict[str, str]:
    """The folders of choices among the overrides, absolute."""
    folders = [
        f"file://{resolved(folder.removeprefix('file://'))}" if folder.startswith("file://") else folder
        for folder in search_folders(overrides)
    ]
    return {"hydra.searchpath": _text(folders)} if folders else {}


def _path_values(config: Any, prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Each key that takes a path, with what it is in this configuration."""
    for name in path_fields(type(config)):
        yield f"{prefix}{name}", getattr(config, name)
    for field in fields(config):
        value = getattr(config, field.name)
        if is_dataclass(value):
            yield from _path_values(value, f"{prefix}{field.name}.")


def _each(value: Any) -> Sequence[str]:
    return [str(each) for each in value] if isinstance(value, list) else [str(value)]


def _text(value: Any) -> str:
    if isinstance(value, list):
        return f"[{','.join(map(_text, value))}]"
    text = str(value)
    return text if _PLAIN.fullmatch(text) else str(QuotedString(text, Quote.single).with_quotes())
