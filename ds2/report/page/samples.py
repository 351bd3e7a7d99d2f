"""The samples a reader may look through: what each subset took, what stood next in its line, and a draw of
what none took.

Each text is kept once, however many runs took it. "Next in line" is the strategy's own order, as the subset's
report names it. Samples that no subset took are in no artifact but the pool, which is read again for them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd

from ds2.artifacts.run import RunResult
from ds2.artifacts.sifted import read_sifted
from ds2.artifacts.step import StageResult
from ds2.artifacts.subset import read_conversations, read_report, read_subset
from ds2.artifacts.subset_report import Row
from ds2.artifacts.written_samples import read_turn
from ds2.base.errors import UserError
from ds2.report import facts

LEFT_OUT = 500
"""Samples drawn from those that no subset took."""
MAX_CHARACTERS = 20_000_000
"""All texts together have no more, so that any page still opens; the longest are cut, and say so."""
MAX_OF_ONE = 8000
"""Characters of one sample."""
LAST_EVERY = 4
"""Where a subset is too large to show, each fourth sample shown is one of its last, the others its first."""

Messages = list[list[str]]
"""[[role, text], ...]"""


@dataclass(frozen=True)
class Samples:
    data: dict[str, Any]
    """For `samples.js`; see `samples`."""
    left_out: int
    notes: list[str]
    """What is not shown, and why."""


@dataclass
class _Subset:
    """One `select` artifact and the runs that use it."""

    stage: StageResult
    label: str
    scores: StageResult | None
    """The `curate` or `rate` artifact whose scores it saw."""
    runs: list[int]
    table: pd.DataFrame
    """id, rank, source, reason, by rank."""
    next_in_line: list[Row]


@dataclass
class _Rows:
    """The shown samples of one pool."""

    id: list[str] = field(default_factory=list)
    source: list[str] = field(default_factory=list)
    text: list[Messages | None] = field(default_factory=list)


def samples(
    runs: Sequence[RunResult],
    *,
    most: int,
    label: Callable[[RunResult], str] = lambda run: run.name,
    cite: Callable[[StageResult], int | None] = lambda stage: None,
) -> Samples | None:
    """At most `most` samples with their place in every subset; None where no run selected.

    The data: `id`, `source`, `text` of each row, rows of one pool together; `pools` [{name, start, end}];
    `scores`, one entry an artifact: {pool, record, score, curated, tail}, each a list over the pool's rows;
    `subsets`, one entry an artifact: {label, runs, record, pool, scores, size, taken (row numbers), rank,
    why, reasons, next (row numbers)}.

    Args:
        label: what to call the subset of a run.
        cite: the number of an artifact's record on the page.
    """
    by_pool: dict[str, list[_Subset]] = {}
    for subset in _subsets(runs, label):
        by_pool.setdefault(str(subset.stage.record["inputs"].get("pool")), []).append(subset)
    if not by_pool:
        return None
    notes: list[str] = []
    data: dict[str, Any] = {
        "id": [], "source": [], "text": [], "pools": [], "scores": [], "subsets": [],
        "levels": max(run.config.scale.num_scores for run in runs),
    }  # fmt: skip
    for fingerprint, subsets in by_pool.items():
        start, first = len(data["id"]), runs[subsets[0].runs[0]]
        rows = _rows(first, fingerprint, subsets, most // len(by_pool), LEFT_OUT // len(by_pool), notes)
        for name in ("id", "source", "text"):
            data[name] += getattr(rows, name)
        data["pools"].append({"name": first.config.pool.label, "start": start, "end": len(data["id"])})
        _place(data, subsets, rows, start, cite)
    data["text"], cut = _shortened(data["text"])
    notes += [f"{cut:,} long texts are cut; the cut is marked."] if cut else []
    taken = {row for subset in data["subsets"] for row in (*subset["taken"], *subset["next"])}
    large = sum(subset["size"] > len(subset["taken"]) for subset in data["subsets"])
    if large:
        which = (
            f"{large:,} of {len(data['subsets']):,} subsets are"
            if len(data["subsets"]) > 1
            else "The subset is"
        )
        notes.append(
            f"{which} too large to show whole: the first and some of the last samples by rank are here."
        )
    return Samples(data, len(data["id"]) - len(taken), list(dict.fromkeys(notes)))


def _subsets(runs: Sequence[RunResult], label: Callable[[RunResult], str]) -> list[_Subset]:
    subsets: dict[str, _Subset] = {}
    for i, run in enumerate(runs):
        stage = run.stages.get("select")
        if stage is None:
            continue
        if stage.fingerprint not in subsets:
            table = read_subset(stage.path, "id", "rank", "source", "reason").sort_values("rank")
            following = read_report(stage.path).next_in_line
            subsets[stage.fingerprint] = _Subset(stage, label(run), facts.scored(run), [], table, following)
        subsets[stage.fingerprint].runs.append(i)
    return list(subsets.values())


def _rows(
    run: RunResult, pool: str, subsets: Sequence[_Subset], most: int, draw: int, notes: list[str]
) -> _Rows:
    """The samples to show of one pool, with their texts: taken, then next in line, then left out."""
    following = {row.id: row for subset in subsets for row in subset.next_in_line}
    left_out = _left_out(run, pool, {*following, *(i for s in subsets for i in s.table["id"])}, draw, notes)
    places: dict[str, int] = dict.fromkeys(following, -1)
    for subset in subsets:
        for name, place in zip(subset.table["id"], _places(len(subset.table)), strict=True):
            places[name] = min(place, places.get(name, place))
    shown = set(sorted(places, key=lambda name: (places[name], name))[: most - len(left_out)])
    rows = _Rows()
    known: set[str] = set()
    for subset in subsets:
        texts = _texts(subset, shown - known)
        for name, source in zip(subset.table["id"], subset.table["source"], strict=True):
            if name in texts:
                _add(rows, name, source, texts[name])
        known |= texts.keys()
    for name, row in following.items():
        if name not in known:
            _add(rows, name, row.source, [[m["role"], m["content"]] for m in row.messages])
    for sample in left_out:
        _add(rows, sample.id, sample.source, [[m.role, m.text] for m in sample.messages])
    return rows


def _add(rows: _Rows, name: str, source: str | None, text: Messages) -> None:
    rows.id.append(name)
    rows.source.append(source or facts.NO_SOURCE)
    rows.text.append(text)


def _places(count: int) -> list[int]:
    """Each rank's turn when a subset is shown in part: three from the front, one from the back, and so on."""
    turn = np.arange(count)
    back = turn % LAST_EVERY == LAST_EVERY - 1
    rank = np.where(back, count - 1 - turn // LAST_EVERY, turn - turn // LAST_EVERY)
    places = np.empty(count, dtype=np.int64)
    places[rank] = turn
    return [int(place) for place in places]


def _texts(subset: _Subset, wanted: set[str]) -> dict[str, Messages]:
    """Messages of those of `wanted` that the subset holds."""
    held = subset.table[subset.table["id"].isin(wanted)]
    needed = dict(zip(held["rank"], held["id"], strict=True))
    if not needed:
        return {}
    return {
        needed[rank]: [[m["role"], read_turn(m).text] for m in messages]
        for rank, messages in read_conversations(subset.stage.path, needed)
    }


def _left_out(run: RunResult, pool: str, taken: set[str], draw: int, notes: list[str]) -> list[Any]:
    """A draw of the pool's samples outside `taken`, in pool order; none, and a note, where the pool is
    gone.
    """
    from ds2.pool import PoolSource
    from ds2.pool.sifting import sieve_of

    config = run.config
    source = PoolSource(config.pool, num_scores=config.scale.num_scores, offline=True)
    sifted = run.stages.get("sift")
    if sifted is not None:
        source = source.through(sieve_of(config.pool, sifted.fingerprint, lambda: read_sifted(sifted.path)))
    try:
        if source.fingerprint != pool:
            raise UserError("it has changed since")
        rest = [sample for sample in source.load().samples if sample.id not in taken]
    except (UserError, OSError) as error:
        notes.append(f"Samples left out are not shown: the pool cannot be read again ({error}).")
        return []
    chosen = np.random.default_rng(0).choice(len(rest), min(draw, len(rest)), replace=False)
    return [rest[i] for i in sorted(chosen.tolist())]


def _place(
    data: dict[str, Any],
    subsets: Sequence[_Subset],
    rows: _Rows,
    start: int,
    cite: Callable[[StageResult], int | None],
) -> None:
    """Append the scores and subsets of one pool, in terms of its rows."""
    pool = len(data["pools"]) - 1
    at = {name: start + i for i, name in enumerate(rows.id)}
    scored: dict[str, int] = {}
    for subset in subsets:
        stage = subset.scores
        if stage is not None and stage.fingerprint not in scored:
            scored[stage.fingerprint] = len(data["scores"])
            data["scores"].append({"pool": pool, "record": cite(stage), **_scores(stage, rows.id)})
        shown = subset.table[subset.table["id"].isin(at.keys())]
        why, reasons = pd.factorize(shown["reason"])
        data["subsets"].append({
            "label": subset.label, "runs": subset.runs, "record": cite(subset.stage), "pool": pool,
            "scores": None if stage is None else scored[stage.fingerprint], "size": len(subset.table),
            "taken": [at[name] for name in shown["id"]], "rank": shown["rank"].tolist(),
            "why": why.tolist(), "reasons": [str(reason) for reason in reasons],
            "next": [at[row.id] for row in subset.next_in_line],
        })  # fmt: skip


def _scores(stage: StageResult, ids: list[str]) -> dict[str, list[Any] | None]:
    """score, curated and tail of the samples named, in their order; None where the stage has none."""
    names = {"score": "score", "curated": "curated", "tail": "long_tail"}
    columns = names.values() if stage.name == "curate" else ["score"]
    table = facts.scored_table(stage, "id", *columns).set_index("id").reindex(ids)
    return {
        name: [None if value != value else value for value in table[column].astype(float).round(3).tolist()]
        if column in table
        else None
        for name, column in names.items()
    }


def _shortened(texts: Sequence[Messages | None]) -> tuple[list[Messages | None], int]:
    """The texts, none longer than the limit at which all of them fit; and how many are cut."""
    lengths = np.array([sum(len(m[1]) for m in text or []) for text in texts])
    limit = _limit(lengths, MAX_CHARACTERS)
    return [text and _cut(text, limit) for text in texts], int((lengths > limit).sum())


def _limit(lengths: Any, total: int) -> int:
    """The largest limit c with sum of min(length, c) at most `total`, and at most MAX_OF_ONE."""
    ordered = np.sort(lengths)
    before = np.concatenate([[0], np.cumsum(ordered)[:-1]])
    left = np.arange(len(ordered), 0, -1)
    fits = (total - before) / left  # the limit if the shorter ones stay whole and the rest share what is left
    over = ordered > fits
    return min(MAX_OF_ONE, int(fits[np.argmax(over)])) if over.any() else MAX_OF_ONE


def _cut(messages: Iterable[list[str]], limit: int) -> Messages:
    shown: Messages = []
    for role, text in messages:
        over = len(text) - limit
        shown.append([role, text if over <= 0 else f"{text[:limit]} … [{over:,} more characters]"])
        limit = max(limit - len(text), 0)
    return shown
