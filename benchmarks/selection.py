"""Measured claims about selection: time to choose 10,000 of 300,000, and what the strategies choose from real
scores.

    python benchmarks/selection.py               every part
    python benchmarks/selection.py speed real    some parts

`speed`: synthetic arrays. `real`: released scores, 300,932 samples. `pool`: every strategy through the chain;
artifacts in DS2_ARTIFACTS.

Writes benchmarks/results/selection-PART.json and .md, with machine, versions and date. `real` and `pool` need
the released scores and the real pool (folder in DS2_DATA, by default ../shared beside the repository) and are
skipped aloud without.
"""

from __future__ import annotations

import argparse
import datetime
import gzip
import importlib.metadata
import itertools
import json
import os
import platform
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from ds2.config import Score
from ds2.config.selection import FilterConfig, SourceQuota
from ds2.config.strategies import STRATEGIES
from ds2.method.knn import KnnGraph
from ds2.pool import Message, Pool, Sample
from ds2.selection import Choice, Readers, Request, choose

ROOT = Path(__file__).resolve().parents[1]
RESULTS = ROOT / "benchmarks" / "results"
DATA = Path(os.environ.get("DS2_DATA", ROOT.parent / "shared"))
N, BUDGET, K, WIDTH = 300_000, 10_000, 96, 1024
RATERS = ("gpt_4o_mini", "llama_3_1_8b", "mistral_7b")
SOURCES = ("flan_v2", "oasst1", "wizardlm", "dolly", "stanford_alpaca")
SHARES = (0.332, 0.113, 0.332, 0.05, 0.173)
"""Share of each source in the paper's pool."""


def clustered(size: int, rng: np.random.Generator) -> tuple[np.ndarray, KnnGraph]:
    """Unit rows in clusters of `size`, and a graph of K neighbours: exact within a cluster, beyond it random
    rows, far away.

    Members of a cluster have one cosine similarity to each other, about 0.99 to 0.74 from cluster to cluster.
    """
    clusters = N // size
    rows = np.repeat(rng.standard_normal((clusters, WIDTH), dtype=np.float32), size, axis=0)
    noise = np.repeat(rng.uniform(0.1, 0.6, clusters), size).astype(np.float32)
    rows += noise[:, None] * rng.standard_normal(rows.shape, dtype=np.float32)
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    near = np.empty((len(rows), K), dtype=np.int32)
    dist = np.empty((len(rows), K), dtype=np.float32)
    inside = min(size - 1, K)
    for c in range(clusters):
        members = slice(c * size, (c + 1) * size)
        distance = np.maximum(1 - rows[members] @ rows[members].T, 0)
        np.fill_diagonal(distance, np.inf)
        order = np.argsort(distance, axis=1, kind="stable")[:, :inside]
        near[members, :inside] = c * size + order
        dist[members, :inside] = np.take_along_axis(distance, order, axis=1)
    near[:, inside:] = rng.integers(0, len(rows), (len(rows), K - inside))
    dist[:, inside:] = np.sort(rng.uniform(0.9, 1, (len(rows), K - inside)).astype(np.float32), axis=1)
    return rows, KnnGraph(near, dist)


def synthetic(size: int) -> dict[str, Any]:
    """All inputs of a pool of N generated samples."""
    rng = np.random.default_rng(0)
    rows, graph = clustered(size, rng)
    count = len(rows)
    sources = rng.choice(SOURCES, count, p=SHARES)
    lengths = np.exp(rng.normal(5.5, 1, count)).astype(int) + 1
    samples = [
        Sample(str(i), i, str(source), (Message("user", "q"), Message("assistant", "x" * length)), {})
        for i, (source, length) in enumerate(zip(sources, lengths.tolist(), strict=True))
    ]
    curated = rng.choice(6, count, p=[0.06, 0.15, 0.29, 0.29, 0.2, 0.01])
    mean = np.clip(curated + rng.normal(0, 0.3, count), 0, 5)
    frame = {"score": curated, "curated": curated, "long_tail": rng.random(count), "posterior_mean": mean}
    return {
        "embeddings": rows, "graph": graph, "pool": Pool(samples, count), "scores": curated.astype(np.int16),
        "curation": pd.DataFrame(frame), "values": np.exp(rng.normal(2, 1, count)),
    }  # fmt: skip


