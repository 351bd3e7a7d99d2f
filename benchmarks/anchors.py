"""Measured claims about anchors: what a hundred human scores find on real raters, and what they mend on
planted pools.

    python benchmarks/anchors.py --sets DIR             every part
    python benchmarks/anchors.py --sets DIR evidence    some: evidence, orders, rater, posterior, planted

DIR as in benchmarks/panels.py, rows with "text" and, where there is one, "rated" beside. A person is
simulated by the mean human rating, rounded to the rater's scale; results are measured against the mean as
it is. Anchors are drawn by `draw_anchors`, 20 times. Writes benchmarks/results/anchors-PART.csv and .md.
"""

from __future__ import annotations

import argparse
import gzip
import json
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from scipy.stats import spearmanr

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "benchmarks")]
from panels import read_set, top_mean, write_table  # noqa: E402

import ds2  # noqa: E402
from ds2.method.anchor_judgement import judge_anchors  # noqa: E402
from ds2.method.anchors import GIVEN, draw_anchors, membership  # noqa: E402
from ds2.method.curation.planted import ordinal_transition, plant_pool  # noqa: E402
from ds2.method.knn import KnnGraph, knn_graph  # noqa: E402

ASKED, DRAWS = 100, 20
NEIGHBORS = "neighbours' mean"
Row = dict[str, Any]


@dataclass(frozen=True)
class Case:
    """One rater of one set: scores (N,) in 0..K-1, human mean on that scale (N,), the person's whole
    answers, and other orders.
    """

    name: str
    rater: str
    scores: np.ndarray
    human: np.ndarray
    answers: np.ndarray
    num_scores: int
    graph: KnnGraph
    neighbors: np.ndarray
    orders: dict[str, np.ndarray]


def cases(folder: Path) -> Iterator[Case]:
    """Every rater of the set's own scale with at least 300 scored rows and more than one level; its rows
    alone.
    """
    for file in sorted(folder.glob("*.jsonl.gz")):
        found = read_set(file)
        embeddings, length = embed(file)
        low = float(np.floor(found.human.min()))
        for r, rater in enumerate(found.raters):
            rows = np.flatnonzero(found.scores[:, r] >= 0)
            s = found.scores[rows, r]
            if len(rows) < 300 or len(np.unique(s)) < 2:
                continue
            graph = knn_graph(embeddings[rows], 10)
            human = found.human[rows] - low
            near = (s[graph.neighbors].sum(axis=1) + 3 * s.mean()) / 13
            student = predicted(embeddings[rows], s)
            orders = {
                "neighbours among equals": s + 1e-3 * unit(near),
                "student among equals": s + 1e-3 * unit(student),
                "score and neighbours": unit(s) + unit(near),
                "longest among equals": s + 1e-3 * unit(np.argsort(np.argsort(length[rows]))),
            }
            answers = np.clip(np.floor(human + 0.5), 0, found.num_scores - 1).astype(np.int64)
            yield Case(found.name, rater, s, human, answers, found.num_scores, graph, near, orders)


def embed(file: Path) -> tuple[np.ndarray, np.ndarray]:
    """TF-IDF of the whole text in 64 dimensions, and characters of the rated part."""
    from sklearn.decomposition import TruncatedSVD
    from sklearn.feature_extraction.text import TfidfVectorizer

    with gzip.open(file, "rt", encoding="utf-8") as lines:
        rows = [row for row in map(json.loads, lines) if row["human"] is not None]
    counted = TfidfVectorizer(min_df=2, sublinear_tf=True).fit_transform([row["text"] for row in rows])
    out = TruncatedSVD(64, random_state=0).fit_transform(counted)
    out[np.abs(out).sum(axis=1) == 0] = 1e-3
    return out, np.array([len(row.get("rated") or row["text"]) for row in rows])


def predicted(x: np.ndarray, s: np.ndarray) -> np.ndarray:
    """A plain student: ridge on the embeddings, five folds."""
    from sklearn.linear_model import RidgeCV

    fold, out = np.arange(len(s)) % 5, np.zeros(len(s))
    for f in range(5):
        model = RidgeCV(10.0 ** np.arange(-2, 3)).fit(x[fold != f], s[fold != f])
        out[fold == f] = model.predict(x[fold == f])
    return out


def unit(x: np.ndarray) -> np.ndarray:
    return (x - x.mean()) / (x.std() + 1e-12)


