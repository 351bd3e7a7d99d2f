"""Our 10,000 samples for the GPT-4o-mini rater beside the ones that the authors released."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from ds2.artifacts.subset import read_conversations
from ds2.base.errors import MissingInput
from ds2.config.compose import compose
from ds2.pool import PoolSource
from ds2.runs.chain import Chain

Conversation = tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class Overlap:
    """How many conversations two subsets share."""

    ours: int
    theirs: int
    shared: int


def overlap(ours: Iterable[Conversation], theirs: Iterable[Conversation]) -> Overlap:
    """Conversations ((role, content), ...) are the same where every message is, up to white space at its
    ends.
    """
    chosen, other = (
        {tuple((role, text.strip()) for role, text in c) for c in side} for side in (ours, theirs)
    )
    return Overlap(len(chosen), len(other), len(chosen & other))


def our_overrides(data: Path) -> Sequence[str]:
    """The arguments of `ds2` that select our subset from the released scores."""
    scores = data / "scores" / "released_scores.npz"
    return [
        "experiment=paper", "rater=released", f"rater.path={scores}", "rater.key=gpt_4o_mini",
        "rater.name=gpt_4o_mini",
        "rater.unit=scores", "until=select", "tracking=none",
    ]  # fmt: skip


def compare_with_released(data: Path, artifacts: str) -> Overlap | str:
    """The overlap, or why it is `not checked`: the hub cannot be reached, or our subset is not computed."""
    overrides = our_overrides(data)
    try:
        theirs = PoolSource(compose(["pool=cured_gpt_4o_mini"]).pool, num_scores=6).load()
        ours = Chain(compose([*overrides, f"paths.artifacts={artifacts}"])).load()
    except MissingInput as reason:
        return f"not checked: {reason}"
    if ours is None:
        return f"not checked: our subset is not computed; ds2 {' '.join(overrides)}"
    rows = read_conversations(ours.stages["select"].path)
    chosen = [tuple((m["role"], m["content"]) for m in messages) for _, messages in rows]
    released = [tuple((m.role, m.content) for m in sample.messages) for sample in theirs.samples]
    return overlap(chosen, released)
