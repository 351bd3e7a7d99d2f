"""Measured claims about curation: accuracy on planted pools, agreement of real raters, time and memory.

    python benchmarks/curation.py                 every part, each in a process of its own
    python benchmarks/curation.py planted speed   some parts: golden, planted, ablation, impure, bootstrap,
                                                  real, share, speed, stage, curve, refine, approximate,
                                                  cells, wide, million

Writes benchmarks/results/curation-PART.json and .md, with machine, versions and date. `golden`, `real`,
`share`, `stage` and `refine` need the fixtures and the real pool (folder in DS2_DATA, by default ../shared
beside the repository); parts without their data are skipped aloud. `planted` also runs cleanlab where it is
installed.
"""

from __future__ import annotations

import argparse
import datetime
import importlib.metadata
import itertools
import json
import os
import platform
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
from scipy.optimize import linear_sum_assignment
from scipy.stats import spearmanr

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "benchmarks")]
from curation_graphs import approximate, cells, million, wide  # noqa: E402
from curation_pools import (  # noqa: E402
    CASES,
    DATA,
    PRIOR,
    RATERS,
    alpaca,
    embed,
    markdown,
    processor,
)
from curation_time import curve, refine, speed, stage  # noqa: E402

import ds2  # noqa: E402
from ds2.method.curation.planted import PlantedPool, ordinal_transition, plant_pool  # noqa: E402
from ds2.method.curation.posterior import fit_posterior  # noqa: E402
from ds2.rating.sample import drawn  # noqa: E402

RESULTS = Path(__file__).parent / "results"


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("parts", nargs="*", help="default: all")
    parser.add_argument("--here", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("--docs", action="store_true", help="copy the tables into docs/curation.md and exit")
    args = parser.parse_args()
    if args.docs:
        return fill_docs()
    unknown = [p for p in args.parts if p not in PARTS]
    if unknown:
        parser.error(f"no part {unknown[0]!r}; there are {', '.join(PARTS)}")
    for part in args.parts or PARTS:
        if not args.here:  # peak memory is a process's, so each part has its own
            subprocess.run([sys.executable, __file__, part, "--here"], check=True)
            continue
        try:
            rows = []
            for row in PARTS[part]():
                print(json.dumps(row), flush=True)
                rows.append(row)
        except FileNotFoundError as missing:
            print(f"{part}: skipped, needs {missing.filename}")
            continue
        write(part, rows)


def write(part: str, rows: list[dict[str, Any]]) -> None:
    packages = ("numpy", "scipy", "faiss-cpu", "scikit-learn")
    about: dict[str, Any] = {
        "command": f"python benchmarks/curation.py {part}",
        "date": datetime.datetime.now(datetime.UTC).date().isoformat(),
        "machine": f"{processor()}, {len(os.sched_getaffinity(0))} cores visible",
        "versions": {"python": platform.python_version(), "ds2": ds2.__version__}
        | {p: importlib.metadata.version(p) for p in packages},
    }
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / f"curation-{part}.json").write_text(json.dumps({**about, "rows": rows}, indent=1) + "\n")
    table = markdown(rows)
    versions = ", ".join(f"{k} {v}" for k, v in about["versions"].items())
    head = f"`{about['command']}`, {about['date']}, {about['machine']}; {versions}\n\n"
    (RESULTS / f"curation-{part}.md").write_text(head + table)
    print(f"\n## {part}\n\n{table}", flush=True)


def fill_docs() -> None:
    """Put each result's table after its mark in the page, in place of the table that is there."""
    page = ROOT / "docs" / "curation.md"
    text = page.read_text()
    for part in PARTS:
        result = RESULTS / f"curation-{part}.md"
        if result.exists():
            table = result.read_text().split("\n\n", 1)[1]
            text = re.sub(
                rf"(<!-- {part} -->\n)(\n\|.*?\n(?=\n))?",
                lambda m, t=table: m[1] + "\n" + t,
                text,
                flags=re.S,
            )
    page.write_text(text)


# --- accuracy -----------------------------------------------------------------------------------------------


