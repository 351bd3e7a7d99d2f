"""Long work on rows in parts of 512, each kept on disk once it is whole: interrupted work goes on from there.

A part is a file with the checksums of its numbers and the hash of what they were made of. One that is
damaged, or was made of something else, is computed again. Memory holds no part but the one at hand.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from ds2.base.drafts import replacing
from ds2.base.engine import HERE, Engine
from ds2.base.errors import DamagedArtifact
from ds2.base.number_files import DAMAGED
from ds2.base.progress import Bar
from ds2.models.compute import Meter

Row = TypeVar("Row")

PART = 512
"""Rows computed between two saves."""


@dataclass(frozen=True)
class Part:
    """What a model made of some rows, and what it read for that."""

    values: NDArray[Any]
    """One entry, or line, a row."""
    tokens: int
    parameters: int
    shared_tokens: int = 0
    """Read besides, once for all parts (a target set)."""


def in_parts(
    rows: Sequence[Row],
    make: Callable[[], Callable[[Sequence[Row]], Part]],
    folder: Path,
    *,
    progress: bool,
    what: str,
    meter: Meter,
    engine: Engine = HERE,
    origin: Callable[[Sequence[Row]], str] | None = None,
) -> Iterator[NDArray[Any]]:
    """What `make()` computes of all rows: the values of each part, in order, when all are on disk.

    Args:
        make: loads the model, where there is a part to compute.
        folder: where parts lie, and finished ones are looked for.
        progress: show a bar named `what`, in which finished parts count from the start.
        meter: told what all parts took, whenever they were computed.
        origin: the hash of what decides these rows' values, by which a part of other rows or of another model
            is known; without it whatever lies in the folder is taken to be this work's.

    Raises:
        DamagedArtifact: a part was damaged after it was looked at.
    """
    folder.mkdir(exist_ok=True)
    spans = [slice(at, min(at + PART, len(rows))) for at in range(0, len(rows), PART)]
    paths = [folder / f"{span.start:09d}.npz" for span in spans]
    origins = [origin(rows[span]) if origin else "" for span in spans]
    known = list(zip(paths, origins, strict=True))
    missing = [number for number, place in enumerate(known) if _read(*place) is None]
    with Bar(total=len(rows), desc=what, unit="sample", disable=not progress) as bar:
        bar.update(len(rows) - sum(spans[number].stop - spans[number].start for number in missing))
        for done, part in engine.map(make, (rows[spans[number]] for number in missing)):
            _write(*known[missing[done]], part)
            bar.update(len(part.values))
    for number, place in enumerate(known):
        kept = _read(*place)
        if kept is None:
            raise DamagedArtifact(f"{paths[number]} was damaged since it was written: run the command again")
        meter.read(kept.parameters, kept.tokens + (kept.shared_tokens if number == 0 else 0))
        yield kept.values


def _write(path: Path, origin: str, part: Part) -> None:
    with replacing(path, durable=True) as draft, draft.open("wb") as handle:
        np.savez(handle, **asdict(part), origin=np.array(origin))


def _read(path: Path, origin: str) -> Part | None:
    """None: it is not there, damaged, or made of something else."""
    try:
        with np.load(path, allow_pickle=False) as kept:
            if str(kept.get("origin", "")) != origin:
                return None
            counts = {name: int(kept[name]) for name in ("tokens", "parameters", "shared_tokens")}
            return Part(kept["values"], **counts)
    except DAMAGED:
        return None
