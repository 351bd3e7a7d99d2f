"""How far a transition matrix moves on real data when the embeddings change by almost nothing.

    python benchmarks/embedding_noise.py [key=value ...]    paths.artifacts=FOLDER of earlier runs

The 67,013 samples of `experiments/real_data.py` (folder in DS2_DATA, by default ../shared beside the
project). Normal noise is added to every entry of the unit rows, the graph searched again and the scores
curated again, all else, the seed too, the same; beside it, the same embeddings with other seeds. Three draws
of each. Writes benchmarks/results/embedding_noise.md.
"""

from __future__ import annotations

import datetime
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))
import ds2  # noqa: E402
from ds2.artifacts.embeddings import read_embeddings  # noqa: E402
from ds2.artifacts.graph import read_graph  # noqa: E402
from ds2.artifacts.ratings import read_rater_scores  # noqa: E402
from ds2.artifacts.run import RunResult  # noqa: E402
from ds2.config.compose import compose  # noqa: E402
from ds2.method.knn import KnnGraph  # noqa: E402
from ds2.runs.chain import Chain  # noqa: E402
from experiments.real_data import RATERS, curation_overrides  # noqa: E402

RESULTS = Path(__file__).resolve().parent / "results"
METHODS = ("rank", "posterior")
LARGEST = 4e-4
"""Largest change of an entry: 4e-4 is what a second BLAS thread in the SVD made of these rows."""
DRAWS = 3


def main(extra: Sequence[str]) -> None:
    """Print and write the table."""
    data = Path(compose(list(extra)).paths.data)
    runs = {
        (rater, method): Chain(compose([*curation_overrides(data, rater, method), *extra])).run()
        for rater in RATERS
        for method in METHODS
    }
    first = next(iter(runs.values()))
    x = np.asarray(read_embeddings(first.stages["embed"].path))
    graph = read_graph(first.stages["knn"].path)
    before = {key: curated(run, key[1], x, graph, 0) for key, run in runs.items()}
    moves: dict[tuple[str, str, str], list[tuple[float, float]]] = {}
    for kind, rows, other, seed in changes(x, graph):
        same = (other.neighbors[:, 0] == graph.neighbors[:, 0]).mean()
        print(f"{kind}: the first neighbour is the same for {same:.2%}", flush=True)
        for (rater, method), run in runs.items():
            now, old = curated(run, method, rows, other, seed), before[rater, method]
            moved = np.abs(now.transition - old.transition).max(), (now.curated == old.curated).mean()
            moves.setdefault((RATERS[rater], method, kind), []).append(moved)
            print(rater, method, *np.round(moved, 3), flush=True)
    lines = [
        "| rater | method | changed | an entry of T moves by up to | same curated scores |",
        "|---|---|---|---|---|",
    ]
    for key, draws in moves.items():
        entries, scores = (
            ", ".join(f"{value:.3f}" for value in column) for column in zip(*draws, strict=True)
        )
        lines.append("| " + " | ".join([*key, entries, scores]) + " |")
    head = (
        f"`python benchmarks/embedding_noise.py`, {datetime.date.today()}; N = {len(x):,}, "
        f"embedder {first.config.embedder.name}; {DRAWS} draws"
    )
    (RESULTS / "embedding_noise.md").write_text("\n".join([head, "", *lines, ""]), encoding="utf-8")


def changes(
    x: NDArray[np.float32], graph: KnnGraph
) -> Iterator[tuple[str, NDArray[np.float32], KnnGraph, int]]:
    """What is changed, the rows, their graph, the seed (the runs have 0)."""
    rng = np.random.default_rng(0)
    for _ in range(DRAWS):
        noise = rng.standard_normal(x.shape, dtype=np.float32)
        rows = x + noise * np.float32(LARGEST / np.abs(noise).max())
        yield f"rows, by at most {LARGEST:g} an entry", rows, ds2.knn_graph(rows, graph.k), 0
    for seed in range(1, DRAWS + 1):
        yield "seed of the rounds", x, graph, seed


def curated(run: RunResult, method: Any, x: NDArray[np.float32], graph: KnnGraph, seed: int) -> Any:
    """As the run did, without its bootstrap."""
    scores, config = read_rater_scores(run.stages["rate"].path), run.config.curation
    return ds2.curate(
        x, scores, graph=graph, num_scores=6, method=method, k=config.k, confidence=config.confidence,
        seed=seed
    )  # fmt: skip


if __name__ == "__main__":
    main(sys.argv[1:])
