"""What a subset is made of, beside the pool it comes from, for programs and, as Markdown, for people.

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
from ds2.method.price import Price, price_of_diversity
from ds2.pool import Pool
from ds2.selection.request import Choice

ROWS_TO_READ = 20
KNOWN = ("score", "curated", "long_tail")
"""What may be known of every sample of the pool."""
_QUANTILES = (5, 25, 50, 75, 95)
_SHOWN = 600
"""Characters of a message in the Markdown."""


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
    (the refined order's, else the score's); none where the run has no long-tail score.
    """

    def to_plain(self) -> dict[str, Any]:
        """JSON-ready; what is not known of a row is left out of it."""
        content: dict[str, Any] = to_plain(self)
        for name in ("next_in_line", "to_read"):
            content[name] = [
                {key: value for key, value in row.items() if key not in KNOWN or value is not None}
                for row in content[name]
            ]
        return content


def describe(pool: Pool, choice: Choice, known: Mapping[str, NDArray[Any]], *, title: str) -> SubsetReport:
    """The report on a choice.

    Args:
        known: score, curated, long_tail of all N samples, as far as the run has them.
    """
    positions = choice.positions
    sources = Counter(pool.sources)
    chosen = Counter(pool.samples[p].source for p in positions.tolist())
    lengths = np.array([sum(len(m.content) for m in s.messages) for s in pool.samples])
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
        price=_price(pool, known, len(positions)),
    )


def _price(pool: Pool, known: Mapping[str, NDArray[Any]], budget: int) -> list[Price]:
    if "long_tail" not in known or budget == len(pool):
        return []
    quality = np.asarray(known["refined"] if "refined" in known else known["curated"], dtype=np.float64)
    scored = np.flatnonzero(quality >= 0 if "refined" not in known else np.isfinite(quality))
    if len(scored) <= budget:
        return []
    long_tail = np.asarray(known["long_tail"], dtype=np.float64)
    sources = [pool.samples[n].source for n in scored.tolist()]
    return price_of_diversity(quality[scored], long_tail[scored], sources, budget)


def markdown(report: SubsetReport) -> str:
    """The report for a person."""
    size, taken = report.pool, report.selected
    lines = [f"# {report.title}", "", f"{taken:,} of {size:,} samples.", ""]
    counts = {name: (source.pool, source.subset) for name, source in report.sources.items()}
    lines += _table("source", counts, size, taken)
    for name, levels in report.scores.items():
        shown = {
            ("unrated" if level == "-1" else level): (levels.pool.get(level, 0), levels.subset.get(level, 0))
            for level in sorted(levels.pool.keys() | levels.subset.keys(), key=int)
        }
        lines += _table("score given" if name == "score" else "curated score", shown, size, taken)
    lines += ["| characters | mean | " + " | ".join(f"{q} %" for q in _QUANTILES) + " |", "|---" * 7 + "|"]
    for name, summary in (("pool", report.characters.pool), ("subset", report.characters.subset)):
        cells = [summary["mean"], *(summary[f"q{q}"] for q in _QUANTILES)]
        lines.append(f"| {name} | " + " | ".join(f"{cell:,.0f}" for cell in cells) + " |")
    if report.price:
        lines += [
            "",
            "## What diversity would cost",
            "",
            "Subsets of this size, the long-tail score weighed beside quality:",
            "",
            "| weight | mean quality | mean long tail | sources | shared with weight 0 |",
            "|---|---|---|---|---|",
        ]
        lines += [
            f"| {p.weight:g} | {p.quality:.3f} | {p.variety:.4f} | {p.kinds} | {p.shared:.0%} |"
            for p in report.price
        ]
    if report.next_in_line:
        lines += ["", "## Next in line, not selected", ""]
        lines += [f"- {_label(row)}: {_cut(row.messages[0]['content'], 160)}" for row in report.next_in_line]
    lines += ["", f"## {len(report.to_read)} rows to read", ""]
    for row in report.to_read:
        lines += [f"### {row.rank}. {_label(row)}", ""]
        lines += [f"**{m['role']}** {_cut(m['content'], _SHOWN)}\n" for m in row.messages]
    return "\n".join(lines) + "\n"


def _levels(scores: NDArray[Any]) -> dict[str, int]:
    values, counts = np.unique(scores, return_counts=True)
    return {str(int(v)): int(n) for v, n in zip(values, counts, strict=True)}


def _summary(lengths: NDArray[Any]) -> dict[str, float]:
    quantiles = np.percentile(lengths, _QUANTILES)
    named = {f"q{q}": float(value) for q, value in zip(_QUANTILES, quantiles, strict=True)}
    return {"mean": float(lengths.mean()), **named}


def _row(pool: Pool, known: Mapping[str, NDArray[Any]], position: int, rank: int | None) -> Row:
    sample = pool.samples[position]
    told = {name: known[name][position].item() for name in KNOWN if name in known}
    messages = [{"role": m.role, "content": m.content} for m in sample.messages]
    return Row(rank=rank, id=sample.id, source=sample.source, messages=messages, **told)


def _table(name: str, counts: Mapping[str, tuple[int, int]], size: int, taken: int) -> list[str]:
    head = [f"| {name} | pool | subset | share of pool | share of subset |", "|---|---|---|---|---|"]
    rows = [
        f"| {key} | {pool:,} | {subset:,} | {pool / size:.1%} | {subset / taken:.1%} |"
        for key, (pool, subset) in counts.items()
    ]
    return [*head, *rows, ""]


def _label(row: Row) -> str:
    told = [(name, getattr(row, name)) for name in KNOWN]
    numbers = [f"{name.replace('_', ' ')} {value:.4g}" for name, value in told if value is not None]
    return ", ".join([f"`{row.id}` ({row.source})", *numbers])


def _cut(text: str, limit: int) -> str:
    flat = " ".join(text.split())
    return flat if len(flat) <= limit else flat[:limit] + " ..."
