"""Sets that language models and people rated, what people say of an order, and tables of it."""

from __future__ import annotations

import csv
import datetime
import gzip
import json
import platform
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from scipy.stats import spearmanr

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

RESULTS = ROOT / "benchmarks" / "results"


@dataclass(frozen=True)
class RatedSet:
    """Raters' scores (N, R) in 0..K-1, -1 missing, and people's mean (N,), of rows that people scored;
    groups (N,).
    """

    name: str
    raters: list[str]
    scores: np.ndarray
    num_scores: int
    human: np.ndarray
    group: np.ndarray
    texts: list[str]
    """The whole of each row; `rated`: the rated part."""
    rated: list[str]


def set_files(folder: Path) -> list[Path]:
    return sorted(p for p in folder.glob("*.jsonl*") if p.suffix in (".gz", ".jsonl"))


def rated_rows(file: Path) -> list[dict[str, Any]]:
    """Rows of a set that people scored."""
    opened = gzip.open if file.suffix == ".gz" else open
    with opened(file, "rt", encoding="utf-8") as lines:
        return [row for row in map(json.loads, lines) if row["human"] is not None]


def read_set(file: Path) -> RatedSet:
    """A set with the raters of its own scale: those whose ratings have the set's most common range, others
    left out aloud.
    """
    rows = rated_rows(file)
    raters = list(dict.fromkeys(name for row in rows for name in row["llm"]))
    X = np.array([[first_rating(row["llm"].get(name)) for name in raters] for row in rows])
    top = np.nanmax(X, axis=0)
    own = [r for r in range(len(raters)) if top[r] == np.median(top)]
    if len(own) < len(raters):
        print(f"{file.name}: {len(raters) - len(own)} raters on another scale left out")
    X = np.round(X[:, own])
    low = int(np.nanmin(X))
    codes = np.where(np.isnan(X), -1, X - low).astype(np.int64)
    return RatedSet(
        name=file.name.split(".jsonl")[0],
        raters=[raters[r] for r in own],
        scores=codes,
        num_scores=int(np.nanmax(X)) - low + 1,
        human=np.array([row["human"] for row in rows], dtype=float),
        group=np.unique([str(row.get("group")) for row in rows], return_inverse=True)[1],
        texts=[str(row.get("text") or "") for row in rows],
        rated=[str(row.get("rated") or row.get("text") or "") for row in rows],
    )


def first_rating(value: Any) -> float:
    if isinstance(value, list):
        value = value[0] if value else None
    return float("nan") if value is None else float(value)


def several_raters(folder: Path) -> Iterator[RatedSet]:
    for file in set_files(folder):
        found = read_set(file)
        varied = [
            r
            for r in range(len(found.raters))
            if len(np.unique(found.scores[found.scores[:, r] >= 0, r])) > 1
        ]
        if len(varied) > 1:
            yield found


def common(found: RatedSet) -> np.ndarray:
    """Rows that every rater scored."""
    return np.flatnonzero((found.scores >= 0).all(axis=1))


def top_mean(order: np.ndarray, human: np.ndarray, share: float) -> float:
    """Mean human z of the best `share` by `order`, ties by their expectation."""
    z = (human - human.mean()) / human.std()
    size = round(share * len(order))
    cut = np.sort(order)[::-1][size - 1]
    above, equal = order > cut, order == cut
    return float((z[above].sum() + (size - above.sum()) * z[equal].mean()) / size)


def people(order: np.ndarray, human: np.ndarray) -> list[float]:
    """Spearman, mean human z of the top 10 % and of the top 30 %."""
    return [
        float(spearmanr(order, human).statistic),
        top_mean(order, human, 0.1),
        top_mean(order, human, 0.3),
    ]


def gain_interval(found: RatedSet, rows: np.ndarray, before: np.ndarray, after: np.ndarray) -> list[float]:
    """95 % interval of the gain in top 10 %, from 300 resamples of groups (of rows where there is one
    group).
    """
    rng = np.random.default_rng(0)
    group = found.group[rows]
    if len(np.unique(group)) < 10:
        group = np.arange(len(rows))
    members = [np.flatnonzero(group == g) for g in np.unique(group)]
    gains = []
    for _ in range(300):
        drawn = np.concatenate([members[i] for i in rng.integers(0, len(members), len(members))])
        human = found.human[rows][drawn]
        gains.append(top_mean(after[drawn], human, 0.1) - top_mean(before[drawn], human, 0.1))
    return [float(q) for q in np.quantile(gains, [0.025, 0.975])]


def write_table(name: str, part: str, rows: list[dict[str, Any]], said: str, seconds: float) -> None:
    """benchmarks/results/NAME-PART.csv and .md."""
    RESULTS.mkdir(parents=True, exist_ok=True)
    with (RESULTS / f"{name}-{part}.csv").open("w", encoding="utf-8", newline="") as file:
        table = csv.DictWriter(file, list(rows[0]))
        table.writeheader()
        table.writerows(rows)
    head = list(rows[0])
    body = ["| " + " | ".join(_shown(row[key]) for key in head) + " |" for row in rows]
    made = (
        f"{datetime.date.today()}, {platform.machine()}, Python {platform.python_version()}, numpy "
        f"{np.__version__}, {seconds:.0f} s: `python benchmarks/{name}.py --sets DIR {part}`"
    )
    text = "\n".join(
        [
            f"# {name.capitalize()}: {part}",
            "",
            made,
            "",
            said,
            "",
            "| " + " | ".join(head) + " |",
            "|" + "---|" * len(head),
            *body,
            "",
        ]
    )
    (RESULTS / f"{name}-{part}.md").write_text(text, encoding="utf-8")
    print(text)


def _shown(value: Any) -> str:
    return f"{value:.3f}" if isinstance(value, float) else str(value)