def spearman(a: np.ndarray, b: np.ndarray) -> float:
    return float(spearmanr(a, b).statistic)


def summed(rows: list[Row], named: str, skip: tuple[str, ...] = ()) -> Row:
    """The mean of every number over rows."""
    keys = [k for k, v in rows[0].items() if not isinstance(v, str)]
    means = {k: float(np.mean([r[k] for r in rows])) for k in keys if k not in skip}
    return {**{k: "" for k in rows[0]}, "set": named, **means}


def run_evidence(folder: Path) -> tuple[list[Row], str]:
    """Spearman gained by the neighbours' mean beside the given score, fitted on anchors; and what all human
    scores would find.
    """
    rows = []
    for case in cases(folder):
        raw = spearman(case.scores, case.human)
        A = np.column_stack([np.ones(len(case.scores)), case.scores, case.neighbors])
        best = spearman(A @ np.linalg.lstsq(A, case.human, rcond=None)[0], case.human)
        tenth = top_mean(case.scores.astype(float), case.human, 0.1)
        always, kept, used, top = [], [], [], []
        for seed in range(DRAWS):
            drawn = draw_anchors(case.scores, n=ASKED, orders=case.orders, seed=seed).rows
            b = np.linalg.lstsq(A[drawn], case.answers[drawn], rcond=None)[0]
            always.append(spearman(A @ b, case.human) - raw)
            told = judge_anchors(
                case.scores, {int(i): int(case.answers[i]) for i in drawn}, num_scores=case.num_scores,
                evidence={NEIGHBORS: case.neighbors},
            )  # fmt: skip
            kept.append(spearman(told.anchored, case.human) - raw)
            top.append(top_mean(told.anchored, case.human, 0.1) - tenth)
            used.append(told.evidence[0].shown)
        rows.append(
            {
                "set": case.name, "rater": case.rater, "raw": raw, "possible": best - raw,
                "always_used": float(np.mean(always)), "with_refusal": float(np.mean(kept)),
                "used_share": float(np.mean(used)), "top10_with_refusal": float(np.mean(top)),
            }
        )  # fmt: skip
    helps = [r for r in rows if r["possible"] > 0.04 and r["raw"] > 0.1]
    rest = [r for r in rows if r not in helps]
    out = [*rows, summed(helps, "mean where neighbours help"), summed(rest, "mean elsewhere")]
    worst = min(r["with_refusal"] for r in rows)
    return out, (
        f"{ASKED} anchors, {DRAWS} draws. `possible`: least squares on all human scores. Neighbours help "
        "where that is above .04 and the rater itself is above .1: "
        f"{sum(r['with_refusal'] for r in helps) / max(sum(r['possible'] for r in helps), 1e-9):.0%} of the "
        f"possible gain is kept there; the largest loss anywhere is {worst:+.3f}."
    )


