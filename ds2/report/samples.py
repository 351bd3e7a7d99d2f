"""The samples a reader may look through: those selected, and those that just missed.

"Nearest rejected" are the samples outside the subset that come first by curated score, then by long-tail score: for DS2
exactly those the next larger budget would add, for other strategies the best ones they passed over.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from ds2.artifacts import RunResult
from ds2.config import Score
from ds2.errors import UserError
from ds2.report import facts

MAX_SELECTED = 4000
"""Selected samples shown; of more, the first three quarters and the last quarter by rank."""
MAX_REJECTED = 1000
MAX_CHARACTERS = 4000
"""Of one message; the cut is marked."""

Row = dict[str, Any]
"""rank (from 0; None: rejected), id, source, score, curated, long_tail, reason, messages [[role, text], ...] or None."""


@dataclass(frozen=True)
class Samples:
    rows: list[Row]
    """Selected ones by rank, then rejected ones from the nearest."""
    selected: int
    """Size of the subset, of which `rows` may hold a part."""
    rejected: int
    """How many of `rows` are rejected ones."""
    notes: list[str]
    """What is not shown, and why."""


def samples(run: RunResult) -> Samples | None:
    """Rows for the table of samples; None without a subset."""
    if "select" not in run.stages:
        return None
    notes: list[str] = []
    chosen = _selected(run)
    total = len(chosen)
    if total > MAX_SELECTED:
        last = MAX_SELECTED // 4
        chosen = chosen[: MAX_SELECTED - last] + chosen[-last:]
        notes.append(
            f"Of {total:,} selected samples the first {MAX_SELECTED - last:,} and the last {last:,} are here."
        )
    rejected = _nearest_rejected(run)
    if rejected:
        conversations, problem = _conversations(run, {row["id"] for row in rejected})
        rejected = [row | {"messages": conversations.get(row["id"])} for row in rejected]
        notes += [problem] if problem else []
    return Samples(chosen + rejected, total, len(rejected), notes)


def _selected(run: RunResult) -> list[Row]:
    stage = run.stages["select"]
    table = facts.columns(
        stage, "subset.parquet", ["rank", "id", "source", "score", "curated", "long_tail", "reason"]
    )
    with (stage.path / "subset.jsonl").open(encoding="utf-8") as handle:
        texts = {str(row["id"]): _cut(row["messages"]) for row in map(json.loads, handle)}
    rows = [dict(zip(table, values, strict=True)) for values in zip(*table.values(), strict=True)]
    rows.sort(key=lambda row: row["rank"])
    return [
        _row(row, row["rank"], row.get("reason")) | {"messages": texts.get(str(row["id"]))} for row in rows
    ]


def _nearest_rejected(run: RunResult) -> list[Row]:
    if "curate" not in run.stages:
        return []
    first = (
        "posterior_mean"
        if getattr(run.config.selection, "score", None) is Score.posterior_mean
        else "curated"
    )
    table = facts.columns(
        run.stages["curate"],
        "curation.parquet",
        ["id", "source", "score", "curated", "long_tail", "posterior_mean"],
    )
    taken = set(facts.columns(run.stages["select"], "subset.parquet", ["id"])["id"])
    keys = [
        [-1.0 if value is None or value != value else value for value in table[name]]
        for name in (first, "long_tail")
    ]
    left = [i for i, name in enumerate(table["id"]) if name not in taken]
    left.sort(key=lambda i: (-keys[0][i], -keys[1][i], i))
    return [
        _row({name: values[i] for name, values in table.items()}, None, "not selected")
        for i in left[:MAX_REJECTED]
    ]


def _row(row: Mapping[str, Any], rank: int | None, reason: str | None) -> Row:
    tail = row.get("long_tail")
    return {
        "rank": rank,
        "id": str(row["id"]),
        "source": row.get("source") or facts.NO_SOURCE,
        "score": row.get("score"),
        "curated": row.get("curated"),
        "long_tail": None if tail is None or tail != tail else round(tail, 4),
        "reason": reason,
    }


def _conversations(run: RunResult, wanted: set[str]) -> tuple[dict[str, list[list[str]]], str | None]:
    """Messages of the wanted samples from the pool itself: no stage keeps the text of what was left out."""
    from ds2.pool import PoolSource

    config = run.config
    source = PoolSource(config.pool, num_scores=config.scale.num_scores, offline=True)
    try:
        pool = source.load()
    except (UserError, OSError) as error:
        return {}, f"The text of rejected samples is missing: the pool cannot be read again ({error})."
    return {
        sample.id: _cut({"role": m.role, "content": m.content} for m in sample.messages)
        for sample in pool.samples
        if sample.id in wanted
    }, None


def _cut(messages: Iterable[Mapping[str, str]]) -> list[list[str]]:
    return [[message["role"], _shorter(message["content"])] for message in messages]


def _shorter(text: str) -> str:
    over = len(text) - MAX_CHARACTERS
    return text if over <= 0 else f"{text[:MAX_CHARACTERS]} … [{over:,} more characters]"
