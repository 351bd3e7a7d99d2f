"""What lies in a folder, each folder of it once: links may lead round and round.

Of what `datasets.save_to_disk` leaves, the files that it names are taken, in its order, and no others.
"""

from __future__ import annotations

import glob
import os
from collections.abc import Callable, Iterator
from pathlib import Path, PurePath
from typing import Any

from ds2.base.errors import UserError, first_line
from ds2.base.json_files import read_json
from ds2.base.words import few


def files_below(root: Path, notes: list[str]) -> Iterator[Path]:
    """Every file below a folder that is not hidden, sorted; those of `datasets.save_to_disk` in its order.

    Raises UserError where what `datasets.save_to_disk` left is damaged.
    """
    seen: set[tuple[int, int]] = set()
    waiting = [root]
    while waiting:
        path = waiting.pop()
        if not path.is_dir():
            yield path
        elif _is_new(path, seen):
            waiting += reversed(_in_order(path, notes))


def matching(pattern: Path) -> list[Path]:
    """What a pattern names, sorted, as `glob` finds it, but each folder of a `**` once."""
    return sorted(set(_matching(pattern)))


def _matching(pattern: Path) -> Iterator[Path]:
    parts = pattern.parts
    if "**" not in parts:
        yield from map(Path, glob.glob(str(pattern)))  # noqa: PTH207 - the pattern may be absolute
        return
    at = parts.index("**")
    rest = parts[at + 1 :] or ("*",)
    for top in _matching(Path(*parts[:at])):
        for folder in _folders_below(top):
            yield from _matching(Path(glob.escape(str(folder)), *rest))


def _folders_below(root: Path) -> Iterator[Path]:
    seen: set[tuple[int, int]] = set()
    waiting = [root]
    while waiting:
        path = waiting.pop()
        if path.is_dir() and _is_new(path, seen):
            yield path
            waiting += reversed(_visible(path))


def _is_new(folder: Path, seen: set[tuple[int, int]]) -> bool:
    """Whether a folder, by whatever name, was not seen before."""
    stat = folder.stat()
    identity = (stat.st_dev, stat.st_ino)
    known = identity in seen
    seen.add(identity)
    return not known


def _visible(folder: Path) -> list[Path]:
    return sorted(path for path in folder.iterdir() if not path.name.startswith("."))


def _in_order(folder: Path, notes: list[str]) -> list[Path]:
    """What is to be read of a folder."""
    state, splits = folder / "state.json", folder / "dataset_dict.json"
    if splits.is_file():
        names = _saved(splits, "splits", lambda split: split)
        chosen = "train" if "train" in names else names[0]
        if others := few(name for name in names if name != chosen):
            notes.append(f"{folder}: the split {chosen} is read, not {others}; name its folder for another")
        return [folder / chosen]
    if state.is_file() and (folder / "dataset_info.json").is_file():
        named = _saved(state, "_data_files", lambda file: file["filename"])
        return [folder / name for name in named]
    return _visible(folder)


def _saved(file: Path, key: str, name_of: Callable[[Any], Any]) -> list[str]:
    """The names that one of the files lists that `datasets.save_to_disk` leaves: of what lies beside it."""
    try:
        listed = read_json(file)[key]
        names = [name_of(each) for each in listed] if isinstance(listed, list) else []
        beside = bool(names) and all(map(_lies_beside, names))
    except (OSError, ValueError, LookupError, TypeError) as error:
        raise UserError(f"{file} is not as datasets.save_to_disk leaves it ({first_line(error)})") from error
    if not beside:
        raise UserError(
            f"{file} is not as datasets.save_to_disk leaves it ({key}: not names of what lies beside it)"
        )
    return names


def _lies_beside(name: Any) -> bool:
    """Whether a name leads nowhere else. Raises ValueError where no file can have it."""
    os.fsencode(name)
    return name not in ("", "..") and PurePath(name).name == name and "\0" not in name
