"""What the subsets of the miniature are made of, by the true scores that only its generator knows.

    python benchmarks/mini_subsets.py [key=value ...]    paths.artifacts=FOLDER of an earlier sweep

Both worlds, raters and panels of `sweep=mini_table`, seeds 11 to 15, 400 of 4,000 samples; nothing is
trained. Writes benchmarks/results/mini_subsets.md: the mean true score of the selected, in standard
deviations of the pool's, mean ± standard deviation over seeds, and its difference to the given scores by the
same rater.
"""

from __future__ import annotations

import datetime
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from ds2.artifacts.ratings import read_ratings
from ds2.artifacts.run import RunResult
from ds2.artifacts.subset import read_subset
from ds2.config.compose import compose
from ds2.runs.chain import Chain

RESULTS = Path(__file__).resolve().parent / "results"
UNRATED = ("random", "oracle")
SELECTIONS = ("ds2_without_curation", "ds2", "ds2_without_diversity", "ds2_posterior", "ds2_refined")
GIVEN = "ds2_without_curation"
RATERS = {
    "mini": ("simulated_gpt_4o_mini", "simulated_llama_3_1_8b", "simulated_mistral_7b"),
    "mini_impure": ("impure_good", "impure_fair", "impure_poor"),
}
PANELS = {"mini": "mini_panel", "mini_impure": "impure_panel"}
SEEDS = (11, 12, 13, 14, 15)


def chain(pool: str, rater: str | None, selection: str, seed: int, extra: Sequence[str]) -> RunResult:
    """A run up to its subset."""
    fixed = ["experiment=mini", "tracking=none", "until=select", "runtime.progress=false"]
    rated = [] if rater is None else [f"rater={rater}"]
    return Chain(
        compose([*fixed, f"pool={pool}_by_seed", *rated, f"selection={selection}", f"seed={seed}", *extra])
    ).run()


def main(extra: Sequence[str]) -> None:
    """Print and write the table."""
    rows = []
    for seed in SEEDS:
        for pool, raters in RATERS.items():
            oracle = chain(pool, None, "oracle", seed, extra)
            true = read_ratings(oracle.stages["rate"].path, "id", "score").set_index("id")["score"]
            z = (true - true.mean()) / true.std()
            runs = [(None, name) for name in UNRATED] + [(r, name) for r in raters for name in SELECTIONS]
            runs.append((PANELS[pool], "ds2_refined"))
            for rater, selection in runs:
                subset = read_subset(chain(pool, rater, selection, seed, extra).stages["select"].path, "id")
                chosen = subset["id"]
                rows.append({
                    "pool": pool, "rater": rater or "", "selection": selection, "seed": seed,
                    "true score": z[chosen].mean(), "best level": (true[chosen] == true.max()).mean(),
                    "lower half": (true[chosen] < 3).mean(),
                })  # fmt: skip
                print(rows[-1], flush=True)
    table = summary(pd.DataFrame(rows))
    lines = ["| " + " | ".join(table) + " |", "|---|---|---|" + "---:|" * (len(table.columns) - 3)]
    lines += ["| " + " | ".join(map(str, row)) + " |" for row in table.itertuples(index=False)]
    head = (
        f"`python benchmarks/mini_subsets.py`, {datetime.date.today()}; seeds {SEEDS}; 400 of 4,000 samples"
    )
    text = "\n".join([head, "", *lines, ""])
    (RESULTS / "mini_subsets.md").write_text(text, encoding="utf-8")
    print(text)


def summary(frame: pd.DataFrame) -> pd.DataFrame:
    """A row a pool, rater and selection; differences are of the same seeds, with a 95 % interval by t."""
    from scipy.stats import t as student_t

    rows = []
    for (pool, rater, selection), part in frame.groupby(["pool", "rater", "selection"], sort=False):
        values = part.set_index("seed")["true score"]
        given = frame[(frame.pool == pool) & (frame.rater == rater) & (frame.selection == GIVEN)]
        shown = ""
        if len(given) and selection != GIVEN:
            gap = values - given.set_index("seed")["true score"]
            half = student_t.ppf(0.975, len(gap) - 1) * gap.std() / np.sqrt(len(gap))
            shown = f"{gap.mean():+.2f} [{gap.mean() - half:+.2f}, {gap.mean() + half:+.2f}]"
        rows.append({
            "pool": pool, "rater": rater, "selection": selection,
            "true score": f"{values.mean():.2f} ± {values.std():.2f}", "to the given scores": shown,
            "best level": f"{part['best level'].mean():.2f}",
            "lower half": f"{part['lower half'].mean():.2f}",
        })  # fmt: skip
    return pd.DataFrame(rows)


if __name__ == "__main__":
    main(sys.argv[1:])