def row_error(T: np.ndarray, true: np.ndarray, scores: np.ndarray) -> float:
    """Mean over true scores of the L1 distance to the confusion that was really drawn."""
    K = len(T)
    seen = np.bincount(true * K + scores, minlength=K * K).reshape(K, K)
    total = seen.sum(axis=1)
    return float(np.abs(T - seen / np.maximum(total, 1)[:, None])[total > 0].sum(axis=1).mean())


def best_names(T: np.ndarray, true: np.ndarray, scores: np.ndarray) -> np.ndarray:
    """The rows of T matched to the confusion that was really drawn: what is lost where only the names are
    wrong.
    """
    K = len(T)
    seen = np.bincount(true * K + scores, minlength=K * K).reshape(K, K)
    seen = seen / np.maximum(seen.sum(axis=1, keepdims=True), 1)
    _, row = linear_sum_assignment(np.abs(seen[:, None] - T[None]).sum(axis=2))
    return T[row]


def majority_vote(graph: ds2.KnnGraph, scores: np.ndarray, K: int) -> np.ndarray:
    """Most common score among a sample and its 9 neighbours; its own where it ties for most."""
    votes = np.zeros((len(scores), K))
    np.add.at(votes, (np.arange(len(scores))[:, None], scores[graph.neighbors[:, :9]]), 1.0)
    votes[np.arange(len(scores)), scores] += 1.5
    return votes.argmax(axis=1)


def cleanlab_filter(graph: ds2.KnnGraph, scores: np.ndarray, K: int) -> np.ndarray | None:
    """cleanlab's label-issue filter on neighbour votes; issues take the vote's argmax.

    None where it is not installed.
    """
    try:
        from cleanlab.filter import find_label_issues
    except ImportError:
        return None
    votes = np.full((len(scores), K), 0.1)
    np.add.at(votes, (np.arange(len(scores))[:, None], scores[graph.neighbors[:, :10]]), 1.0)
    votes /= votes.sum(axis=1, keepdims=True)
    issues = find_label_issues(scores, votes, n_jobs=1)
    return np.where(issues, votes.argmax(axis=1), scores)


def compare(
    true: np.ndarray, scores: np.ndarray, graph: ds2.KnnGraph, x: np.ndarray, K: int
) -> dict[str, float]:
    right: dict[str, float] = {"raw": float((scores == true).mean())}
    right["majority vote"] = float((majority_vote(graph, scores, K) == true).mean())
    cleaned = cleanlab_filter(graph, scores, K)
    if cleaned is not None:
        right["cleanlab"] = float((cleaned == true).mean())
    for method in ("rank", "posterior"):
        result = ds2.curate(x, scores, num_scores=K, graph=graph, method=method)
        right[method] = float((result.curated == true).mean())
        right[f"row error, {method}"] = row_error(result.transition, true, scores)
    right["row error, posterior, best names"] = row_error(
        best_names(result.transition, true, scores), true, scores
    )
    return right


def golden() -> Iterator[dict[str, Any]]:
    for name in ("a", "b"):
        with np.load(DATA / "golden" / f"golden_{name}.npz") as z:
            true, scores, x = z["true_score"].astype(int), z["score"].astype(int), z["features"]
            theirs = {
                "authors' code": float((z["curated"] == true).mean()),
                "authors' code, pool duplicated": float((z["dup_curated"] == true).mean()),
                "row error, authors": row_error(z["T"], true, scores),
            }
        yield {"fixture": f"golden_{name}", **theirs, **compare(true, scores, ds2.knn_graph(x, 32), x, 6)}


def planted_pools(seeds: int, num_samples: int = 3000) -> Iterator[tuple[str, PlantedPool, ds2.KnnGraph]]:
    for name, T, settings in CASES:
        for seed in range(seeds):
            prior = PRIOR if len(T) == 6 else None
            pool = plant_pool(num_samples, transitions=T, prior=prior, seed=seed, **settings)
            yield name, pool, ds2.knn_graph(pool.embeddings, 32)


