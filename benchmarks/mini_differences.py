"""What each curation is worth beside the rater's own scores, in the miniature's table.

    python benchmarks/mini_differences.py [key=value ...]    paths.artifacts=FOLDER of `ds2 sweep=mini_table`

Of each world and rater, and of its three raters together (their mean on each seed): points of the average
over the same rater's `ds2_without_curation` on the same seed, mean with Student's 95 % interval over seeds,
and on how many seeds it is above. Nothing is trained: it reads what the sweep left. Writes
benchmarks/results/mini_differences.md.
"""

from __future__ import annotations

import datetime
import sys
from collections.abc import Sequence
from pathlib import Path

import pandas as pd
from scipy.stats import t as student_t

import ds2

RESULTS = Path(__file__).resolve().parent / "results"
GIVEN = "ds2_without_curation"
METHODS = ("ds2 (rank)", "ds2_posterior", "ds2_refined")
ALL = "three raters"


def main(extra: Sequence[str]) -> None:
    """Print and write the table."""
    sweep = ds2.load_sweep(["sweep=mini_table", *extra])
    results = sweep.results
    points = 100 * results[results.task == "average"].set_index(["pool", "rater", "method", "seed"])["value"]
    rows = []
    for pool in points.index.unique("pool"):
        of_pool = points[pool].unstack("seed")
        raters = [rater for rater in of_pool.index.unique("rater") if (rater, GIVEN) in of_pool.index]
        for method in METHODS:
            gaps = pd.DataFrame(
                {rater: of_pool.loc[(rater, method)] - of_pool.loc[(rater, GIVEN)] for rater in raters}
            )
            gaps[ALL] = gaps.mean(axis=1)
            rows += [{"pool": pool, "rater": rater, "method": method, **_said(gaps[rater])} for rater in gaps]
    table = pd.DataFrame(rows)
    lines = ["| " + " | ".join(table) + " |", "|---|---|---|" + "---:|" * (len(table.columns) - 3)]
    lines += ["| " + " | ".join(map(str, row)) + " |" for row in table.itertuples(index=False)]
    head = f"`python benchmarks/mini_differences.py`, {datetime.date.today()}; {sweep!r}"
    text = "\n".join([head, "", *lines, ""])
    (RESULTS / "mini_differences.md").write_text(text, encoding="utf-8")
    print(text)


def _said(gaps: pd.Series) -> dict[str, str]:
    half = student_t.ppf(0.975, len(gaps) - 1) * gaps.std() / len(gaps) ** 0.5
    mean = gaps.mean()
    return {
        "to the given scores": f"{mean:+.1f} [{mean - half:+.1f}, {mean + half:+.1f}]",
        "above on": f"{(gaps > 0).sum()} of {len(gaps)} seeds",
    }


if __name__ == "__main__":
    main(sys.argv[1:])
