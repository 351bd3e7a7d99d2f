"""`ds2 gc paths.store=URL`: what of a store that machines share can go, and why."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence

from ds2.artifacts.lineage import of_other_versions
from ds2.artifacts.record import RECORD, Record
from ds2.artifacts.remote import Place, RemoteStore
from ds2.base.errors import DamagedArtifact, UserError
from ds2.base.progress import Bar
from ds2.base.words import number_of, size
from ds2.cli import console
from ds2.cli.gc_words import DELETE, last_line
from ds2.config.stages import STAGES

_YOUNG = 86_400.0
"""Seconds for which what was written stays, whatever it is: a machine may be pushing it, and the clock of the
store may be another.
"""
_AT_ONCE = 200
"""Records that are asked for together."""


def run(remote: RemoteStore, words: Sequence[str]) -> None:
    """Name what machines left that died, of which nothing is younger than a day, and finished artifacts of
    other stage versions; remove them where the words say so. Raises UserError: the store cannot be asked.
    """
    try:
        _run(remote, words)
    except OSError as error:
        said = next(iter(str(error).splitlines()), "") or type(error).__name__
        raise UserError(f"paths.store={remote.url} cannot be asked: {said}") from error


def _run(remote: RemoteStore, words: Sequence[str]) -> None:
    delete = DELETE in words
    listing = remote.listing()
    if not listing:
        console.line(f"nothing of DS2's in {remote.url}")
        return
    records = dict(_records(remote, [place for place in sorted(listing) if RECORD in listing[place]]))
    unfinished, ages = 0, []
    for place in sorted(listing):
        left = _left(remote, place, listing[place], records.get(place))
        if left:
            unfinished += 1
            if delete:
                remote.remove(place, left)
            _say("deleted" if delete else "unfinished", remote, place, number_of(len(left), "object"),
                 [listing[place][name] for name in left])  # fmt: skip
    reasons = of_other_versions(record for record in records.values() if record is not None)
    for place, record in records.items():
        if record is not None and record["fingerprint"] in reasons:
            how_old, why = reasons[record["fingerprint"]]
            ages.append(how_old)
            going = delete and how_old.value in words
            if going:
                remote.remove(place, listing[place])
            _say("deleted" if going else how_old.value, remote, place, why, listing[place].values())
    counts = [f"{remote.url}: {number_of(unfinished, 'place')} with objects that machines left"]
    console.line(last_line(counts, bool(unfinished), ages, words, f"paths.store={remote.url}"))


def _records(remote: RemoteStore, places: Sequence[Place]) -> Iterator[tuple[Place, Record | None]]:
    """Each with its record; None, and said, where that is damaged."""
    with Bar(total=len(places), desc="records", unit="artifact", leave=False) as bar:
        for first in range(0, len(places), _AT_ONCE):
            some = places[first : first + _AT_ONCE]
            for place, record in zip(some, remote.records(some), strict=True):
                if isinstance(record, DamagedArtifact):
                    console.error(str(record))
                yield place, None if isinstance(record, DamagedArtifact) else record
            bar.update(len(some))


def _left(remote: RemoteStore, place: Place, objects: Collection[str], record: Record | None) -> list[str]:
    """Objects of an artifact that a machine left which died. Without a record it is all of them, if none is
    young; beside one it is each old one that the record does not name; a damaged record goes itself, and what
    it does not tell of can be pushed again.
    """
    if record is not None:
        named = {RECORD, *(file["sha256"] for file in record["files"].values())}
        others = [name for name in objects if name not in named]
        return [name for name in others if remote.seconds_since(place, name) > _YOUNG]
    if place[0] not in STAGES:  # somebody else's
        return []
    if RECORD in objects:
        return [RECORD] if remote.seconds_since(place, RECORD) > _YOUNG else []
    return [*objects] if all(remote.seconds_since(place, name) > _YOUNG for name in objects) else []


def _say(what: str, remote: RemoteStore, place: Place, why: str, sizes: Collection[int]) -> None:
    console.line(f"{what} {remote.url}/{'/'.join(place)}: {why}, {size(sum(sizes))}")
