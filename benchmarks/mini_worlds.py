"""How alike neighbours are and how raters err: on real sets that people rated, and in the generated worlds.

    python benchmarks/mini_worlds.py            writes benchmarks/results/mini_worlds.md and .csv

One row a set, or a world; means over its raters. "People" are the human ratings of the sets (folder
DS2_DATA/truth, by default ../shared/truth beside the repository), and the planted true scores of the worlds
`mini` and `mini_impure` (seeds 0 to 2). Neighbours are the ten nearest by TF-IDF of the whole text, as the
chain makes them. All values are correlations but the shares:

- people, neighbours: a sample's human rating with a neighbour's
- same class (by chance): share of pairs of neighbours in the same of six classes of human ratings of equal
  size as far as ties allow (the planted scores as they are), and of any two samples
- rater: its score with the human rating
- error: what is left of a rater's score beside a straight line in the human rating; with its neighbours'
  errors (same rater), with another rater's error on the same sample, with another rater's on a neighbour, and
  with log characters of the rated part
- one score: share of a rater's commonest score
- low as low, high as high, low as high, high as low: share of the lowest (highest) third of samples by people
  that is in the lowest (highest) third by the rater; ties divided
"""

from __future__ import annotations

import csv
import datetime
import itertools
import os
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "benchmarks")]
from human_truth import NAMED, embed  # noqa: E402
from truth_measures import read_sets, standardised, whole_scores  # noqa: E402

import ds2  # noqa: E402
from ds2.config.compose import compose  # noqa: E402
from ds2.pool import PoolSource  # noqa: E402
from ds2.rating.raters import rate  # noqa: E402

DATA = Path(os.environ.get("DS2_DATA", ROOT.parent / "shared"))
RESULTS = ROOT / "benchmarks" / "results"
K = 10
CLASSES = 6
SEEDS = (0, 1, 2)
WORLDS = {
    "mini": ("simulated_gpt_4o_mini", "simulated_llama_3_1_8b", "simulated_mistral_7b"),
    "mini_impure": ("impure_good", "impure_fair", "impure_poor"),
}
"""Generated pool -> the raters of its table."""

Row = dict[str, float | str]


def main() -> None:
    """Measure, print and write."""
    rows = [*real_sets(), *worlds()]
    names = list(rows[-1])
    RESULTS.mkdir(exist_ok=True)
    with (RESULTS / "mini_worlds.csv").open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, names)
        writer.writeheader()
        writer.writerows(rows)
    lines = ["| " + " | ".join(names) + " |", "|---" + "|---:" * (len(names) - 1) + "|"]
    lines += ["| " + " | ".join(_shown(row[name]) for name in names) + " |" for row in rows]
    text = "\n".join([f"`python benchmarks/mini_worlds.py`, {datetime.date.today()}", "", *lines, ""])
    (RESULTS / "mini_worlds.md").write_text(text, encoding="utf-8")
    print(text)


def real_sets() -> Iterator[Row]:
    """A row a set, by its named raters, and the mean of the sets."""
    found = []
    for truth in read_sets(DATA / "truth"):
        cells = [c for c in truth.cells if c.rater in NAMED.get(truth.name, (c.rater,))]
        seen = [
            Rated(
                truth_rows=c.rows, texts=[truth.texts[i] for i in c.rows], people=c.human, score=c.scores,
                length=np.log1p(c.lengths),
            )
            for c in cells
        ]  # fmt: skip
        found.append({"set or world": truth.name, **measured(seen)})
        print(found[-1], file=sys.stderr, flush=True)
        yield found[-1]
    for name, over in (("mean of the sets", np.mean), ("median of the sets", np.median)):
        columns = {key: float(over([row[key] for row in found])) for key in found[0] if key != "set or world"}
        yield {"set or world": name, **columns}


def worlds() -> Iterator[Row]:
    """A row a world: means over seeds."""
    for world, raters in WORLDS.items():
        found = []
        for seed in SEEDS:
            configs = [
                compose(["experiment=mini", f"pool={world}", f"seed={seed}", f"rater={rater}"])
                for rater in raters
            ]
            pool = PoolSource(configs[0].pool, num_scores=configs[0].scale.num_scores).load()
            people = standardised(np.array(pool.column("true_score"), dtype=float))
            length = np.log1p([len(answer) for answer in pool.answers()])
            found.append(
                measured(
                    [
                        Rated(
                            np.arange(len(pool)), pool.contents(), people,
                            rate(c.rater, pool, c.scale).scores.astype(int), length,
                        )
                        for c in configs
                    ]
                )
            )  # fmt: skip
        yield {
            "set or world": world,
            **{key: float(np.mean([row[key] for row in found])) for key in found[0]},
        }