def run_orders(folder: Path) -> tuple[list[Row], str]:
    """Four other orders against the given scores: is the better one found, what is gained, how often
    intervals hold.
    """
    rows = []
    for case in cases(folder):
        sd = case.human.std()
        orders = {GIVEN: case.scores.astype(float), **case.orders}
        true = {
            k: float(v @ case.human / v.sum())
            for k, v in ((k, membership(o, 0.1)) for k, o in orders.items())
        }
        asked = {
            k: float(v @ case.answers / v.sum())
            for k, v in ((k, membership(o, 0.1)) for k, o in orders.items())
        }
        apart = [k for k in case.orders if abs(true[k] - true[GIVEN]) > 0.05 * sd]
        seen: dict[str, list[float]] = {
            k: [] for k in ("right", "plain", "holds", "gain_holds", "width", "chosen", "likeliest")
        }
        for seed in range(DRAWS):
            drawn = draw_anchors(case.scores, n=ASKED, orders=case.orders, seed=seed)
            told = judge(case, drawn.rows, drawn.weight)
            for o in told.orders:
                seen["holds"].append(
                    abs(o.top_mean.value - asked[o.name]) <= (o.top_mean.high - o.top_mean.low) / 2 + 1e-9
                )
                seen["width"].append((o.top_mean.high - o.top_mean.low) / sd)
                if o.gain is not None:
                    miss = abs(o.gain.value - asked[o.name] + asked[GIVEN])
                    seen["gain_holds"].append(miss <= (o.gain.high - o.gain.low) / 2 + 1e-9)
                if o.gain is not None and o.name in apart:
                    seen["right"].append((o.gain.value > 0) == (true[o.name] > true[GIVEN]))
            seen["chosen"].append((true[told.chosen] - true[GIVEN]) / sd)
            seen["likeliest"].append((true[told.likeliest] - true[GIVEN]) / sd)
            chance = np.random.default_rng([seed, 1]).choice(len(case.scores), ASKED, replace=False)
            for o in judge(case, chance, None).orders:
                if o.gain is not None and o.name in apart:
                    seen["plain"].append((o.gain.value > 0) == (true[o.name] > true[GIVEN]))
        best = max(true.values()) - true[GIVEN]
        rows.append(
            {"set": case.name, "rater": case.rater, "apart": len(apart), "best_gain": best / sd}
            | {k: float(np.mean(v)) if v else float("nan") for k, v in seen.items()}
        )
    weight = np.array([r["apart"] for r in rows])
    right, plain = (np.array([r[k] for r in rows]) for k in ("right", "plain"))
    told_apart = weight > 0
    total = summed(rows, "mean")
    total["right"], total["plain"] = (
        float(x[told_apart] @ weight[told_apart] / weight.sum()) for x in (right, plain)
    )
    worst = min(r["chosen"] for r in rows)
    return [*rows, total], (
        f"{ASKED} anchors, {DRAWS} draws, best 10 %. `right`: share of draws in which the sign of an "
        "order's estimated gain over the given scores is right, of orders that differ by more than .05 sd "
        "(`apart` of the four); `plain`: the same with a plain random draw. `holds`, `gain_holds`: share of "
        "95 % intervals that hold the whole pool's mean answer (gain). `chosen`: gain in sd of the order "
        "chosen, refusing what is not shown; `likeliest`: of the highest estimate; `best_gain`: of the best "
        f"of the five. Largest loss of `chosen` for any rater: {worst:+.3f}."
    )


def judge(case: Case, rows: np.ndarray, weight: np.ndarray | None) -> Any:
    given = {int(i): int(case.answers[i]) for i in rows}
    if len(set(given.values())) == 1:
        raise SystemExit(f"{case.name}: every answer is the same")
    return judge_anchors(case.scores, given, weight, num_scores=case.num_scores, orders=case.orders)


def run_rater(folder: Path) -> tuple[list[Row], str]:
    """Accuracy, bias and T of each rater: how often their intervals hold the whole set's."""
    rows = []
    for case in cases(folder):
        K, off = case.num_scores, case.scores - case.answers
        T = np.zeros((K, K))
        np.add.at(T, (case.answers, case.scores), 1)
        T = T / np.maximum(T.sum(axis=1, keepdims=True), 1)
        hit: dict[str, list[float]] = {"accuracy_holds": [], "bias_holds": [], "T_holds": []}
        for seed in range(DRAWS):
            drawn = draw_anchors(case.scores, n=ASKED, orders=case.orders, seed=seed)
            told = judge(case, drawn.rows, drawn.weight)
            hit["accuracy_holds"].append(told.accuracy.low <= (off == 0).mean() <= told.accuracy.high)
            hit["bias_holds"].append(told.bias.low <= off.mean() <= told.bias.high)
            known = ~np.isnan(told.transition_low)
            hit["T_holds"] += list(
                ((told.transition_low <= T + 1e-9) & (told.transition_high >= T - 1e-9))[known]
            )
        of_rater = {"accuracy": float((off == 0).mean()), "bias": float(off.mean())}
        rows.append(
            {"set": case.name, "rater": case.rater}
            | of_rater
            | {k: float(np.mean(v)) for k, v in hit.items()}
        )
    return [
        *rows,
        summed(rows, "mean"),
    ], f"{ASKED} anchors, {DRAWS} draws: share of 95 % intervals that hold what all human scores give."


