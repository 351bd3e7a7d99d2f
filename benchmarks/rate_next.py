"""Which rows to rate next? Rules that choose each batch by the student so far, against a random draw.

    python benchmarks/rate_next.py                      the truth sets of DS2_DATA/truth, two raters a set
    python benchmarks/rate_next.py --sets DIR --draws 2

Sets are cut to MOST rows drawn at random, and the student is light (five folds, dealt once). A tenth is
rated at random (at least 40 rows), then two batches up to three tenths, each chosen by a rule from what the
student and its members predict of the rows that are not rated yet. Then the whole set is ordered by
`refine`, and the order is worth what people say of its top 10 % and 30 % (`truth_measures`).
Rules are compared on the same first tenth; intervals are a bootstrap over cases (a set, a rater, a draw).

Writes benchmarks/results/rate-next.md and .json.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Callable
from dataclasses import fields, replace
from functools import partial
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "benchmarks")]
from human_truth import DATA, NAMED, RESULTS, embed, markdown  # noqa: E402
from truth_measures import Cell, TruthSet, measure, read_sets, standardised  # noqa: E402

import ds2  # noqa: E402
import ds2.method.student.fit as fit  # noqa: E402
from ds2.method.refine import refine  # noqa: E402

SHARES = (0.1, 0.2, 0.3)
FEWEST = 40
TOP = 0.1
MOST = 800
"""Rows of a set that take part, drawn at random from a larger one."""

Rule = Callable[[np.ndarray, np.ndarray, np.random.Generator], np.ndarray]


def at_random(student: np.ndarray, spread: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    return rng.random(len(student))


def members_disagree(student: np.ndarray, spread: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Largest standard deviation of the members' predictions first."""
    return spread


