"""The k-nearest-neighbour graph beside other indexes: the same rows, in one run, each on one thread.

    python benchmarks/neighbours.py                    60,000 rows of 64 numbers, k = 15
    python benchmarks/neighbours.py --rows 300000 --width 384 --name neighbours-wide

DS2's exact and approximate graphs, FAISS's HNSW and NN-descent, and pynndescent where it is installed. Each
index is built at growing effort; a row of the table is the cheapest effort whose recall@10 (on 1,000 rows) is
at least .80, and at least .95. Seconds are of the CPU, so that a busy machine counts less; what matters are
ratios within one run. Writes benchmarks/results/NAME.json and .md, anew after each index.
"""

from __future__ import annotations

import argparse
import datetime
import importlib.metadata
import json
import os
import platform
import sys
import time
from collections.abc import Callable, Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

os.environ["OMP_NUM_THREADS"] = "1"  # before any library reads it
os.environ["NUMBA_NUM_THREADS"] = "1"

import numpy as np
from numpy.typing import NDArray

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))
from ds2.method.knn import knn_graph, unit_rows  # noqa: E402
from ds2.method.knn_faiss import search_exact  # noqa: E402

RECALLS = (0.8, 0.95)
NEAREST = 10
Found = NDArray[np.integer[Any]]
Effort = tuple[str, Callable[[], Found]]