def run_posterior(folder: Path) -> tuple[list[Row], str]:
    """`posterior` on real raters with anchors, and with the accuracy stated: three draws."""
    rows = []
    for case in cases(folder):
        if len(case.scores) > 3000:
            continue
        raw = top_mean(case.scores.astype(float), case.human, 0.1)
        right = float(np.clip((case.scores == case.answers).mean(), 1 / case.num_scores + 0.01, 0.98))
        row: Row = {"set": case.name, "rater": case.rater, "raw_top10": raw}

        def mean_of(case: Case = case, **told: Any) -> np.ndarray:
            found = ds2.curate(
                graph=case.graph, scores=case.scores, num_scores=case.num_scores, method="posterior", **told
            )
            return found.posterior_mean

        row["posterior"] = top_mean(mean_of(), case.human, 0.1) - raw
        row["stated_accuracy"] = top_mean(mean_of(rater_accuracy=right), case.human, 0.1) - raw
        with_anchors, without = [], []
        for seed in range(3):
            drawn = draw_anchors(case.scores, n=ASKED, orders=case.orders, seed=seed).rows
            told = mean_of(anchors={int(i): int(case.answers[i]) for i in drawn})
            with_anchors.append(top_mean(told, case.human, 0.1) - raw)
            left = np.setdiff1d(np.arange(len(told)), drawn)
            given = top_mean(case.scores[left].astype(float), case.human[left], 0.1)
            without.append(top_mean(told[left], case.human[left], 0.1) - given)
        row["anchors"], row["anchors_unasked"] = float(np.mean(with_anchors)), float(np.mean(without))
        rows.append(row)
    return [*rows, summed(rows, "mean")], (
        "Mean human z of the best 10 % by the posterior mean, less that of the given scores (`raw_top10`); "
        "sets of at most 3,000 rows. `anchors_unasked`: among the samples nobody was asked about, so that "
        "clamped answers do not count themselves."
    )


def run_planted(_: Path | None) -> tuple[list[Row], str]:
    """Planted pools, N = 3,000: mean true z of the best 10 % by the posterior mean, less that of the given
    scores.
    """
    from curation import PRIOR, PUBLISHED

    rows = []
    pairs = ((0.6, 0.92), (0.6, 0.6), (0.6, 0.3), (0.75, 0.8), (0.9, 0.6), (0.9, 0.3), (0.45, 0.92))
    for name, T, prior, settings in [
        *((f"accuracy {a}, purity {p}", ordinal_transition(6, accuracy=a), None,
           {"purity": p, "cluster_size": 15}) for a, p in pairs),
        *((f"{rater}'s T", T, PRIOR, {"purity": 0.92, "cluster_size": 12}) for rater, T in PUBLISHED.items()),
    ]:  # fmt: skip
        found = []
        for seed in range(3):
            pool = plant_pool(3000, transitions=T, prior=prior, seed=seed, **settings)
            graph, s, y = knn_graph(pool.embeddings, 10), pool.scores, pool.true_scores
            raw = top_mean(s.astype(float), y, 0.1)
            drawn = draw_anchors(s, n=ASKED, seed=seed).rows
            right = float(np.clip((s == y).mean(), 0.2, 0.98))
            told = [
                {}, {"anchors": {int(i): int(y[i]) for i in drawn}}, {"rater_accuracy": right},
                {"transition": pool.transitions[0]},
            ]  # fmt: skip
            means = [
                ds2.curate(graph=graph, scores=s, method="posterior", **given).posterior_mean
                for given in told
            ]
            left = np.setdiff1d(np.arange(len(s)), drawn)
            unasked = top_mean(means[1][left], y[left], 0.1) - top_mean(s[left].astype(float), y[left], 0.1)
            found.append([raw, *(top_mean(m, y, 0.1) - raw for m in means), unasked])
        keys = ("raw", "posterior", "anchors", "stated_accuracy", "true_T", "anchors_unasked")
        rows.append({"set": name} | dict(zip(keys, map(float, np.mean(found, axis=0)), strict=True)))
    return [
        *rows,
        summed(rows, "mean"),
    ], f"Three seeds. `anchors`: {ASKED} true scores, drawn by `draw_anchors`."


PARTS = {
    "evidence": run_evidence, "orders": run_orders, "rater": run_rater, "posterior": run_posterior,
    "planted": run_planted,
}  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("parts", nargs="*", metavar="PART", help=", ".join(PARTS))
    parser.add_argument("--sets", type=Path, metavar="DIR")
    given = parser.parse_args()
    unknown = set(given.parts) - set(PARTS)
    if unknown:
        parser.error(f"unknown parts: {', '.join(sorted(unknown))}")
    for part in given.parts or PARTS:
        if part != "planted" and (given.sets is None or not given.sets.is_dir()):
            print(f"{part} skipped: --sets names no folder")
            continue
        start = time.perf_counter()
        rows, said = PARTS[part](given.sets)
        write_table("anchors", part, rows, said, time.perf_counter() - start)


if __name__ == "__main__":
    main()
