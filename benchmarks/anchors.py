"""Measured claims about anchors: what a hundred human scores find on real raters, and what they mend on
planted pools.

    python benchmarks/anchors.py --sets DIR             every part
    python benchmarks/anchors.py --sets DIR refine      some: refine, evidence, orders, rater, posterior,
                                                        planted
    python benchmarks/anchors.py --sets DIR --kept TMP  keep the orders in a folder, for further parts

DIR as in benchmarks/panels.py, rows with "text" and, where there is one, "rated" beside. Every rater is
curated as `ds2` does by default (TF-IDF of the whole text, `refine` with the rated parts, `posterior`,
`rank`). A person is simulated by the mean human rating, rounded to the rater's scale; results are measured
against the mean as it is. Anchors are drawn by `draw_anchors` as `ds2 anchors draw` does, 20 times. Writes
benchmarks/results/anchors-PART.csv and .md.
"""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
from scipy.stats import spearmanr

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "benchmarks")]
from anchor_cases import ASKED, DRAWS, NEIGHBORS, Case, cases  # noqa: E402
from rated_sets import top_mean, write_table  # noqa: E402

import ds2  # noqa: E402
from ds2.method.anchor_evidence import try_evidence  # noqa: E402
from ds2.method.anchor_judgement import judge_anchors  # noqa: E402
from ds2.method.anchors import GIVEN, draw_anchors, membership  # noqa: E402
from ds2.method.curation.planted import ordinal_transition, plant_pool  # noqa: E402
from ds2.method.knn import knn_graph  # noqa: E402

POSTERIOR_DRAWS = 1
"""Each costs six fits of the posterior: one, and five for the samples left out."""
ANCHORED = "refine with anchors"
Row = dict[str, Any]


def spearman(a: np.ndarray, b: np.ndarray) -> float:
    return float(spearmanr(a, b).statistic)


def summed(rows: list[Row], named: str, skip: tuple[str, ...] = ()) -> Row:
    """The mean of every number over rows."""
    keys = [k for k, v in rows[0].items() if not isinstance(v, str)]
    means = {k: float(np.mean([r[k] for r in rows])) for k in keys if k not in skip}
    return {**{k: "" for k in rows[0]}, "set": named, **means}


def run_evidence(found: list[Case]) -> tuple[list[Row], str]:
    """Spearman gained by the neighbours' mean beside the given score, fitted on anchors; and what all human
    scores would find.
    """
    rows = []
    for case in found:
        raw, given = spearman(case.scores, case.human), case.scores.astype(float)
        A = np.column_stack([np.ones(len(given)), given, case.neighbors])
        best = spearman(A @ np.linalg.lstsq(A, case.human, rcond=None)[0], case.human)
        tenth = top_mean(given, case.human, 0.1)
        always, kept, used, top = [], [], [], []
        for seed in range(DRAWS):
            drawn = case.draw(seed).rows
            b = np.linalg.lstsq(A[drawn], case.answers[drawn], rcond=None)[0]
            always.append(spearman(A @ b, case.human) - raw)
            told = try_evidence(given, drawn, case.answers[drawn].astype(float), {NEIGHBORS: case.neighbors})
            order = told.expected if told.shown else given
            kept.append(spearman(order, case.human) - raw)
            top.append(top_mean(order, case.human, 0.1) - tenth)
            used.append(bool(told.shown))
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


