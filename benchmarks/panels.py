"""Measured claims about panels: several real raters fused, judged by people; a useless rater among them;
time.

    python benchmarks/panels.py --sets DIR          every part
    python benchmarks/panels.py --sets DIR sets     some parts: sets, student, useless, repeats; without
                                                    sets: speed, curate

DIR holds JSON-lines files (.jsonl or .jsonl.gz), one a set, of rows `{"group", "llm": {rater: rating or list
of repeats}, "human": number}` (null where missing; the first repeat is read). Writes
benchmarks/results/panels-PART.csv and .md, with machine, versions and date.
"""

from __future__ import annotations

import argparse
import resource
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "benchmarks")]
from rated_sets import (  # noqa: E402
    RatedSet,
    common,
    gain_interval,
    people,
    rated_rows,
    set_files,
    several_raters,
    write_table,
)

from ds2.method.curation.api import curate  # noqa: E402
from ds2.method.embedding import tfidf_svd, unit_rows  # noqa: E402
from ds2.method.knn import KnnGraph, knn_graph  # noqa: E402
from ds2.method.panel import fit_panel  # noqa: E402
from ds2.method.panel_result import Panel  # noqa: E402
from ds2.method.refine import refine  # noqa: E402

ONE_SCALE = ("asap_essays_set4", "cebab_stars", "conala_code_usefulness", "trec_dl19_relevance")
"""Sets whose raters use one scale and share most rows, named for the summary where they are present."""


def run_sets(folder: Path) -> tuple[list[dict[str, Any]], str]:
    """Mean of the raters against the factor, on the rows that all rated and on all rows."""
    rows = []
    for found in several_raters(folder):
        shared = common(found)
        panel, mean = fuse(found, shared), found.scores[shared].mean(axis=1)
        low, high = gain_interval(found, shared, mean, panel.score)
        before, after = people(mean, found.human[shared]), people(panel.score, found.human[shared])
        every = np.flatnonzero((found.scores >= 0).any(axis=1))
        loose = fuse(found, every)
        seen = np.where(found.scores[every] >= 0, found.scores[every], np.nan)
        rows.append(
            {
                "set": found.name,
                "raters": len(found.raters),
                "rows": len(shared),
                **dict(zip(("mean_spearman", "mean_top10", "mean_top30"), before, strict=True)),
                **dict(zip(("factor_spearman", "factor_top10", "factor_top30"), after, strict=True)),
                "gain_top10_low": low,
                "gain_top10_high": high,
                "independent_raters": panel.account.independent_raters,
                "reliability": panel.account.reliability,
                "spare": len(panel.account.spare),
                "all_rows": len(every),
                "all_mean_spearman": people(np.nanmean(seen, axis=1), found.human[every])[0],
                "all_factor_spearman": people(loose.score, found.human[every])[0],
                "all_mean_top10": people(np.nanmean(seen, axis=1), found.human[every])[1],
                "all_factor_top10": people(loose.score, found.human[every])[1],
            }
        )  # fmt: skip
    numbers = [key for key in rows[0] if key not in ("set", "raters", "rows", "all_rows")]
    for name, of in (("all sets", [r["set"] for r in rows]), ("one scale", list(ONE_SCALE))):
        part = [r for r in rows if r["set"] in of]
        if part:
            rows.append({"set": f"mean, {name}", "raters": "", "rows": "", "all_rows": ""}
                        | {key: float(np.mean([r[key] for r in part])) for key in numbers})  # fmt: skip
    said = (
        "`mean`: the raters' plain mean; `factor`: the panel's score. First on the rows that every rater "
        "scored, then (`all`) on every row, the missing left out. `reliability` is what the panel believes "
        "of itself, the squared correlation with what its raters share; the square of `factor_spearman`, "
        "far lower, is what people say: errors that all raters share are not seen from within. `one scale`: "
        f"{', '.join(ONE_SCALE)}."
    )
    return rows, said


def run_useless(folder: Path) -> tuple[list[dict[str, Any]], str]:
    """Each rater in turn replaced by its own scores shuffled; against the panel without that rater."""
    rows = []
    for found in several_raters(folder):
        if len(found.raters) < 4:
            print(f"{found.name}: {len(found.raters)} raters, of which noise cannot be told from the rest")
            continue
        shared = common(found)
        rng, lost = np.random.default_rng(0), []
        for r in range(len(found.raters)):
            noisy = found.scores[shared].copy()
            noisy[:, r] = rng.permutation(noisy[:, r])
            left = np.delete(found.scores[shared], r, axis=1)
            human = found.human[shared]
            factor = [people(fit_panel(s, num_scores=found.num_scores).score, human) for s in (left, noisy)]
            plain = [people(s.mean(axis=1), human) for s in (left, noisy)]
            lost.append([x - y for pair in (plain, factor) for x, y in zip(*pair, strict=True)])
        spent = np.mean(lost, axis=0)
        rows.append(
            {
                "set": found.name, "raters": len(found.raters),
                "mean_cost_spearman": spent[0], "mean_cost_top10": spent[1],
                "factor_cost_spearman": spent[3], "factor_cost_top10": spent[4],
                "factor_worst_spearman": float(np.max(lost, axis=0)[3]),
            }
        )  # fmt: skip
    keys = list(rows[0])[2:]
    rows.append({"set": "mean", "raters": ""} | {key: float(np.mean([r[key] for r in rows])) for key in keys})
    return rows, (
        "What a rater of pure noise (a rater's own scores, shuffled) costs a panel, against the panel "
        "without it; mean over the raters so replaced, and the worst of them. Negative: the noise did no "
        "harm. Top 10 % moves where ties break."
    )