def clustered(rows: int, width: int) -> NDArray[np.float32]:
    """Unit rows around the centres of rows / 50 clusters, which lie in a quarter of the width; a row is as
    far from its centre as a centre is from the middle, whatever the width.
    """
    rng = np.random.default_rng(0)
    basis = rng.standard_normal((width // 4, width), dtype=np.float32)
    centres = rng.standard_normal((rows // 50, width // 4), dtype=np.float32) @ basis
    noise = rng.standard_normal((rows, width), dtype=np.float32)
    return unit_rows(centres[rng.integers(0, len(centres), rows)] + np.float32(width // 4) ** 0.5 * noise)


def ours(x: NDArray[np.float32], k: int) -> Iterator[Effort]:
    yield "approximate", lambda: knn_graph(x, k, method="approximate").neighbors


def exact(x: NDArray[np.float32], k: int) -> Iterator[Effort]:
    yield "every pair", lambda: knn_graph(x, k).neighbors


def hnsw(x: NDArray[np.float32], k: int) -> Iterator[Effort]:
    import faiss

    for links, effort in ((8, 40), (16, 40), (16, 100), (32, 200)):

        def search(links: int = links, effort: int = effort) -> Found:
            index = faiss.IndexHNSWFlat(x.shape[1], links, faiss.METRIC_INNER_PRODUCT)
            index.hnsw.efConstruction, index.hnsw.efSearch = effort, max(effort, k + 1)
            index.add(x)
            return index.search(x, k + 1)[1][:, 1:]

        yield f"M={links}, ef={effort}", search


def nn_descent(x: NDArray[np.float32], k: int) -> Iterator[Effort]:
    import faiss

    for wide in (0, 16, 48):

        def search(wide: int = wide) -> Found:
            index = faiss.IndexNNDescentFlat(x.shape[1], k + 1 + wide, faiss.METRIC_L2)
            index.add(x)
            index.nndescent.search_L = k + 1 + wide
            return index.search(x, k + 1)[1][:, 1:]

        yield f"K={k + 1 + wide}", search


def pynndescent(x: NDArray[np.float32], k: int) -> Iterator[Effort]:
    from pynndescent import NNDescent

    NNDescent(x[:2000], metric="cosine", n_neighbors=k + 1, n_jobs=1)  # compiled before it is timed
    for wide in (1, 15, 45):
        yield (
            f"n_neighbors={k + wide}",
            lambda wide=wide: (
                NNDescent(x, metric="cosine", n_neighbors=k + wide, n_jobs=1, random_state=0)
                .neighbor_graph[0][:, 1 : k + 1]
            ),
        )  # fmt: skip


INDEXES: dict[str, Callable[[NDArray[np.float32], int], Iterator[Effort]]] = {
    "DS2, exact": exact, "DS2, approximate": ours, "FAISS HNSW": hnsw, "FAISS NN-descent": nn_descent,
    "pynndescent": pynndescent,
}  # fmt: skip


def truth_of(x: NDArray[np.float32], k: int) -> tuple[NDArray[np.int64], list[Found]]:
    """1,000 rows, and the nearest of each."""
    rows = np.random.default_rng(1).choice(len(x), 1000, replace=False)
    width = min(NEAREST, k)
    near = search_exact(x[rows], x, width + 1)[0]
    return rows, [each[each != row][:width] for each, row in zip(near, rows, strict=True)]


def measured(
    name: str, x: NDArray[np.float32], k: int, truth: tuple[Found, list[Found]]
) -> list[dict[str, Any]]:
    """The rows of one index: the cheapest effort for each recall, and one for what it does not reach."""
    asked, known = truth
    wanted, found = list(RECALLS), list[dict[str, Any]]()
    for effort, search in INDEXES[name](x, k):
        began = time.process_time()
        near = search()
        seconds = time.process_time() - began
        recall = float(np.mean([np.isin(a, b).mean() for a, b in zip(known, near[asked], strict=True)]))
        print(f"{name}, {effort}: {seconds:.1f} s, recall {recall:.3f}", flush=True)
        reached = [share for share in wanted if recall >= share]
        wanted = [share for share in wanted if recall < share]
        if reached:
            found.append({
                "index": name, "effort": effort, "recall": round(recall, 3), "at least": max(reached),
                "CPU s": round(seconds, 1), "rows per core-second": round(len(x) / seconds),
            })  # fmt: skip
        if not wanted:
            return found
    last = {"recall": None, "at least": wanted[-1], "CPU s": None, "rows per core-second": None}
    return [*found, {"index": name, "effort": "", **last}]


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rows", type=int, default=60_000)
    parser.add_argument("--width", type=int, default=64)
    parser.add_argument("--k", type=int, default=15)
    parser.add_argument("--name", default="neighbours", help="of the files of results")
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "results")
    options = parser.parse_args()
    x = clustered(options.rows, options.width)
    truth, rows = truth_of(x, options.k), list[dict[str, Any]]()
    for name in INDEXES:
        if name == "pynndescent" and find_spec("pynndescent") is None:
            print("pynndescent is not installed: left out", flush=True)
            continue
        rows += measured(name, x, options.k, truth)
        write(rows, options)


def write(rows: list[dict[str, Any]], options: argparse.Namespace) -> None:
    packages = [name for name in ("faiss-cpu", "pynndescent", "numpy") if _version(name)]
    about = {
        "rows": options.rows, "width": options.width, "k": options.k, "machine": platform.machine(),
        **{name: _version(name) for name in packages},
        "date": datetime.datetime.now(datetime.UTC).date().isoformat(),
    }  # fmt: skip
    options.out.mkdir(parents=True, exist_ok=True)
    content = json.dumps({"about": about, "rows": rows}, indent=2) + "\n"
    (options.out / f"{options.name}.json").write_text(content)
    shape = f"--rows {options.rows} --width {options.width} --k {options.k}"
    shape += "" if options.name == "neighbours" else f" --name {options.name}"
    lines = [
        "# The graph beside other indexes", "",
        f"`python benchmarks/neighbours.py {shape}`, one thread each, planted clusters. "
        + ", ".join(f"{key} {value}" for key, value in about.items()),
        "",
        "| " + " | ".join(rows[0]) + " |", "|---" * 2 + "|---:" * 4 + "|",
        *("| " + " | ".join("not reached" if v is None else f"{v:,}" if isinstance(v, int) else str(v)
                            for v in row.values()) + " |" for row in rows), "",
    ]  # fmt: skip
    (options.out / f"{options.name}.md").write_text("\n".join(lines))


def _version(package: str) -> str | None:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None


if __name__ == "__main__":
    main()