def timed(inputs: dict[str, Any], strategy: str, count: int, **options: Any) -> tuple[float, Choice]:
    config = STRATEGIES[strategy](name=strategy, strategy=strategy, **options)
    loaders: dict[str, Callable[[], Any]] = {name: (lambda v=value: v) for name, value in inputs.items()}
    started = time.perf_counter()
    choice = choose(Request(config, count, BUDGET, 0, Readers(**loaders)))
    return time.perf_counter() - started, choice


def speed() -> list[dict[str, Any]]:
    """Each strategy on inputs that exist, the choice alone: no stage before it, no file after it."""
    limits = FilterConfig(source_cap=0.4, source_quota=[SourceQuota("dolly", 0.1)])
    cases: list[tuple[str, str, dict[str, Any]]] = [
        ("random", "random", {}),
        ("full", "full", {}),
        ("length", "length", {}),
        ("knn", "knn", {}),
        ("alpagasus", "alpagasus", {}),
        ("alpagasus_curated", "alpagasus", {"score": Score.curated}),
        ("ds2", "ds2", {}),
        ("ds2_without_diversity", "ds2", {"diversity": False}),
        ("ds2_posterior", "ds2", {"score": Score.posterior_mean}),
        ("ds2, length-partialled", "ds2", {"length_partialled": True}),
        ("ds2, cap and quota by source", "ds2", {"filter": limits}),
        ("ds2, near-duplicates out at 0.95", "ds2", {"filter": FilterConfig(near_duplicates=0.95)}),
        ("facility_location", "facility_location", {}),
        ("deita", "deita", {}),
        ("deita, posterior mean", "deita", {"score": Score.posterior_mean}),
        ("perplexity (values exist)", "perplexity", {}),
    ]
    rows = []
    inputs = synthetic(32)
    for label, strategy, options in cases:
        seconds, choice = timed(inputs, strategy, len(inputs["scores"]), **options)
        rows.append(_row(label, "clusters of 32", seconds, choice))
    del inputs
    dense = synthetic(400)
    for label, options in (("deita", {}), ("deita, posterior mean", {"score": Score.posterior_mean})):
        seconds, choice = timed(dense, "deita", len(dense["scores"]), **options)
        rows.append(_row(label, "clusters of 400, wider than the graph", seconds, choice))
    return rows


def _row(label: str, pool: str, seconds: float, choice: Choice) -> dict[str, Any]:
    print(f"{label:40} {pool:40} {seconds:8.2f} s  {len(choice.positions):,}", flush=True)
    return {"strategy": label, "pool": pool, "seconds": round(seconds, 3), "selected": len(choice.positions)}


def real() -> list[dict[str, Any]]:
    """AlpaGasus and random on all released scores; what the subset holds."""
    path = DATA / "scores" / "released_scores.npz"
    if not path.is_file():
        print(f"real: skipped, {path} is absent")
        return []
    rows = []
    with np.load(path, allow_pickle=False) as arrays:
        for rater in RATERS:
            scores = arrays[rater].astype(np.int16)
            for strategy in ("alpagasus", "random"):
                seconds, choice = timed({"scores": scores}, strategy, len(scores))
                levels = np.bincount(scores[choice.positions], minlength=6).tolist()
                rows.append({
                    "rater": rater, "strategy": strategy, "pool": len(scores),
                    "selected": len(choice.positions),
                    "seconds": round(seconds, 3), **{f"score_{i}": n for i, n in enumerate(levels)},
                })  # fmt: skip
                print(rows[-1], flush=True)
    return rows