def run_speed(_: Path | None) -> tuple[list[dict[str, Any]], str]:
    """Planted raters on a scale of six, loadings .4 to .9, a fifth of the scores missing in the last row of
    each size.
    """
    rows = []
    sizes = (
        (52_002, 5, 0.0), (52_002, 10, 0.0), (52_002, 10, 0.2), (250_000, 5, 0.0), (1_000_000, 5, 0.0),
        (1_000_000, 5, 0.2), (1_000_000, 10, 0.0),
    )  # fmt: skip
    for N, R, missing in sizes:
        rng = np.random.default_rng(0)
        lam = np.linspace(0.4, 0.9, R)
        truth = rng.normal(size=N)
        seen = lam * truth[:, None] + np.sqrt(1 - lam**2) * rng.normal(size=(N, R))
        scores = np.clip(np.round(1.2 * seen + 2.5), 0, 5).astype(np.int64)
        scores[rng.random(scores.shape) < missing] = -1
        start = time.perf_counter()
        panel = fit_panel(scores)
        took = time.perf_counter() - start
        rated = ~np.isnan(panel.score)
        rows.append(
            {
                "samples": N, "raters": R, "missing": missing, "seconds": took,
                "largest_error_of_a_loading": float(np.abs(panel.model.loadings - lam).max()),
                "r2_with_truth": float(np.corrcoef(panel.score[rated], truth[rated])[0, 1] ** 2),
                "reliability": panel.account.reliability,
                "peak_gib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20,
            }
        )  # fmt: skip
    return (
        rows,
        "Planted raters with one factor. One process, one BLAS thread; peak memory is the process's so far.",
    )


def run_curate(_: Path | None) -> tuple[list[dict[str, Any]], str]:
    """`curate(method="refine")` of 10 and 3 planted raters on 52,002 rows of 128 dimensions after the graph,
    which is made up: what is timed reads neighbours, whatever they are.
    """
    N, rows = 52_002, []
    rng = np.random.default_rng(0)
    group = np.sort(rng.integers(0, 300, N))
    x = rng.normal(size=(300, 128))[group] + 0.8 * rng.normal(size=(N, 128))
    truth = 0.7 * rng.normal(size=300)[group] + 0.7 * rng.normal(size=N)
    near = ((np.arange(N)[:, None] + 1 + np.arange(20)) % N).astype(np.int32)
    graph = KnnGraph(near, np.tile(np.linspace(0.3, 0.6, 20, dtype=np.float32), (N, 1)))
    for R in (3, 10):
        lam = np.linspace(0.4, 0.9, R)
        seen = lam * truth[:, None] + np.sqrt(1 - lam**2) * rng.normal(size=(N, R))
        scores = np.clip(np.round(1.2 * seen + 2.5), 0, 5).astype(np.int64)
        start, used = time.perf_counter(), time.process_time()
        fit_panel(scores)
        panel, start = time.process_time() - used, time.perf_counter()
        used = time.process_time()
        curate(x.astype(np.float32), scores, graph=graph, method="refine")
        rows.append(
            {
                "samples": N, "raters": R, "factor_cpu_seconds": panel,
                "seconds": time.perf_counter() - start, "cpu_seconds": time.process_time() - used,
                "peak_gib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20,
            }
        )  # fmt: skip
    return rows, (
        "Everything of `curate(scores (N, R), method='refine')` after the graph, without texts. Where the "
        "machine has other work, processor seconds are the steadier figure."
    )


def run_repeats(folder: Path) -> tuple[list[dict[str, Any]], str]:
    """Five repeats of one rater: the first, their mean, the mean refined with the noise that they show, and
    the repeats fused as columns and refined.
    """
    rows = []
    for file in set_files(folder):
        samples = rated_rows(file)
        for rater in dict.fromkeys(name for row in samples for name in row["llm"]):
            found = _repeated(samples, rater)
            if found is not None:
                rows.append({"set": file.name.split(".jsonl")[0], "rater": rater} | _by_order(*found))
    keys = list(rows[0])[3:]
    mean = {key: float(np.mean([row[key] for row in rows])) for key in keys}
    rows.append({"set": "mean", "rater": "", "rows": "", **mean})
    return rows, (
        "Raters with five ratings of a row (rounded to whole ones), rows that have all five. `refined_mean`: "
        "`refine` of the mean with the noise of the repeats; `refined_columns`: `curate(scores (N, 5), "
        "raters=[name] * 5, method='refine')`, what the chain does with `rater.repeats=5`."
    )


