"""Every file of every artifact, damaged in every way: the command names it, or computes it again; it is never
used.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from helpers.faults import CHAINS, TUNED, Place
from helpers.worlds import artifacts

from ds2.artifacts.record import RECORD
from ds2.cli import main as cli


def flip(path: Path, rng: np.random.Generator) -> None:
    """One bit, the times as they were."""
    data, times = bytearray(path.read_bytes()), path.stat()
    data[rng.integers(len(data))] ^= 1 << int(rng.integers(8))
    path.write_bytes(data)
    os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))


def cut(path: Path, rng: np.random.Generator) -> None:
    os.truncate(path, int(rng.integers(1, path.stat().st_size)))


def empty(path: Path, rng: np.random.Generator) -> None:
    os.truncate(path, 0)


def remove(path: Path, rng: np.random.Generator) -> None:
    path.unlink()


def swap(path: Path, rng: np.random.Generator) -> None:
    """The content of the same file of another artifact, or of another file where there is none."""
    others = [each for each in path.parents[2].rglob("*.*") if each.is_file() and each.suffix == path.suffix]
    foreign = [each for each in others if each.read_bytes() != path.read_bytes()]
    path.write_bytes(foreign[int(rng.integers(len(foreign)))].read_bytes() if foreign else b"other")


DAMAGES: tuple[Callable[[Path, np.random.Generator], None], ...] = (flip, cut, empty, remove, swap)


@pytest.mark.parametrize("damage", DAMAGES, ids=lambda damage: damage.__name__)
@pytest.mark.parametrize("stage", TUNED)
def test_no_damaged_file_is_used(stage, damage, tmp_path, quiet, rng, tally, monkeypatch, capfd):
    whole = quiet("tuned")
    place = Place(tmp_path / "place", CHAINS["tuned"], TUNED).holding(whole)
    monkeypatch.chdir(place.folder)
    command = [*place.options, "tracking=none", "paths.artifacts=artifacts", "runtime.progress=false"]
    assert cli.run(command) == 0
    (folder,) = (
        path for name, path in artifacts(place.store, pages=True).items() if name.startswith(f"{stage}/")
    )
    for file in [path for path in sorted(folder.rglob("*")) if path.is_file() and path.stat().st_size]:
        content = file.read_bytes()
        damage(file, rng)
        capfd.readouterr()
        code = cli.run(command)
        said = capfd.readouterr().err
        errors = [line for line in said.splitlines() if line.startswith("error")]
        if code == 2 and len(errors) == 1 and str(file.relative_to(place.folder)) in errors[0]:
            tally(damage.__name__, f"files of {stage}", "refused by name")
        elif code == 0 and file.name == RECORD and file.read_bytes() != content:
            equal = place.faults(whole)
            tally(
                damage.__name__, f"files of {stage}", "; ".join(equal) or "computed again, equal", not equal
            )
        else:
            tally(damage.__name__, f"files of {stage}", f"{file.name}: {code}, {said[-600:]}", fine=False)
        if code == 2:
            file.write_bytes(content)
