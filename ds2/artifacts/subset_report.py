"""What a subset is made of, beside the pool it comes from: `subset_report.json` and the same as Markdown.

Sources, score and length distributions in pool and subset, the samples next in line, and 20 rows to read, evenly spread over
the ranks.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ds2.pool import Pool
from ds2.selection.request import Choice

ROWS_TO_READ = 20
_QUANTILES = (5, 25, 50, 75, 95)
_SHOWN = 600
"""Characters of a message in the Markdown."""


def describe(
    pool: Pool,
    choice: Choice,
    known: Mapping[str, NDArray[Any]],
    *,
    title: str,
) -> dict[str, Any]:
    """The report's content, JSON-ready.

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
    return {
        "title": title,
        "pool": len(pool),
        "selected": len(positions),
        "sources": {name: {"pool": n, "subset": chosen.get(name, 0)} for name, n in sources.most_common()},
        "scores": {
            name: {"pool": _levels(known[name]), "subset": _levels(known[name][positions])}
            for name in ("score", "curated")
            if name in known
        },
        "characters": {"pool": _summary(lengths), "subset": _summary(lengths[positions])},
        "next_in_line": [_row(pool, known, p, None) for p in choice.next_in_line.tolist()],
        "to_read": [_row(pool, known, int(positions[rank]), int(rank)) for rank in spread.tolist()],
    }


def markdown(report: Mapping[str, Any]) -> str:
    """The report for a person."""
    size, taken = report["pool"], report["selected"]
    lines = [f"# {report['title']}", "", f"{taken:,} of {size:,} samples.", ""]
    counts = {name: (entry["pool"], entry["subset"]) for name, entry in report["sources"].items()}
    lines += _table("source", counts, size, taken)
    for name, entry in report["scores"].items():
        levels = sorted(set(entry["pool"]) | set(entry["subset"]), key=int)
        shown = {
            ("unrated" if v == "-1" else v): (entry["pool"].get(v, 0), entry["subset"].get(v, 0))
            for v in levels
        }
        lines += _table("score given" if name == "score" else "curated score", shown, size, taken)
    lines += ["| characters | mean | " + " | ".join(f"{q} %" for q in _QUANTILES) + " |", "|---" * 7 + "|"]
    for name in ("pool", "subset"):
        entry = report["characters"][name]
        cells = [entry["mean"], *(entry[f"q{q}"] for q in _QUANTILES)]
        lines.append(f"| {name} | " + " | ".join(f"{cell:,.0f}" for cell in cells) + " |")
    if report["next_in_line"]:
        lines += ["", "## Next in line, not selected", ""]
        lines += [
            f"- {_label(row)}: {_cut(row['messages'][0]['content'], 160)}" for row in report["next_in_line"]
        ]
    lines += ["", f"## {len(report['to_read'])} rows to read", ""]
    for row in report["to_read"]:
        lines += [f"### {row['rank']}. {_label(row)}", ""]
        lines += [f"**{m['role']}** {_cut(m['content'], _SHOWN)}\n" for m in row["messages"]]
    return "\n".join(lines) + "\n"


def _levels(scores: NDArray[Any]) -> dict[str, int]:
    values, counts = np.unique(scores, return_counts=True)
    return {str(int(v)): int(n) for v, n in zip(values, counts, strict=True)}


def _summary(lengths: NDArray[Any]) -> dict[str, float]:
    quantiles = np.percentile(lengths, _QUANTILES)
    named = {f"q{q}": float(value) for q, value in zip(_QUANTILES, quantiles, strict=True)}
    return {"mean": float(lengths.mean()), **named}


def _row(pool: Pool, known: Mapping[str, NDArray[Any]], position: int, rank: int | None) -> dict[str, Any]:
    sample = pool.samples[position]
    own = {name: known[name][position].item() for name in ("score", "curated", "long_tail") if name in known}
    messages = [{"role": m.role, "content": m.content} for m in sample.messages]
    return {"rank": rank, "id": sample.id, "source": sample.source, **own, "messages": messages}


def _table(name: str, counts: Mapping[str, tuple[int, int]], size: int, taken: int) -> list[str]:
    head = [f"| {name} | pool | subset | share of pool | share of subset |", "|---|---|---|---|---|"]
    rows = [
        f"| {key} | {pool:,} | {subset:,} | {pool / size:.1%} | {subset / taken:.1%} |"
        for key, (pool, subset) in counts.items()
    ]
    return [*head, *rows, ""]


def _label(row: Mapping[str, Any]) -> str:
    own = [
        f"{name.replace('_', ' ')} {row[name]:.4g}"
        for name in ("score", "curated", "long_tail")
        if name in row
    ]
    return ", ".join([f"`{row['id']}` ({row['source']})", *own])


def _cut(text: str, limit: int) -> str:
    flat = " ".join(text.split())
    return flat if len(flat) <= limit else flat[:limit] + " ..."