def predicted_best(student: np.ndarray, spread: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    return student


def best_it_may_be(student: np.ndarray, spread: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Prediction and disagreement, as an upper bound."""
    return student + spread


def nearest_the_cut(student: np.ndarray, spread: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Where a score would move the choice of the top tenth."""
    return -np.abs(student - np.quantile(student, 1 - TOP))


RULES: dict[str, Rule] = {
    "random": at_random,
    "members disagree": members_disagree,
    "predicted best": predicted_best,
    "prediction plus disagreement": best_it_may_be,
    "nearest the cut of the top tenth": nearest_the_cut,
}


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--sets", type=Path, default=DATA / "truth")
    parser.add_argument("--draws", type=int, default=2)
    parser.add_argument("--out", type=Path, default=RESULTS)
    args = parser.parse_args()
    os.environ["OMP_NUM_THREADS"] = "1"
    sets = sorted(read_sets(args.sets), key=lambda s: len(s.texts))
    found: list[dict[str, Any]] = []
    args.out.mkdir(parents=True, exist_ok=True)
    for truth in sets:
        found += cases_of(truth, args.draws)
        if found:
            write(args.out, found, args.draws)
    print(report(found))


def write(folder: Path, found: list[dict[str, Any]], draws: int) -> None:
    """Everything so far."""
    head = f"`python benchmarks/rate_next.py --draws {draws}`"
    (folder / "rate-next.md").write_text(f"{head}\n\n{report(found)}")
    (folder / "rate-next.json").write_text(json.dumps(found, indent=1) + "\n")


def cases_of(truth: TruthSet, draws: int) -> list[dict[str, Any]]:
    cells = [c for c in truth.cells if c.rater in NAMED.get(truth.name, (c.rater,))][:2]
    rows = []
    for cell in (smaller(c) for c in cells):
        x = embed([truth.texts[i] for i in cell.rows], "tfidf")
        graph, texts = ds2.knn_graph(x, 10), [truth.rated[i] for i in cell.rows]
        order = partial(_order, x, graph, texts, cell.scores.astype(float))
        n = len(cell.scores)
        first = max(FEWEST, round(SHARES[0] * n))
        if first > SHARES[1] * n:
            continue
        for draw in range(draws):
            start = np.random.default_rng([draw, 41]).permutation(n)[:first]
            if np.ptp(cell.scores[start]) == 0:
                continue
            values = _grown(order, cell, start, draw)
            rows.append({"set": cell.set, "rater": cell.rater, "draw": draw, "n": n, **values})
            print(cell.set, cell.rater, draw, {k: v[0] for k, v in values.items()},
                  file=sys.stderr, flush=True)  # fmt: skip
    return rows


def smaller(cell: Cell) -> Cell:
    """The cell, or a random MOST of its rows."""
    if len(cell.rows) <= MOST:
        return cell
    kept = np.sort(np.random.default_rng(45).permutation(len(cell.rows))[:MOST])
    arrays = {f.name: getattr(cell, f.name)[kept] for f in fields(cell) if f.name not in ("set", "rater")}
    for name in ("human", "human_without_length"):
        arrays[name] = standardised(arrays[name])
    return replace(cell, **arrays)


def _order(
    x: np.ndarray, graph: ds2.KnnGraph, texts: list[str], s: np.ndarray, rated: np.ndarray
) -> tuple[Any, np.ndarray]:
    """`refine` with these rows rated, and the members' standard deviation, (n,)."""
    stack, seen = fit.stack_members, {}

    def remember(members: dict[str, np.ndarray], *rest: Any) -> Any:
        seen.update(members)
        return stack(members, *rest)

    given = np.where(rated, s, -1.0)
    light = patch.multiple(fit, stack_members=remember, REPEATS=1, SMALL_FOLDS=5)
    with light:
        found = refine(x, given, graph=graph, num_scores=int(s.max()) + 1, texts=texts)
    spread = np.std(list(seen.values()), axis=0) if seen else np.zeros(len(s))
    return found, spread


def _grown(order: Any, cell: Cell, start: np.ndarray, draw: int) -> dict[str, list[float]]:
    """Top 10 % and 30 % by people's ratings at the last share, for each rule."""
    n = len(cell.scores)
    first = np.zeros(n, dtype=bool)
    first[start] = True
    after_first = order(first)
    values = {}
    for name, rule in RULES.items():
        rng = np.random.default_rng([draw, 43])
        rated, (found, spread) = first.copy(), after_first
        for share in SHARES[1:]:
            open_ = np.flatnonzero(~rated)
            value = rule(found.student[open_], spread[open_], rng)
            rated[open_[np.argsort(-value, kind="stable")[: round(share * n) - int(rated.sum())]]] = True
            found, spread = order(rated)
        values[name] = measure(found.refined, cell)[:2].round(4).tolist()
    return values


def report(found: list[dict[str, Any]]) -> str:
    rng = np.random.default_rng(0)
    picks = rng.integers(0, len(found), size=(2000, len(found)))
    lines = [["rule", "top 10 %", "less random", "top 30 %", "less random", "cases better", "cases worse"]]
    for name in RULES:
        v = np.array([row[name] for row in found])
        d = v - np.array([row["random"] for row in found])
        b = d[picks].mean(axis=1)
        cells = [f"{v[:, 0].mean():.3f}", _gap(d, b, 0), f"{v[:, 1].mean():.3f}", _gap(d, b, 1)]
        if name == "random":
            cells[1] = cells[3] = ""
        counts = [str(int((d[:, 0] > 0.01).sum())), str(int((d[:, 0] < -0.01).sum()))]
        lines.append([name, *cells, *(counts if name != "random" else ["", ""])])
    sets = sorted({row["set"] for row in found})
    by_set = [["set", *(n for n in RULES)]]
    for name in sets:
        mine = [row for row in found if row["set"] == name]
        by_set.append([name, *(f"{np.mean([r[rule][0] for r in mine]):.3f}" for rule in RULES)])
    return (
        f"Three tenths rated, {len(found)} cases on {len(sets)} sets:\n\n{markdown(lines)}\n"
        f"Top 10 % by set:\n\n{markdown(by_set)}"
    )


def _gap(d: np.ndarray, b: np.ndarray, j: int) -> str:
    low, high = np.quantile(b[:, j], (0.025, 0.975))
    return f"{d[:, j].mean():+.3f} ({low:+.3f} to {high:+.3f})"


if __name__ == "__main__":
    main()
