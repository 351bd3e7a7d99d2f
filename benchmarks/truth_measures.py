"""What an order is worth by people's ratings: measures and their bootstrap, and the sets they are read from.

Value of an order at a share q: mean human rating, in standard deviations over the set, of the first n =
round(q N) samples; samples that the order leaves equal at the cut count by their expectation. "Without
length": the same with log characters and its square taken out of the human ratings by least squares.
Intervals: whole groups (items of one prompt or document) are drawn again; rows where a set has one group
only.
"""

from __future__ import annotations

import gzip
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from scipy.sparse import csr_array
from scipy.stats import spearmanr

SHARES = (0.1, 0.3)
MEASURES = ("top 10 %", "top 30 %", "Spearman", "top 10 %, no length", "top 30 %, no length")
COARSE, CUT = 11, 6
"""Ratings of more than COARSE values are cut into CUT at their quantiles for methods that take whole
scores.
"""


@dataclass(frozen=True)
class Cell:
    """One rater on one set: the rows that it and people rated."""

    set: str
    rater: str
    rows: np.ndarray
    """(n,) positions in the set."""
    scores: np.ndarray
    """(n,) whole scores 0..K-1: levels of the first repeat."""
    repeats: np.ndarray
    """(n, R) ratings, NaN where missing."""
    human: np.ndarray
    """(n,) standardised."""
    human_without_length: np.ndarray
    lengths: np.ndarray
    """(n,) characters of the rated part."""
    groups: np.ndarray
    """(n,) 0..G-1, as in the set."""


@dataclass(frozen=True)
class TruthSet:
    name: str
    texts: list[str]
    """Context and what was rated."""
    rated: list[str]
    """The rated part; the whole text where there is none."""
    groups: np.ndarray
    cells: list[Cell]


def read_sets(folder: Path) -> list[TruthSet]:
    """Every *.jsonl.gz or *.jsonl of a folder, in the order of names. FileNotFoundError where there is
    none.
    """
    files = (
        sorted(p for p in folder.glob("*.jsonl*") if p.suffix in (".gz", ".jsonl")) if folder.is_dir() else []
    )
    if not files:
        raise FileNotFoundError(f"{folder} holds no truth set (NAME.jsonl.gz or NAME.jsonl)")
    return [read_set(p) for p in files]


def read_set(path: Path) -> TruthSet:
    """Rows {"text", "rated"?, "group"?, "llm": {rater: rating or list}, "human": number}; ValueError naming
    a line that lacks one.
    """
    opened = gzip.open if path.suffix == ".gz" else open
    rows: list[dict[str, Any]] = []
    with opened(path, "rt", encoding="utf-8") as lines:
        for number, line in enumerate(lines, 1):
            row = json.loads(line)
            missing = [key for key in ("text", "llm", "human") if key not in row]
            if missing:
                raise ValueError(f"{path.name}, line {number} lacks {missing[0]!r}")
            rows.append(row)
    name = path.name.split(".jsonl")[0]
    named = [str(row.get("group", i)) for i, row in enumerate(rows)]
    if len(set(named)) == 1:
        named = [str(i) for i in range(len(rows))]
    groups = np.unique(named, return_inverse=True)[1]
    rated = [row.get("rated") or row["text"] for row in rows]
    raters = dict.fromkeys(r for row in rows for r in row["llm"])
    cells = [cell for r in raters if (cell := _cell(name, r, rows, rated, groups)) is not None]
    return TruthSet(name, [row["text"] for row in rows], rated, groups, cells)


def _cell(
    name: str, rater: str, rows: list[dict[str, Any]], rated: list[str], groups: np.ndarray
) -> Cell | None:
    given = [_ratings(row["llm"].get(rater)) if row["human"] is not None else [] for row in rows]
    at = np.array([i for i, g in enumerate(given) if g], dtype=int)
    if len(at) < 20:
        return None
    repeats = np.full((len(at), max(len(given[i]) for i in at)), np.nan)
    for n, i in enumerate(at):
        repeats[n, : len(given[i])] = given[i]
    human = np.array([rows[i]["human"] for i in at], dtype=float)
    lengths = np.array([len(rated[i]) for i in at], dtype=float)
    if np.ptp(human) == 0 or np.ptp(repeats[:, 0]) == 0:
        return None
    left = without_length(human, lengths)
    return Cell(
        name, rater, at, whole_scores(repeats[:, 0]), repeats, standardised(human),
        standardised(left), lengths, groups[at],
    )  # fmt: skip


