"""What a subset is made of, beside the pool it comes from (`subset_text`: the same for people).

Sources, score and length distributions in pool and subset, the samples next in line, and 20 rows to read,
evenly spread over the ranks.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ds2.base.dataclass_json import to_plain
from ds2.method.length import LengthOfSubset, length_of_subset, lengths_of
from ds2.method.price import Price, Pricing, Worth
from ds2.method.ranking import order_values
from ds2.pool import Pool
from ds2.selection.request import Choice

ROWS_TO_READ = 20
KNOWN = ("score", "curated", "long_tail")
"""What may be known of every sample of the pool."""
QUANTILES = (5, 25, 50, 75, 95)


@dataclass(frozen=True)
class Counts:
    """Samples of one source."""

    pool: int
    subset: int


@dataclass(frozen=True)
class Levels:
    """Samples at each score level, by the level as text; -1: unrated."""

    pool: dict[str, int]
    subset: dict[str, int]


@dataclass(frozen=True)
class Lengths:
    """Characters of a conversation: mean, and quantiles q5, q25, q50, q75, q95."""

    pool: dict[str, float]
    subset: dict[str, float]


@dataclass(frozen=True, kw_only=True)
class Row:
    """One sample with its conversation."""

    rank: int | None
    """From 0, the best; None: not selected."""
    id: str
    source: str
    score: int | None = None
    curated: int | None = None
    long_tail: float | None = None
    messages: list[dict[str, str]]
    """role, content."""


@dataclass(frozen=True)
class SubsetReport:
    title: str
    pool: int
    """Samples in the pool."""
    selected: int
    sources: dict[str, Counts]
    """The pool's largest source first."""
    scores: dict[str, Levels]
    """`score` and `curated`, as far as the run has them."""
    characters: Lengths
    next_in_line: list[Row]
    """The first samples that were left out, best first."""
    to_read: list[Row]
    price: list[Price] = field(default_factory=list)
    """What diversity would cost: subsets of this size at each weight of the long-tail score beside quality
    (the refined order's, else the score's), and at each cover of the pool; none where the run has no
    long-tail score.
    """
    worth: Worth | None = None
    """This subset, in the same terms."""
    length: LengthOfSubset | None = None
    """What scores, order and subset owe to the length of the answers."""
    files: dict[str, str] = field(default_factory=dict)
    """What the pool was read from -> its hash, as `sha256:...`, or a hub's `commit:...`."""

    def to_plain(self) -> dict[str, Any]:
        """JSON-ready; what is not known of a row is left out of it."""
        content: dict[str, Any] = to_plain(self)
        for name in ("next_in_line", "to_read"):
            content[name] = [
                {key: value for key, value in row.items() if key not in KNOWN or value is not None}
                for row in content[name]
            ]
        return content


def describe(
    pool: Pool,
    choice: Choice,
    known: Mapping[str, NDArray[Any]],
    *,
    title: str,
    neighbors: NDArray[np.int32] | None = None,
) -> SubsetReport:
    """The report on a choice.

    Args:
        known: score, curated, long_tail, refined of all N samples, as far as the run has them.
        neighbors: (N, k), nearest first, where the run has a graph.
    """
    positions = choice.positions
    names = pool.sources
    sources = Counter(names)
    chosen = Counter(names[p] for p in positions.tolist())
    lengths = np.array([sum(len(m.text) for m in s.messages) for s in pool.samples])
    spread = np.unique(
        np.linspace(0, len(positions) - 1, min(ROWS_TO_READ, len(positions))).round().astype(int)
    )
    return SubsetReport(
        title=title,
        pool=len(pool),
        selected=len(positions),
        sources={name: Counts(n, chosen.get(name, 0)) for name, n in sources.most_common()},
        scores={
            name: Levels(_levels(known[name]), _levels(known[name][positions]))
            for name in ("score", "curated")
            if name in known
        },
        characters=Lengths(_summary(lengths), _summary(lengths[positions])),
        next_in_line=[_row(pool, known, p, None) for p in choice.next_in_line.tolist()],
        to_read=[_row(pool, known, int(positions[rank]), int(rank)) for rank in spread.tolist()],
        length=_length(pool, known, positions),
        files={origin.name: origin.digest for origin in pool.origins.values()},
        **_diversity(pool, known, positions, neighbors),
    )


def _quality(known: Mapping[str, NDArray[Any]]) -> NDArray[np.float64] | None:
    """What the pool is ordered by, (N,), NaN without a score: the refined order, else the curated score, else
    the given one.
    """
    for name in ("refined", "curated", "score"):
        if name in known:
            values = np.asarray(known[name], dtype=np.float64)
            return values if name == "refined" else np.where(values >= 0, values, np.nan)
    return None


def _diversity(
    pool: Pool,
    known: Mapping[str, NDArray[Any]],
    positions: NDArray[np.int64],
    neighbors: NDArray[np.int32] | None,
) -> dict[str, Any]:
    quality, budget = _quality(known), len(positions)
    if quality is None or "long_tail" not in known or not np.isfinite(quality[positions]).any():
        return {}
    if int(np.isfinite(quality).sum()) <= budget:
        return {}
    long_tail = np.asarray(known["long_tail"], dtype=np.float64)
    pricing = Pricing(quality, long_tail, pool.sources, budget, neighbors)
    return {"price": pricing.by_long_tail() + pricing.by_cover(), "worth": pricing.worth(positions)}


def _length(
    pool: Pool, known: Mapping[str, NDArray[Any]], positions: NDArray[np.int64]
) -> LengthOfSubset | None:
    lengths, unit = lengths_of(pool.answers())
    if not np.ptp(lengths):
        return None
    given = _quality({"score": known["score"]}) if "score" in known else None
    return length_of_subset(lengths, unit, positions, given=given, order=_order(known))


def _order(known: Mapping[str, NDArray[Any]]) -> NDArray[np.float64] | None:
    """What curation orders the pool by, (N,); None without a curation."""
    if "curated" not in known or "long_tail" not in known:
        return None
    return order_values(known["curated"], known["long_tail"], known.get("refined"))


def _levels(scores: NDArray[Any]) -> dict[str, int]:
    values, counts = np.unique(scores, return_counts=True)
    return {str(int(v)): int(n) for v, n in zip(values, counts, strict=True)}


def _summary(lengths: NDArray[Any]) -> dict[str, float]:
    quantiles = np.percentile(lengths, QUANTILES)
    named = {f"q{q}": float(value) for q, value in zip(QUANTILES, quantiles, strict=True)}
    return {"mean": float(lengths.mean()), **named}


def _row(pool: Pool, known: Mapping[str, NDArray[Any]], position: int, rank: int | None) -> Row:
    sample = pool.samples[position]
    told = {name: known[name][position].item() for name in KNOWN if name in known}
    messages = [{"role": m.role, "content": m.text} for m in sample.messages]
    return Row(rank=rank, id=sample.id, source=sample.source, messages=messages, **told)