def averaged(rows: list[dict[str, Any]], key: str) -> Iterator[dict[str, Any]]:
    names = list(dict.fromkeys(r[key] for r in rows))
    for name in [*names, "average"]:
        chosen = [r for r in rows if name in (r[key], "average")]
        yield {key: name} | {c: float(np.mean([r[c] for r in chosen])) for c in rows[0] if c != key}


def planted() -> Iterator[dict[str, Any]]:
    rows = [
        {
            "planted pool": name,
            **compare(pool.true_scores, pool.scores, graph, pool.embeddings, len(pool.prior)),
        }
        for name, pool, graph in planted_pools(seeds=4)
    ]
    yield from averaged(rows, "planted pool")


VARIANTS: dict[str, dict[str, Any]] = {
    "as it is": {},
    "no order penalty": {"order_weight": 0.0},
    "order penalty x 4": {"order_weight": 0.24},
    "no distance bins": {"num_bins": 1},
    "edges one way": {"reverse": False},
    "composition only": {"composed": 1.0},
    "carried prior only": {"composed": 0.0},
}


def ablation() -> Iterator[dict[str, Any]]:
    real_pool = real_scores() if (DATA / "pools").exists() else None
    pools = list(planted_pools(seeds=2))
    for variant, settings in VARIANTS.items():
        right, errors = [], []
        for _, pool, graph in pools:
            fit = fit_posterior(graph, pool.scores[:, None], len(pool.prior), **settings)
            right.append((fit.posterior.argmax(axis=1) == pool.true_scores).mean())
            errors.append(row_error(fit.T[0], pool.true_scores, pool.scores))
        row = {
            "variant": variant,
            "planted: right": float(np.mean(right)),
            "planted: row error": float(np.mean(errors)),
        }
        if real_pool is not None:
            from ds2.method.curation.validation import agreement

            graph, scores, lengths = real_pool
            for r, name in enumerate(RATERS):
                fit = fit_posterior(graph, scores[:, [r]], 6, **settings)
                others = np.delete(scores, r, axis=1).mean(axis=1)
                a = agreement(fit.posterior @ np.arange(6), fit.posterior.argmax(axis=1), others, lengths, 6)
                row[name] = f"{a.spearman:.3f} ({a.spearman_without_length:.3f})"
        yield row


def impure() -> Iterator[dict[str, Any]]:
    """Where `posterior` loses, and whether a diagnostic tells: accuracy by purity, and two pools of low worth
    that it helps.
    """
    cases = [
        (
            f"accuracy {a:g}, purity {p:g}",
            ordinal_transition(6, accuracy=a),
            {"purity": p, "cluster_size": 15},
        )
        for a, p in itertools.product((0.45, 0.6, 0.75, 0.9), (0.3, 0.6, 0.8, 1.0))
    ]
    cases += [case for case in CASES if case[0] in ("accuracy .6, clusters of 6", "K = 3")]
    rows = []
    for name, T, settings in cases:
        for seed in range(4):
            prior = PRIOR if len(T) == 6 else None
            pool = plant_pool(3000, transitions=T, prior=prior, seed=seed, **settings)
            result = ds2.curate(pool.embeddings, pool.scores, num_scores=len(T), method="posterior")
            raw, right = ((s == pool.true_scores).mean() for s in (pool.scores, result.curated))
            rows.append({
                "planted pool": name, "raw": raw, "posterior": right, "gain": right - raw,
                "ratio": result.diagnostics.clusterability.ratio,
                "neighbor_worth": result.diagnostics.fit.neighbor_worth,
                "mean confidence": result.confidence.mean(),
                "changed": result.diagnostics.num_changed / 3000,
            })  # fmt: skip
    yield from itertools.islice(averaged(rows, "planted pool"), len(cases))