def run_refine(found: list[Case]) -> tuple[list[Row], str]:
    """`refine` with anchors against `refine` and the given scores; samples that were asked count at their
    place unasked.
    """
    rows = []
    for case in found:
        given, base, human = case.scores.astype(float), case.orders["refine"], case.human
        A = np.column_stack([np.ones(len(given)), base, *case.columns.values()])
        ideal = A @ np.linalg.lstsq(A, human, rcond=None)[0]
        values = [(spearman(o, human), top_mean(o, human, 0.1)) for o in (given, base, ideal)]
        drawn = [case.draw(seed).rows for seed in range(DRAWS)]
        moved = [case.anchored(rows_) for rows_ in drawn]
        gains = np.array([[spearman(o, human), top_mean(o, human, 0.1)] for o in moved]) - values[1]
        (raw, top), refined, best = values
        rows.append(
            {
                "set": case.name, "rater": case.rater, "spearman": raw, "refine": refined[0] - raw,
                "anchors": float(gains[:, 0].mean()), "all_human": best[0] - refined[0], "top10": top,
                "refine_top10": refined[1] - top, "anchors_top10": float(gains[:, 1].mean()),
                "all_human_top10": best[1] - refined[1],
                "used": float(np.mean([o is not base for o in moved])),
            }
        )  # fmt: skip
    lost = [min(r[k] for r in rows) for k in ("anchors", "anchors_top10")]
    far = [r for r in rows if r["all_human_top10"] > 0.1]
    part = sum(r["anchors_top10"] for r in far) / max(sum(r["all_human_top10"] for r in far), 1e-9)
    return [*rows, summed(rows, "mean")], (
        f"{ASKED} anchors, {DRAWS} draws. `refine`: gain over the given scores; `anchors`: gain of `refine` "
        "with anchors over `refine`; `all_human`: what least squares on every human score would add to it. "
        f"Largest mean loss of any rater: {lost[0]:+.3f} Spearman, {lost[1]:+.3f} top 10 %. Where all human "
        f"scores would add more than .1 sd to the top 10 % ({len(far)} raters), a hundred find {part:.0%} "
        "of it."
    )


def run_orders(found: list[Case]) -> tuple[list[Row], str]:
    """Other orders against the given scores: is the better one found, what is gained, how often intervals
    hold.
    """
    rows = []
    for case in found:
        sd, given = case.human.std(), case.scores.astype(float)
        seen: dict[str, list[float]] = {
            k: [] for k in ("right", "plain", "holds", "gain_holds", "width", "chosen", "likeliest")
        }
        for seed in range(DRAWS):
            drawn = case.draw(seed)
            moved = case.anchored(drawn.rows)
            orders = case.orders | ({} if moved is case.orders["refine"] else {ANCHORED: moved})
            true, asked = (
                {k: best_tenth(o, v) for k, o in {GIVEN: given, **orders}.items()}
                for v in (case.human, case.answers)
            )
            apart = [k for k in orders if abs(true[k] - true[GIVEN]) > 0.05 * sd]
            told = judge(case, orders, drawn.rows, drawn.weight)
            for o in told.orders:
                if o.top_mean is None or o.top_mean.low is None:
                    continue
                seen["holds"].append(o.top_mean.low - 1e-9 <= asked[o.name] <= o.top_mean.high + 1e-9)
                seen["width"].append((o.top_mean.high - o.top_mean.low) / sd)
                if o.gain is not None and o.gain.low is not None:
                    gain = asked[o.name] - asked[GIVEN]
                    seen["gain_holds"].append(o.gain.low - 1e-9 <= gain <= o.gain.high + 1e-9)
            seen["chosen"].append((true[told.chosen] - true[GIVEN]) / sd)
            seen["likeliest"].append((true[told.likeliest] - true[GIVEN]) / sd)
            chance = np.random.default_rng([seed, 1]).choice(len(given), ASKED, replace=False)
            by_chance = judge(case, orders, chance, None)
            for key, judged in (("right", told), ("plain", by_chance)):
                seen[key] += [
                    (o.gain.value > 0) == (true[o.name] > true[GIVEN])
                    for o in judged.orders
                    if o.name in apart and o.gain is not None
                ]
        rows.append(
            {"set": case.name, "rater": case.rater, "apart": len(seen["right"])}
            | {k: float(np.mean(v)) if v else float("nan") for k, v in seen.items()}
        )
    weight = np.array([r["apart"] for r in rows])
    right, plain = (np.nan_to_num([r[k] for r in rows]) for k in ("right", "plain"))
    total = summed(rows, "mean")
    total["right"], total["plain"] = (float(x @ weight / weight.sum()) for x in (right, plain))
    worst = min(r["chosen"] for r in rows)
    return [*rows, total], (
        f"{ASKED} anchors, {DRAWS} draws, best 10 %. Orders: refine, posterior, the paper's, and refine with "
        "the anchors where they moved it. `right`: share in which the sign of an order's estimated gain over "
        "the given scores is right, of orders that differ by more than .05 sd (`apart` in all draws); "
        "`plain`: the same with a plain random draw. `holds`, `gain_holds`: share of 95 % intervals that "
        "hold the whole pool's mean answer (gain). `chosen`: gain in sd of the order chosen, refusing what "
        f"is not shown; `likeliest`: of the highest estimate. Largest loss of `chosen`: {worst:+.3f}."
    )