def _repeated(samples: list[dict[str, Any]], rater: str) -> tuple[list[dict[str, Any]], np.ndarray] | None:
    """Rows with five ratings by the rater, and these as scores (n, 5) from 0; None where they are few."""
    given = [row["llm"].get(rater) for row in samples]
    given = [[v for v in values if v is not None] if isinstance(values, list) else [] for values in given]
    kept = [n for n, values in enumerate(given) if len(values) >= 5]
    if len(kept) < 200:
        return None
    scores = np.rint([given[n][:5] for n in kept]).astype(np.int64)
    scores -= scores.min()
    return ([samples[n] for n in kept], scores) if scores.max() <= 10 else None


def _by_order(samples: list[dict[str, Any]], scores: np.ndarray) -> dict[str, Any]:
    K = int(scores.max()) + 1
    human = np.array([row["human"] for row in samples], dtype=float)
    x = unit_rows(tfidf_svd([row["text"] for row in samples])).vectors
    texts = [row.get("rated") or row["text"] for row in samples]
    graph = knn_graph(x, 20)
    mean = scores.mean(axis=1)
    about: dict[str, Any] = {"graph": graph, "num_scores": K, "texts": texts}
    soft = curate(x, np.rint(mean).astype(int), graph=graph, num_scores=K, method="posterior").posterior_mean
    orders = {
        "first": scores[:, 0],
        "mean": mean,
        "refined_first": curate(x, scores[:, 0], method="refine", **about).refined,
        "refined_mean": refine(x, mean, repeats=scores, posterior_mean=soft, **about).refined,
        "refined_columns": curate(x, scores, method="refine", raters=["one"] * 5, **about).refined,
    }
    row: dict[str, Any] = {"rows": len(human)}
    for name, order in orders.items():
        values = people(np.asarray(order, dtype=float), human)
        row |= dict(zip((f"{name}_spearman", f"{name}_top10", f"{name}_top30"), values, strict=True))
    return row


def fuse(found: RatedSet, rows: np.ndarray) -> Panel:
    return fit_panel(found.scores[rows], num_scores=found.num_scores, names=found.raters)


def run_student(folder: Path) -> tuple[list[dict[str, Any]], str]:
    """The plain mean, the factor, and the factor with a student of it among near-equal scores, on rows that
    all rated.
    """
    rows = []
    for rated_set in several_raters(folder):
        at = common(rated_set)
        texts = [rated_set.texts[n] for n in at]
        embeddings = unit_rows(tfidf_svd(texts)).vectors
        result = curate(
            embeddings,
            rated_set.scores[at],
            num_scores=rated_set.num_scores,
            method="refine",
            texts=[rated_set.rated[n] for n in at],
        )
        orders = {
            "mean": rated_set.scores[at].mean(axis=1),
            "factor": fuse(rated_set, at).score,
            "student": result.refined,
        }
        row: dict[str, Any] = {"set": rated_set.name, "raters": len(rated_set.raters), "rows": len(at)}
        for name, order in orders.items():
            values = people(np.asarray(order), rated_set.human[at])
            row |= dict(zip((f"{name}_spearman", f"{name}_top10", f"{name}_top30"), values, strict=True))
        rows.append(row)
    numbers = [key for key in rows[0] if key not in ("set", "raters", "rows")]
    for name, of in (("all sets", [r["set"] for r in rows]), ("one scale", list(ONE_SCALE))):
        part = [r for r in rows if r["set"] in of]
        if part:
            means = {key: float(np.mean([r[key] for r in part])) for key in numbers}
            rows.append({"set": name, "raters": "", "rows": "", **means})
    return rows, (
        "`student`: `curate(scores (N, R), method='refine', texts=...)`: the factor, near-equal panel scores "
        "ordered by a student "
        "of it; TF-IDF of the whole text, 128 dimensions. Rows that every rater scored."
    )


PARTS = {
    "sets": run_sets, "student": run_student, "useless": run_useless, "repeats": run_repeats,
    "speed": run_speed, "curate": run_curate,
}  # fmt: skip
WITHOUT_SETS = ("speed", "curate")


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
        if part not in WITHOUT_SETS and (given.sets is None or not given.sets.is_dir()):
            print(f"{part} skipped: --sets names no folder")
            continue
        start = time.perf_counter()
        rows, said = PARTS[part](given.sets)
        write_table("panels", part, rows, said, time.perf_counter() - start)


if __name__ == "__main__":
    main()
