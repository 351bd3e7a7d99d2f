"""Variants of the student, each against human ratings, and which of them leave-one-family-out would choose.

    python benchmarks/truth_variants.py                    all variants, the named raters of the truth sets
                                                           (DS2_DATA/truth)
    python benchmarks/truth_variants.py "five folds" ...   some
    python benchmarks/truth_variants.py --sets DIR

Writes benchmarks/results/human-truth-variants.md and .json. A variant changes one thing of `refine` as it
is. Gains are over the given scores, means over raters.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import ExitStack, contextmanager
from functools import partial
from multiprocessing import get_context
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np
from scipy.stats import norm, rankdata

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "benchmarks")]
from human_truth import DATA, HARM, NAMED, RESULTS, embed, markdown  # noqa: E402
from truth_measures import MEASURES, Cell, measure, read_sets, standardised  # noqa: E402
from truth_orders import among_equals  # noqa: E402

import ds2  # noqa: E402
import ds2.method.refine as refine_module  # noqa: E402
import ds2.method.student.boosting as boosting  # noqa: E402
import ds2.method.student.columns as columns  # noqa: E402
import ds2.method.student.fit as fit  # noqa: E402
import ds2.method.student.folds as folds  # noqa: E402
from ds2.method.curation.posterior import fit_posterior  # noqa: E402
from ds2.method.refine import refine  # noqa: E402

Patch = tuple[Any, str, Any]


def family(name: str) -> str:
    """Sets that share texts are one family."""
    return name.split("_")[0]


def without(member: str) -> list[Patch]:
    stack = fit.stack_members
    return [(fit, "stack_members", lambda c, *a: stack({n: v for n, v in c.items() if n != member}, *a))]


def with_member(name: str, make: Callable[..., np.ndarray]) -> list[Patch]:
    """One more member, cross-fitted on the trees' columns of the first dealing of folds."""
    stack, dense, seen = fit.stack_members, fit.for_trees, {}

    def remember(blocks: dict[str, np.ndarray]) -> np.ndarray:
        seen["blocks"] = blocks
        return dense(blocks)

    def stacked(c: dict[str, np.ndarray], scores: np.ndarray, fold: np.ndarray, groups: np.ndarray) -> Any:
        return stack({**c, name: make(seen["blocks"], scores, fold)}, scores, fold, groups)

    return [(fit, "for_trees", remember), (fit, "stack_members", stacked)]


def extra_trees(blocks: dict[str, np.ndarray], y: np.ndarray, fold: np.ndarray) -> np.ndarray:
    from sklearn.ensemble import ExtraTreesRegressor

    x, out = columns.for_trees(blocks), np.zeros(len(y))
    for f in range(fold.max() + 1):
        model = ExtraTreesRegressor(100, min_samples_leaf=3, max_features=0.33, random_state=0, n_jobs=1)
        out[fold == f] = model.fit(x[fold != f], y[fold != f]).predict(x[fold == f])
    return out


def words_alone(blocks: dict[str, np.ndarray], y: np.ndarray, fold: np.ndarray) -> np.ndarray:
    return fit.cross_fitted_ridge(blocks["words"], y, fold)


def words(dimensions: int) -> list[Patch]:
    return [(columns, "text_vectors", partial(columns.text_vectors, dimensions=dimensions))]


def alone(graph: ds2.KnnGraph, counts: Any) -> np.ndarray:
    return np.arange(graph.num_samples)


def no_surface(texts: list[str], counts: Any, **_: Any) -> np.ndarray:
    return np.zeros((len(texts), 1))


VARIANTS: dict[str, list[Patch]] = {
    "as it is": [],
    "one dealing of folds": [(fit, "REPEATS", 1)],
    "five folds, one dealing": [(fit, "REPEATS", 1), (fit, "SMALL", 0)],
    "copies in any fold": [(fit, "twin_groups", alone)],
    "near-duplicates from .8": [(folds, "ALIKE", 0.8)],
    "no surface features": [(columns, "surface_features", no_surface)],
    "64 dimensions of words": words(64),
    "256 dimensions of words": words(256),
    "trees read every column": [(columns, "LEADING", 100_000)],
    "200 trees at rate .05": [(boosting, "TREES", 200), (boosting, "RATE", 0.05)],
    "without neighbours": without("neighbours"),
    "without ridge": without("ridge"),
    "without boosting": without("boosting"),
    "extra trees as a member": with_member("extra trees", extra_trees),
    "ridge on words alone as a member": with_member("words alone", words_alone),
}


def normal_ranks(cell: Cell) -> np.ndarray:
    """Each level by the normal quantile of its mid-rank: only the order of the levels counts."""
    return np.asarray(norm.ppf((rankdata(cell.scores) - 0.5) / len(cell.scores)))


def mean_of_repeats(cell: Cell) -> np.ndarray:
    """All readings of the rater, where it gave several; a student of one draw is taught by the first."""
    return np.nanmean(cell.repeats, axis=1)


TEACHERS = {"taught by normal ranks": normal_ranks, "taught by the mean of repeats": mean_of_repeats}
"""What the student learns instead of the scores; equal scores stay those of the first reading."""
VARIANTS |= {name: [] for name in TEACHERS}
TIES = {
    "as it is, posterior never": 0.0,
    "as it is, posterior always": 0.5,
    "as it is, posterior always, weight 1": 1.0,
    "as it is, mixed: z(score) + z(student)": None,
    "as it is, mixed: z(score) + half z(student)": None,
}


