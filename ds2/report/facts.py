"""What a finished run says, read from its stage files: the numbers behind the report, the figures and the tracker.

Every function takes a run and returns None (or nothing) where the stage it reads is absent, so that a run stopped by
`until=select` is described as far as it went. Nothing is computed twice: report, plots and tracking read these facts.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ds2.artifacts.run import RunResult
from ds2.artifacts.store import StageResult

NO_SOURCE = "(no source)"
"""Shown for samples whose pool names none."""


@dataclass(frozen=True)
class Scores:
    """Score distributions over the rated pool, before and after curation."""

    raw: list[int]
    """Samples given score 0..K-1 by the rater."""
    curated: list[int] | None
    """Samples at each level after curation; None without it."""
    moved: list[list[int]] | None
    """moved[i][j]: samples rated i whose curated score is j."""
    unrated: int
    total: int

    @property
    def changed(self) -> int:
        """Rated samples whose curated score differs from the given one."""
        if self.moved is None:
            return 0
        return sum(n for i, row in enumerate(self.moved) for j, n in enumerate(row) if i != j)


@dataclass(frozen=True)
class Transition:
    """The estimated score transition matrix: matrix[i][j] = P(rated j | true i), prior[i] = P(true i)."""

    matrix: list[list[float]]
    prior: list[float] | None

    @property
    def rater_error(self) -> float | None:
        """P(rated differs from true) = 1 - sum_i p_i T_ii; None without a prior."""
        if self.prior is None:
            return None
        total = sum(self.prior)
        return (
            1.0
            - sum(p * row[i] for i, (p, row) in enumerate(zip(self.prior, self.matrix, strict=True))) / total
        )


@dataclass(frozen=True)
class Shares:
    """How a category is shared out in the pool and in the subset, as counts."""

    labels: list[str]
    pool: list[int] | None
    subset: list[int]


@dataclass(frozen=True)
class Curve:
    """A training curve: loss by optimiser step."""

    step: list[int]
    loss: list[float]
    learning_rate: list[float] | None


def columns(stage: StageResult, file: str, names: list[str]) -> dict[str, list[Any]]:
    """The named columns of a stage's Parquet file, those that it has, as Python lists."""
    import pyarrow.parquet as pq

    path = stage.path / file
    present = set(pq.read_schema(path).names)
    table = pq.read_table(path, columns=[name for name in names if name in present])
    return {name: table.column(name).to_pylist() for name in table.column_names}


def scores(run: RunResult) -> Scores | None:
    """Distributions before and after curation; before only, where no curation ran."""
    curate, rate = run.stages.get("curate"), run.stages.get("rate")
    if curate is None and rate is None:
        return None
    levels = run.config.scale.num_scores
    curated = moved = None
    if curate is not None:
        table = pd.read_parquet(curate.path / "curation.parquet", columns=["score", "curated"])
    else:
        assert rate is not None
        table = pd.read_parquet(rate.path / "ratings.parquet", columns=["score"])
    given = table["score"].fillna(-1).to_numpy(dtype=np.int64)
    raw = np.bincount(given[given >= 0], minlength=levels)
    if curate is not None:
        after = table["curated"].fillna(-1).to_numpy(dtype=np.int64)
        curated = np.bincount(after[after >= 0], minlength=levels).tolist()
        both = (given >= 0) & (after >= 0)
        joint = np.bincount(given[both] * levels + after[both], minlength=levels * levels)
        moved = joint.reshape(levels, levels).tolist()
    return Scores(raw.tolist(), curated, moved, int((given < 0).sum()), len(given))


def transitions(run: RunResult) -> list[Transition]:
    """The estimated matrix of each rater; none where none was estimated (`curation=none`)."""
    if "curate" not in run.stages:
        return []
    found = run.stages["curate"].json("transition.json")
    one, several = found.get("transition"), found.get("transitions")
    return [Transition(matrix, found.get("prior")) for matrix in (several or ([] if one is None else [one]))]


def transition(run: RunResult) -> Transition | None:
    """The rater's matrix; None without one, and where there are several raters."""
    found = transitions(run)
    return found[0] if len(found) == 1 else None


def diagnostics(run: RunResult) -> dict[str, Any]:
    """What curation measured about the neighbourhoods, nested names joined by dots; its warnings are in `warnings`."""
    if "curate" not in run.stages:
        return {}
    found = flatten(run.stages["curate"].json("transition.json").get("diagnostics") or {})
    return {name: value for name, value in found.items() if name != "warnings" and value is not None}