def without_length(human: np.ndarray, lengths: np.ndarray) -> np.ndarray:
    """What log length and its square leave of human ratings, (n,)."""
    z = np.log1p(lengths)
    columns = np.stack([np.ones(len(z)), z, z**2], axis=1)
    return np.asarray(human - columns @ np.linalg.lstsq(columns, human, rcond=None)[0])


def _ratings(value: Any) -> list[float]:
    listed = value if isinstance(value, list) else [value]
    return [float(v) for v in listed if v is not None]


def whole_scores(ratings: np.ndarray) -> np.ndarray:
    """Levels 0..K-1 of ratings: their distinct values, or six quantile cells where there are more than
    COARSE.
    """
    values, level = np.unique(ratings, return_inverse=True)
    if len(values) <= COARSE:
        return level
    edges = np.unique(np.quantile(ratings, np.arange(1, CUT) / CUT))
    return np.unique(np.searchsorted(edges, ratings, side="right"), return_inverse=True)[1]


def standardised(values: np.ndarray) -> np.ndarray:
    return (values - values.mean()) / max(values.std(), 1e-12)


def measure(order: np.ndarray, cell: Cell) -> np.ndarray:
    """MEASURES of an order (n,), higher first."""
    return weighted_measures(order, cell, np.ones((1, len(order))))[0]


def bootstrapped(order: np.ndarray, cell: Cell, draws: np.ndarray) -> np.ndarray:
    """MEASURES under each draw, (B, 5). draws (B, G): how often each group of the set was drawn."""
    return weighted_measures(order, cell, draws[:, cell.groups])


def group_draws(groups: np.ndarray, draws: int, seed: int) -> np.ndarray:
    """How often each of the set's groups is drawn, (B, G)."""
    G = int(groups.max()) + 1
    return np.random.default_rng([seed, 21]).multinomial(G, np.full(G, 1 / G), size=draws).astype(float)


def weighted_measures(order: np.ndarray, cell: Cell, weights: np.ndarray) -> np.ndarray:
    """MEASURES with rows weighted, (B, 5). weights (B, n)."""
    level = np.unique(-order, return_inverse=True)[1]
    W = _by_level(level, weights)
    found = []
    for human in (cell.human, cell.human_without_length):
        H = _by_level(level, weights * human)
        found.append([_share_mean(W, H, q) for q in SHARES])
    return np.stack([*found[0], _rank_correlation(-order, cell.human, weights), *found[1]], axis=1)


def _by_level(level: np.ndarray, values: np.ndarray) -> np.ndarray:
    """Sums over levels, (B, L)."""
    n = len(level)
    pick = csr_array((np.ones(n), (np.arange(n), level)), shape=(n, int(level.max()) + 1))
    return np.asarray(values @ pick)


def _share_mean(W: np.ndarray, H: np.ndarray, share: float) -> np.ndarray:
    """Mean of the first share of each draw, the cut level by its expectation, (B,)."""
    total = W.sum(axis=1)
    n = np.maximum(1, np.round(share * total))
    before = np.cumsum(W, axis=1) - W
    part = np.clip((n[:, None] - before) / np.where(W > 0, W, 1), 0, 1) * (W > 0)
    return np.asarray((part * H).sum(axis=1) / n)


def _rank_correlation(order: np.ndarray, human: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Spearman's correlation with people of the order (lower first here), (B,); 0 of an order that leaves
    all equal.
    """
    if np.ptp(order) == 0:
        return np.zeros(len(weights))
    if len(weights) == 1 and (weights == 1).all():
        return np.array([spearmanr(-order, human).statistic])
    ranks = []
    for values in (-order, human):
        level = np.unique(values, return_inverse=True)[1]
        W = _by_level(level, weights)
        ranks.append((np.cumsum(W, axis=1) - W / 2)[:, level])
    total = weights.sum(axis=1, keepdims=True)
    x, y = (r - (weights * r).sum(axis=1, keepdims=True) / total for r in ranks)
    spread = np.sqrt((weights * x * x).sum(axis=1) * (weights * y * y).sum(axis=1))
    return np.asarray((weights * x * y).sum(axis=1) / np.where(spread > 0, spread, 1))


@dataclass(frozen=True)
class Row:
    """One order of one rater on one set: measures (5,) and their bootstrap (B, 5)."""

    set: str
    rater: str
    order: str
    n: int
    values: np.ndarray
    draws: np.ndarray
    about: dict[str, float]