@contextmanager
def applied(patches: list[Patch]) -> Iterator[None]:
    with ExitStack() as stack:
        for target, name, value in patches:
            stack.enter_context(patch.object(target, name, value))
        yield


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("variants", nargs="*")
    parser.add_argument("--sets", type=Path, default=DATA / "truth")
    parser.add_argument("--only", metavar="SET", help="one set; prints, and writes nothing")
    parser.add_argument("--workers", type=int, default=2)
    args = parser.parse_args()
    unknown = [v for v in args.variants if v not in VARIANTS]
    if unknown:
        parser.error(f"no variant {unknown[0]!r}; there are {', '.join(VARIANTS)}")
    os.environ["OMP_NUM_THREADS"] = "1"
    asked = args.variants or list(VARIANTS)
    with ProcessPoolExecutor(args.workers, mp_context=get_context("spawn")) as pool:
        found = {
            n: v
            for part in pool.map(partial(run, folder=args.sets, only=args.only), asked)
            for n, v in part.items()
        }
    if args.only:
        print(table(found))
        return
    families = [family(c.set) for c, *_ in cases(args.sets, embedded=False)]
    found = earlier(families) | found
    text = f"{table(found)}\n\n{left_out(found, np.array(families))}\n"
    command = "python benchmarks/truth_variants.py" + "".join(f' "{v}"' for v in args.variants)
    (RESULTS / "human-truth-variants.md").write_text(f"`{command}`, {len(families)} raters\n\n{text}")
    kept = {n: np.round(v, 4).tolist() for n, v in found.items()}
    (RESULTS / "human-truth-variants.json").write_text(
        json.dumps({"families": families, "gains": kept}) + "\n"
    )
    print(text)


def earlier(families: list[str]) -> dict[str, np.ndarray]:
    """What was measured before on the same raters: a run of some variants keeps the rows of the others."""
    path = RESULTS / "human-truth-variants.json"
    kept = json.loads(path.read_text()) if path.exists() else {}
    same = kept.get("families") == families
    return {name: np.array(gains) for name, gains in kept["gains"].items()} if same else {}


def cases(
    folder: Path, embedded: bool = True, only: str | None = None
) -> Iterator[tuple[Cell, np.ndarray, list[str]]]:
    for truth in read_sets(folder):
        if only not in (None, truth.name):
            continue
        made: dict[bytes, np.ndarray] = {}
        for cell in truth.cells:
            if cell.rater not in NAMED.get(truth.name, (cell.rater,)):
                continue
            if embedded and cell.rows.tobytes() not in made:
                made[cell.rows.tobytes()] = embed([truth.texts[i] for i in cell.rows], "tfidf")
            yield cell, made.get(cell.rows.tobytes(), np.zeros(0)), [truth.rated[i] for i in cell.rows]


def run(variant: str, folder: Path, only: str | None = None) -> dict[str, np.ndarray]:
    """Gains of a variant, (raters, 5), and, of the first, of its other ways to break ties."""
    found: dict[str, list[np.ndarray]] = {}
    for cell, x, texts in cases(folder, only=only):
        s = cell.scores.astype(float)
        K, graph, base = int(s.max()) + 1, ds2.knn_graph(x, 10), measure(s, cell)
        mean = fit_posterior(graph, cell.scores[:, None], K).posterior @ np.arange(K)
        with applied([*VARIANTS[variant], *taught(variant, cell)]):
            r = refine(x, s, graph=graph, num_scores=K, texts=texts, posterior_mean=mean)
        orders = {variant: r.refined}
        if variant == "as it is":
            for name, weight in TIES.items():
                if weight is not None:
                    orders[name] = among_equals(s, standardised(r.student) + weight * standardised(mean))
            both = standardised(s), standardised(r.student)
            orders["as it is, mixed: z(score) + z(student)"] = both[0] + both[1]
            orders["as it is, mixed: z(score) + half z(student)"] = both[0] + 0.5 * both[1]
        for name, order in orders.items():
            found.setdefault(name, []).append(measure(order, cell) - base)
    print(f"{variant}: {np.mean(found[variant], axis=0).round(3)}", file=sys.stderr, flush=True)
    return {name: np.array(v) for name, v in found.items()}


def taught(variant: str, cell: Cell) -> list[Patch]:
    if variant not in TEACHERS:
        return []
    learn, lesson = refine_module.learn_student, TEACHERS[variant](cell)
    return [(refine_module, "learn_student", lambda x, s, *a, **k: learn(x, lesson, *a, **k))]


def table(found: dict[str, np.ndarray]) -> str:
    lines = [["variant", *MEASURES, "harmed by > .05", "worst"]]
    for name, d in found.items():
        cells = [f"{v:+.3f}" for v in d.mean(axis=0)]
        lines.append([name, *cells, f"{np.mean(d[:, 0] < -HARM):.3f}", f"{d[:, 0].min():+.2f}"])
    return markdown(lines)


def left_out(found: dict[str, np.ndarray], families: np.ndarray) -> str:
    """For each family the variant that is best on the others (top 10 %, mean over families), and its gain
    on this one.
    """
    names = list(found)
    by_family = {f: np.array([found[n][families == f, 0].mean() for n in names]) for f in np.unique(families)}
    lines = [["family left out", "chosen on the others", "its gain here", "gain of `as it is` here"]]
    got = []
    for f, here in by_family.items():
        others = np.mean([v for g, v in by_family.items() if g != f], axis=0)
        best = int(others.argmax())
        got.append((here[best], here[0]))
        lines.append([f, names[best], f"{here[best]:+.3f}", f"{here[0]:+.3f}"])
    lines.append(["mean over families", "", *(f"{v:+.3f}" for v in np.mean(got, axis=0))])
    return markdown(lines)


if __name__ == "__main__":
    main()