def sources(run: RunResult, *, most: int = 14) -> Shares | None:
    """Where the subset was taken from: samples of each source in the pool and in the subset.

    The `most - 1` largest sources by what the subset took from each, then the others as one.
    """
    if "select" not in run.stages:
        return None
    taken = _count(columns(run.stages["select"], "subset.parquet", ["source"]).get("source", []))
    origin = run.stages.get("curate") or run.stages.get("rate")
    whole: dict[str, int] | None = None
    if origin is not None:
        file = "curation.parquet" if origin.name == "curate" else "ratings.parquet"
        whole = _count(columns(origin, file, ["source"]).get("source", []))
    order = sorted(whole or taken, key=lambda name: (-(whole or taken)[name], name))
    head, tail = (order, []) if len(order) <= most else (order[: most - 1], order[most - 1 :])
    head = sorted(head, key=lambda name: -taken.get(name, 0))

    def folded(counts: dict[str, int]) -> list[int]:
        rest = [sum(counts.get(name, 0) for name in tail)] if tail else []
        return [counts.get(name, 0) for name in head] + rest

    labels = head + ([f"{len(tail)} other sources"] if tail else [])
    return Shares(labels, folded(whole) if whole is not None else None, folded(taken))


def score_shares(run: RunResult) -> Shares | None:
    """Curated score levels (given ones without curation) in the pool and in the subset."""
    if "select" not in run.stages:
        return None
    table = columns(run.stages["select"], "subset.parquet", ["curated", "score"])
    values = next(
        (table[name] for name in ("curated", "score") if any(v is not None for v in table.get(name, []))),
        None,
    )
    if values is None:
        return None
    levels = run.config.scale.num_scores
    taken = _levels(values)
    known = scores(run)
    pool = None if known is None else known.curated or known.raw
    counts = np.bincount(taken[taken >= 0], minlength=levels).tolist()
    return Shares([str(level) for level in range(levels)], pool, counts)


def long_tail(run: RunResult, *, bins: int = 40) -> tuple[list[float], list[int], list[int]] | None:
    """Histogram of the long-tail score: bin centres, pool counts, subset counts."""
    if "curate" not in run.stages or "select" not in run.stages:
        return None
    whole = columns(run.stages["curate"], "curation.parquet", ["long_tail"]).get("long_tail")
    taken = columns(run.stages["select"], "subset.parquet", ["long_tail"]).get("long_tail")
    if not whole or not taken:
        return None
    pool, subset = _finite(whole), _finite(taken)
    if not len(pool) or not len(subset):
        return None
    edges = np.histogram_bin_edges(pool, bins=bins)
    centres = (edges[:-1] + edges[1:]) / 2
    return (
        centres.round(5).tolist(),
        np.histogram(pool, edges)[0].tolist(),
        np.histogram(subset, edges)[0].tolist(),
    )


def curve(stage: StageResult | None, *, most: int = 1500) -> Curve | None:
    """Loss by step of a stage that trains; every n-th point where there are more than `most`."""
    if stage is None or not (stage.path / "curve.parquet").exists():
        return None
    table = columns(stage, "curve.parquet", ["step", "loss", "learning_rate"])
    if not table.get("step"):
        return None
    stride = -(-len(table["step"]) // most)
    rate = table.get("learning_rate")
    return Curve(table["step"][::stride], table["loss"][::stride], rate[::stride] if rate else None)


def evaluation(run: RunResult) -> dict[str, Any] | None:
    """`results.json` as the evaluate stage wrote it."""
    if "evaluate" not in run.stages:
        return None
    found: dict[str, Any] = run.stages["evaluate"].json("results.json")
    return found


def warnings(run: RunResult) -> list[tuple[str, str]]:
    """Every warning any stage recorded: (stage, text)."""
    return [
        (name, str(text)) for name, stage in run.stages.items() for text in stage.record.get("warnings") or []
    ]


def flatten(value: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Nested mappings as one, names joined by dots; lists stay whole, a list of one mapping is that mapping."""
    flat: dict[str, Any] = {}
    for key, item in value.items():
        name = f"{prefix}{key}"
        if isinstance(item, list) and item and all(isinstance(part, Mapping) for part in item):
            item = item[0] if len(item) == 1 else {str(i): part for i, part in enumerate(item)}
        flat.update(flatten(item, f"{name}.") if isinstance(item, Mapping) else {name: item})
    return flat


def _levels(values: list[Any]) -> NDArray[np.int64]:
    return np.array([-1 if value is None else int(value) for value in values], dtype=np.int64)


def _finite(values: list[Any]) -> NDArray[np.float64]:
    found = np.array([np.nan if value is None else value for value in values], dtype=np.float64)
    finite: NDArray[np.float64] = found[np.isfinite(found)]
    return finite


def _count(values: list[Any]) -> dict[str, int]:
    counts: dict[str, int] = {}
    for value in values:
        name = NO_SOURCE if value in (None, "") else str(value)
        counts[name] = counts.get(name, 0) + 1
    return counts