def pool() -> list[dict[str, Any]]:
    """Every strategy through the chain on 67,013 real conversations; the model-based ones on the first 2,000
    with a tiny model.
    """
    path = DATA / "pools" / "ds2_67k.jsonl.gz"
    if not path.is_file():
        print(f"pool: skipped, {path} is absent")
        return []
    from ds2.artifacts.subset import read_report
    from ds2.artifacts.subset_report import Counts
    from ds2.config.compose import compose
    from ds2.runs.chain import Chain

    store = Path(os.environ.get("DS2_ARTIFACTS", ROOT / "artifacts"))
    target = store / "target.jsonl"
    store.mkdir(parents=True, exist_ok=True)
    with gzip.open(path, "rt", encoding="utf-8") as lines:
        target.write_text("".join(itertools.islice(lines, 20_000, 20_010)), encoding="utf-8")
    common = [
        "pool=jsonl", f"pool.path={path}", "rater=from_column", "rater.column=scores.gpt_4o_mini",
        "rater.name=gpt_4o_mini", "until=select", "tracking=none", f"paths.artifacts={store}",
    ]  # fmt: skip
    many = [f"scores.{rater}" for rater in RATERS]
    slice_ = ["pool.limit=2000", "model=tiny", "budget.samples=200"]
    small = ["rank=8", "alpha=32", "epochs=2", "max_tokens=512", "learning_rate=1e-3"]
    runs = [[f"selection={name}", "budget=10k"] for name in POOL_STRATEGIES]
    runs += [["rater=several", f"rater.columns=[{','.join(many)}]", "selection=multi_rater", "budget=10k"]]
    runs += [
        [f"selection={name}", *slice_]
        for name in ("perplexity_low", "perplexity_middle", "perplexity_high", "ifd")
    ]
    runs += [["selection=rds_plus", f"selection.target={target}", *slice_]]
    runs += [["selection=less", f"selection.target={target}", *slice_, *(f"selection.{o}" for o in small)]]
    rows = []
    for overrides in runs:
        several = "rater=several" in overrides
        kept = [o for o in common if not (several and o.startswith("rater"))]
        stages = Chain(compose([*kept, *overrides])).run().stages
        report = read_report(stages["select"].path)
        measure = stages.get("measure")
        given = report.scores["score"].subset if "score" in report.scores else {}
        none = Counts(0, 0)
        rows.append({
            "selection": overrides[2 if several else 0].removeprefix("selection="),
            "pool": report.pool,
            "selected": report.selected,
            "select, s": stages["select"].record["wall_seconds"],
            "measure, s": measure.record["wall_seconds"] if measure else "",
            "alpaca": report.sources.get("stanford_alpaca", none).subset,
            "dolly": report.sources.get("dolly", none).subset,
            "given scores 0..5": " ".join(str(given.get(str(i), 0)) for i in range(6)) if given else "",
            "median characters": report.characters.subset["q50"],
        })  # fmt: skip
        print(rows[-1], flush=True)
    return rows


POOL_STRATEGIES = (
    "random", "full", "length", "knn", "alpagasus", "alpagasus_curated", "deita", "deita_curated",
    "facility_location",
    "ds2", "ds2_without_curation", "ds2_without_diversity", "ds2_posterior",
)  # fmt: skip
NOTES = {
    "speed": f"{BUDGET:,} of {N:,} **synthetic** samples (curated scores, long tail, graph of {K} neighbours "
    "and rows of width "
    f"{WIDTH} are generated); seconds of the choice alone, one run, inputs in memory.",
    "pool": "Through the chain on 67,013 real conversations (stanford_alpaca, dolly; GPT-4o-mini's released "
    "scores; TF-IDF "
    "embeddings); seconds as the artifacts' records say, files written included. The model-based ones choose "
    "200 of the first "
    "2,000, all dolly, with a random tiny model: they show that it runs, and nothing about quality. LESS: "
    "rank 8, 2 epochs. multi_rater: its given score is the median of three raters.",
    "real": "All released scores of three raters (DS2's authors); no text is needed. Samples of each score "
    "in the subset.",
}
PARTS: dict[str, Callable[[], list[dict[str, Any]]]] = {"speed": speed, "real": real, "pool": pool}


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("parts", nargs="*", choices=[[], *PARTS], default=[])
    for part in parser.parse_args().parts or PARTS:
        rows = PARTS[part]()
        if rows:
            write(part, rows)


def write(part: str, rows: list[dict[str, Any]]) -> None:
    machine = {
        "machine": platform.machine(),
        "cores": os.cpu_count(),
        "threads": os.environ.get("OMP_NUM_THREADS", "default"),
        "python": platform.python_version(),
        **{name: importlib.metadata.version(name) for name in ("numpy", "pandas")},
        "date": datetime.datetime.now(datetime.UTC).date().isoformat(),
    }
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / f"selection-{part}.json").write_text(
        json.dumps({"machine": machine, "rows": rows}, indent=2) + "\n"
    )
    names = list(rows[0])
    lines = [
        f"# Selection: {part}",
        "",
        NOTES[part],
        "",
        "| " + " | ".join(names) + " |",
        "|---" * len(names) + "|",
    ]
    lines += ["| " + " | ".join(str(row[name]) for name in names) + " |" for row in rows]
    lines += ["", ", ".join(f"{key} {value}" for key, value in machine.items()), ""]
    (RESULTS / f"selection-{part}.md").write_text("\n".join(lines))


if __name__ == "__main__":
    main()
