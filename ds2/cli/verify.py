"""`ds2 verify`: compute what is in the store once more, and say whether it is the same."""

from __future__ import annotations

from collections.abc import Sequence

from ds2.artifacts.store import ArtifactStore
from ds2.base.errors import UserError
from ds2.base.paths import shown
from ds2.base.words import duration, number_of
from ds2.cli import console
from ds2.runs import verify as runs

_COLOURS = {
    runs.State.equal: "green",
    runs.State.close: "yellow",
    runs.State.differs: "red",
    runs.State.left_out: "dim",
}


def run(store: ArtifactStore, words: Sequence[str]) -> int:
    """ds2 verify ARTIFACT [chain] | RUN: 0 where nothing differs, 1 where something does."""
    if not 1 <= len(words) <= 2 or list(words[1:]) not in ([], ["chain"]):
        raise UserError(
            "ds2 verify takes an artifact (its fingerprint or folder), with `chain` all that it was made "
            "from, or a run's name or page"
        )
    states = []
    for each in runs.verify(store.root, words[0], whole=len(words) == 2):
        states.append(each.state)
        console.outcome(each.stage, each.state.value, _COLOURS[each.state], duration(each.seconds), each.text)
    differing = states.count(runs.State.differs)
    if differing:
        console.error(
            f"{differing} of {number_of(len(states), 'stage')} came out otherwise in {shown(store.root)}"
        )
        return 1
    said = [f"{states.count(s)} {s.value}" for s in runs.State if s in states]
    console.line(", ".join(said))
    return 0