def best_tenth(order: np.ndarray, value: np.ndarray) -> float:
    m = membership(order, 0.1)
    return float(m @ value / m.sum())


def judge(case: Case, orders: dict[str, np.ndarray], rows: np.ndarray, weight: np.ndarray | None) -> Any:
    given = {int(i): int(case.answers[i]) for i in rows}
    if len(set(given.values())) == 1:
        raise SystemExit(f"{case.name}: every answer is the same")
    return judge_anchors(case.scores, given, weight, num_scores=case.num_scores, orders=orders)


def run_rater(found: list[Case]) -> tuple[list[Row], str]:
    """Accuracy, bias and T of each rater: how often their intervals hold the whole set's."""
    rows = []
    for case in found:
        K, off = case.num_scores, case.scores - case.answers
        T = np.zeros((K, K))
        np.add.at(T, (case.answers, case.scores), 1)
        T = T / np.maximum(T.sum(axis=1, keepdims=True), 1)
        hit: dict[str, list[float]] = {"accuracy_holds": [], "bias_holds": [], "T_holds": []}
        for seed in range(DRAWS):
            drawn = case.draw(seed)
            told = judge(case, {}, drawn.rows, drawn.weight)
            hit["accuracy_holds"].append(
                told.rater.accuracy.low <= (off == 0).mean() <= told.rater.accuracy.high
            )
            hit["bias_holds"].append(told.rater.bias.low <= off.mean() <= told.rater.bias.high)
            low, high = (
                np.array(x, dtype=float) for x in (told.rater.transition_low, told.rater.transition_high)
            )
            hit["T_holds"] += list(((low <= T + 1e-9) & (high >= T - 1e-9))[~np.isnan(low)])
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


def run_posterior(found: list[Case]) -> tuple[list[Row], str]:
    """`posterior` on real raters with anchors, and with the accuracy stated."""
    rows = []
    for case in found:
        if len(case.scores) > 1000:
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
        for seed in range(POSTERIOR_DRAWS):
            drawn = case.draw(seed).rows
            told = mean_of(anchors={int(i): int(case.answers[i]) for i in drawn})
            with_anchors.append(top_mean(told, case.human, 0.1) - raw)
            left = np.setdiff1d(np.arange(len(told)), drawn)
            given = top_mean(case.scores[left].astype(float), case.human[left], 0.1)
            without.append(top_mean(told[left], case.human[left], 0.1) - given)
        row["anchors"], row["anchors_unasked"] = float(np.mean(with_anchors)), float(np.mean(without))
        rows.append(row)
    return [*rows, summed(rows, "mean")], (
        "Mean human z of the best 10 % by the posterior mean, less that of the given scores (`raw_top10`); "
        "sets of at most 1,000 rows. `anchors_unasked`: among the samples nobody was asked about, so that "
        "clamped answers do not count themselves."
    )


def run_planted(_: list[Case]) -> tuple[list[Row], str]:
    """Planted pools, N = 3,000: mean true z of the best 10 % by the posterior mean, less that of the given
    scores.
    """
    from curation_pools import PRIOR, PUBLISHED

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
    "refine": run_refine, "evidence": run_evidence, "orders": run_orders, "rater": run_rater,
    "posterior": run_posterior, "planted": run_planted,
}  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("parts", nargs="*", metavar="PART", help=", ".join(PARTS))
    parser.add_argument("--sets", type=Path, metavar="DIR")
    parser.add_argument("--kept", type=Path, metavar="DIR", help="where each rater's orders are kept")
    given = parser.parse_args()
    unknown = set(given.parts) - set(PARTS)
    if unknown:
        parser.error(f"unknown parts: {', '.join(sorted(unknown))}")
    parts = given.parts or list(PARTS)
    found: list[Case] = []
    if given.sets is None or not given.sets.is_dir():
        print("--sets names no folder: planted pools alone")
        parts = [part for part in parts if part == "planted"]
    elif parts != ["planted"]:
        found = list(cases(given.sets, given.kept))
    for part in parts:
        start = time.perf_counter()
        rows, said = PARTS[part](found)
        write_table("anchors", part, rows, said, time.perf_counter() - start)


if __name__ == "__main__":
    main()