@dataclass(frozen=True)
class Rated:
    """One rater's scores of n rows beside people's."""

    truth_rows: np.ndarray
    """(n,) places of the rows in their set."""
    texts: list[str]
    people: np.ndarray
    """(n,) standardised."""
    score: np.ndarray
    """(n,) whole."""
    length: np.ndarray
    """(n,) log characters."""

    @property
    def error(self) -> np.ndarray:
        """(n,) standardised residual of the score beside a line in the human rating."""
        z = standardised(self.score.astype(float))
        return standardised(z - self.people * np.mean(z * self.people))


def measured(raters: Sequence[Rated]) -> dict[str, float]:
    """The columns of the table, of one set."""
    graphs: dict[bytes, np.ndarray] = {}

    def neighbors(rows: np.ndarray, texts: list[str]) -> np.ndarray:
        key = rows.tobytes()
        if key not in graphs:
            graphs[key] = ds2.knn_graph(embed(texts, "tfidf"), K).neighbors
        return graphs[key]

    alone = [_of_rater(r, neighbors(r.truth_rows, r.texts)) for r in raters]
    both = [_of_pair(a, b, neighbors) for a, b in itertools.combinations(raters, 2)]
    columns = {name: float(np.mean([row[name] for row in alone])) for name in alone[0]}
    for at, name in enumerate(("error, other rater", "error, other rater's neighbours")):
        columns[name] = float(np.mean([pair[at] for pair in both])) if both else float("nan")
    return columns


def _of_rater(r: Rated, near: np.ndarray) -> dict[str, float]:
    same, chance = _same_class(whole_scores(_sixths(r.people)), near)
    low, high = _thirds(r.people), _thirds(r.score)
    confusion = low.T @ high / low.sum(axis=0)[:, None]
    return {
        "people, neighbours": _with_neighbors(r.people, r.people, near),
        "same class": same, "by chance": chance, "excess": (same - chance) / (1 - chance),
        "rater": float(np.corrcoef(r.score, r.people)[0, 1]),
        "error, neighbours": _with_neighbors(r.error, r.error, near),
        "error, length": float(np.corrcoef(r.error, r.length)[0, 1]),
        "people, length": float(np.corrcoef(r.people, r.length)[0, 1]),
        "one score": float(np.bincount(r.score).max() / len(r.score)),
        "low as low": confusion[0, 0], "high as high": confusion[2, 2],
        "low as high": confusion[0, 2], "high as low": confusion[2, 0],
    }  # fmt: skip


def _of_pair(
    a: Rated, b: Rated, neighbors: Callable[[np.ndarray, list[str]], np.ndarray]
) -> tuple[float, float]:
    """Correlation of two raters' errors on the same samples, and of one's with the other's on neighbours."""
    rows, at_a, at_b = np.intersect1d(a.truth_rows, b.truth_rows, return_indices=True)
    x, y = standardised(a.error[at_a]), standardised(b.error[at_b])
    near = neighbors(rows, [a.texts[i] for i in at_a])
    crossed = (_with_neighbors(x, y, near) + _with_neighbors(y, x, near)) / 2
    return float(np.mean(x * y)), crossed


def _with_neighbors(x: np.ndarray, y: np.ndarray, near: np.ndarray) -> float:
    """Correlation of x of a sample with y of a neighbour, over all pairs; both standardised over samples."""
    return float(np.corrcoef(np.repeat(x, near.shape[1]), y[near].ravel())[0, 1])


def _same_class(level: np.ndarray, near: np.ndarray) -> tuple[float, float]:
    share = np.bincount(level) / len(level)
    return float((level[near] == level[:, None]).mean()), float((share**2).sum())


def _sixths(values: np.ndarray) -> np.ndarray:
    """Six classes by rank, ties together; values that have no more than six stay."""
    if len(np.unique(values)) <= CLASSES:
        return values
    edges = np.unique(np.quantile(values, np.arange(1, CLASSES) / CLASSES))
    return np.searchsorted(edges, values, side="right")


def _thirds(values: np.ndarray) -> np.ndarray:
    """Membership in the lowest, middle and highest third by rank, (n, 3); equal values share theirs."""
    level, count = np.unique(values, return_inverse=True, return_counts=True)[1:]
    end = np.cumsum(count) / len(values)
    start = end - count / len(values)
    edges = np.arange(4) / 3
    overlap = np.minimum(end[:, None], edges[1:]) - np.maximum(start[:, None], edges[:-1])
    return np.asarray((np.maximum(overlap, 0) / (end - start)[:, None])[level])


def _shown(value: float | str) -> str:
    return value if isinstance(value, str) else f"{value:.2f}"


if __name__ == "__main__":
    main()
