"""What the subsets of the miniature are made of, by the true scores that only its generator knows.

    python benchmarks/mini_subsets.py [key=value ...]    paths.artifacts=FOLDER of an earlier sweep

One simulated rater (GPT-4o-mini's matrix), seeds 11 to 13, 400 of 4,000 samples. Writes
benchmarks/results/mini_subsets.md.
"""

from __future__ import annotations

import datetime
import sys
from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from ds2.artifacts.ratings import read_ratings
from ds2.artifacts.run import RunResult
from ds2.artifacts.subset import read_subset
from ds2.config.compose import compose
from ds2.runs.chain import Chain

RESULTS = Path(__file__).resolve().parent / "results"
SELECTIONS = (
    "random", "ds2_without_curation", "ds2", "ds2_without_diversity", "ds2_posterior", "oracle",
)  # fmt: skip
SEEDS = (11, 12, 13)


def chain(selection: str, seed: int, extra: Sequence[str]) -> RunResult:
    """A run up to its subset."""
    fixed = ["experiment=mini", "tracking=none", "until=select", "runtime.progress=false"]
    return Chain(compose([*fixed, f"selection={selection}", f"seed={seed}", *extra])).run()


def main(extra: Sequence[str]) -> None:
    """Print and write the table."""
    rows = []
    for seed in SEEDS:
        runs = {selection: chain(selection, seed, extra) for selection in SELECTIONS}
        ratings = read_ratings(runs["oracle"].stages["rate"].path, "id", "score")
        true = ratings.set_index("id")["score"]
        for selection, run in runs.items():
            subset = read_subset(run.stages["select"].path, "id", "source")
            scores = true[subset["id"]]
            rows.append({
                "selection": selection, "mean true score": scores.mean(),
                "true score 5": (scores == 5).mean(),
                "true score below 3": (scores < 3).mean(), "sources": subset["source"].nunique(),
            })  # fmt: skip
    table = pd.DataFrame(rows).groupby("selection", sort=False).mean().round(3).reset_index()
    lines = ["| " + " | ".join(table) + " |", "|---" * len(table.columns) + "|"]
    lines += ["| " + " | ".join(map(str, row)) + " |" for row in table.itertuples(index=False)]
    head = (
        f"`python benchmarks/mini_subsets.py`, {datetime.date.today()}; means of seeds {SEEDS}; 400 of 4,000 "
        "samples"
    )
    text = "\n".join([head, "", *lines, ""])
    (RESULTS / "mini_subsets.md").write_text(text, encoding="utf-8")
    print(text)


if __name__ == "__main__":
    main(sys.argv[1:])