def bootstrap() -> Iterator[dict[str, Any]]:
    """The bootstrap's 95 % intervals against the scatter of the estimate over 20 planted pools, by entries of
    T and the prior.

    "holds the truth" counts the bias of the method too, "holds the mean" (of the estimates over the pools)
    only the spread.
    """
    T, K = ordinal_transition(6, accuracy=0.6), 6
    for method, size in itertools.product(("posterior", "rank"), (8, 15, 40)):
        results = []
        for seed in range(20):
            pool = plant_pool(2000, transitions=T, cluster_size=size, purity=0.92, seed=seed)
            results.append(ds2.curate(pool.embeddings, pool.scores, method=method, bootstrap=20))
        row: dict[str, Any] = {"method": method, "samples a cluster": size}
        for label, name, truth in (("T", "transition", T), ("prior", "prior", np.full(K, 1 / K))):
            estimates = np.array([getattr(f, name) for f in results])
            low, high = (
                np.array([getattr(getattr(f.uncertainty, name), end) for f in results])
                for end in ("low", "high")
            )
            scatter = 2 * 1.96 * estimates.std(axis=0, ddof=1)
            row[f"{label}: width / scatter"] = float((high - low).mean() / scatter.mean())
            for what, value in (("truth", truth), ("mean", estimates.mean(axis=0))):
                row[f"{label}: holds the {what}"] = float(((low <= value) & (value <= high)).mean())
        yield row


# --- real raters --------------------------------------------------------------------------------------------


def real_scores() -> tuple[ds2.KnnGraph, np.ndarray, np.ndarray]:
    texts, scores = alpaca()
    return ds2.knn_graph(embed(texts), 64), scores, np.array([len(t) for t in texts], dtype=float)


def real() -> Iterator[dict[str, Any]]:
    graph, scores, lengths = real_scores()
    for method in ("rank", "posterior"):
        comparisons = ds2.leave_one_rater_out(
            graph=graph, scores=scores, lengths=lengths, names=RATERS, method=method
        )
        for f in comparisons:
            for version, a in (("raw", f.raw), (method, f.curated)):
                if version != "raw" or method == "rank":
                    yield {
                        "rater": f.rater, "score": version, "Spearman": a.spearman,
                        "without length": a.spearman_without_length, "quadratic kappa": a.kappa,
                    }  # fmt: skip


def share() -> Iterator[dict[str, Any]]:
    """What the posterior says of samples that were not rated, when a share was (`rater.sample`)."""
    T = ordinal_transition(6, accuracy=0.6)
    for purity in (1.0, 0.9, 0.7):
        pool = plant_pool(4000, transitions=T, prior=PRIOR, cluster_size=40, purity=purity)
        graph = ds2.knn_graph(pool.embeddings, 30)
        yield from _of_a_share(f"planted, purity {purity:g}", graph, pool.scores, pool.true_scores)
    graph, scores, _ = real_scores()
    for rater, given in zip(RATERS, scores.T, strict=True):
        yield from _of_a_share(f"Alpaca, {rater}", graph, given, given)


def _of_a_share(
    name: str, graph: ds2.KnnGraph, scores: np.ndarray, reference: np.ndarray
) -> Iterator[dict[str, Any]]:
    """Against the true scores where they are known, else against the rater's own, which the method did not
    see.
    """
    for part, k in itertools.product((0.1, 0.3), (10, 30)):
        rated = drawn([str(i) for i in range(len(scores))], part, seed=0)
        result = ds2.curate(graph=graph, scores=np.where(rated, scores, -1), method="posterior", k=k)
        wanted, level = reference[~rated], np.bincount(scores[rated]).argmax()
        assert result.posterior is not None
        means = result.posterior[~rated] @ np.arange(result.posterior.shape[1])
        yield {
            "pool": name, "rated": part, "k": k, "equal": (result.curated[~rated] == wanted).mean(),
            "equal, majority score": (wanted == level).mean(),
            "Spearman of the mean": spearmanr(means, wanted).statistic,
        }  # fmt: skip


PARTS: dict[str, Callable[[], Iterator[dict[str, Any]]]] = {
    f.__name__: f
    for f in (
        golden,
        planted,
        ablation,
        impure,
        bootstrap,
        real,
        share,
        speed,
        stage,
        curve,
        refine,
        approximate,
        cells,
        wide,
        million,
    )
}

if __name__ == "__main__":
    main()
