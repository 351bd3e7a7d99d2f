"""Figure 3: how each rater errs, as printed by the authors and as estimated on the scored slice of the
pool."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ds2.report import figures as plots
from ds2.report.figures.canvas import set_caption
from experiments import published
from experiments.real_data import METHODS, NUM_SCORES, RATERS, Slice, curated_slice
from experiments.result import Options, Result, Table

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Array = NDArray[np.float64]
DRAWN = {"published": "published, 300k", "rank": "rank (HOC), 67k", "posterior": "posterior, 67k"}


def printed_matrices() -> dict[str, Array]:
    """Rater -> the 6 x 6 matrix as the paper prints it (Figure 3, two decimals)."""
    columns = [f"rated_{j}" for j in range(NUM_SCORES)]
    table = published.read("transition_matrices").sort_values("true_score")
    return {str(rater): rows[columns].to_numpy(dtype=np.float64) for rater, rows in table.groupby("rater")}


def estimates(scored: Slice) -> dict[tuple[str, str], Array]:
    """(rater, method) -> T (6, 6), rows true scores; method `published` is the paper's as printed, with two
    decimals."""
    matrices = {(r, m): scored.transition(r, m) for r in RATERS for m in METHODS}
    return matrices | {(r, "published"): printed for r, printed in printed_matrices().items()}


def compare(matrices: dict[tuple[str, str], Array]) -> pd.DataFrame:
    """How far each estimate is from the published matrix.

    Columns: rater, method; `diagonal` and `published_diagonal`, the means of the diagonals; `row_error`, the
    mean L1 distance of a row; `largest`, the largest difference of an entry; `same_mode`, true scores whose
    most common rating is the same.
    """
    rows = []
    for rater in RATERS:
        printed = matrices[rater, "published"]
        theirs = printed / printed.sum(axis=1, keepdims=True)
        for method in METHODS:
            ours = matrices[rater, method]
            gap = np.abs(ours - theirs)
            rows.append(
                {
                    "rater": rater, "method": method,
                    "diagonal": float(np.diag(ours).mean()),
                    "published_diagonal": float(np.diag(theirs).mean()),
                    "row_error": float(gap.sum(axis=1).mean()), "largest": float(gap.max()),
                    "same_mode": int((ours.argmax(axis=1) == theirs.argmax(axis=1)).sum()),
                }
            )  # fmt: skip
    return pd.DataFrame(rows)


def entries(matrices: dict[tuple[str, str], Array]) -> pd.DataFrame:
    """Every entry, a column a version: rater, true_score, rated_score, published, and each method's
    estimate."""
    versions = ["published", *METHODS]
    return pd.DataFrame(
        [
            {"rater": rater, "true_score": i, "rated_score": j}
            | {version: matrices[rater, version][i, j] for version in versions}
            for rater in RATERS
            for i, j in np.ndindex(NUM_SCORES, NUM_SCORES)
        ]
    )


def curated_counts(scored: Slice) -> pd.DataFrame:
    """Share of the scores that curation changes: rater, method, flagged, changed, and what the authors
    printed of theirs."""
    printed = published.read("curation_statistics").set_index("rater")
    total = published.read("pool_composition")["samples"].sum()
    rows = []
    for rater in RATERS:
        for method in METHODS:
            table = scored.table(rater, method)
            row = {"rater": rater, "method": method, "flagged": float(table["flagged"].mean())}
            row["changed"] = float((table["curated"] != table["score"]).mean())
            known = method != "posterior" and rater in printed.index
            row["published_flagged"] = printed.loc[rater, "flagged"] / total if known else None
            row["published_changed"] = printed.loc[rater, "curated"] / total if known else None
            rows.append(row)
    return pd.DataFrame(rows)


def draw(matrices: dict[tuple[str, str], Array], note: str) -> Figure:
    """The paper's layout, a column a rater: published above, then each estimate; note: the caption."""
    figure = plots.transition_grid(
        {line: {RATERS[r]: matrices[r, method] for r in RATERS} for method, line in DRAWN.items()}
    )
    set_caption(figure, f"67k: {note}")
    return figure


def run(options: Options) -> Result:
    """Estimates on the slice beside the published matrices."""
    scored = curated_slice(options, "transition_matrices")
    matrices = estimates(scored)
    two = dict.fromkeys(("diagonal", "published_diagonal", "row_error", "largest"), ".2f")
    shares = dict.fromkeys(("flagged", "changed", "published_flagged", "published_changed"), ".1%")
    return Result(
        title="Score transition matrices (Figure 3)",
        caption=f"{scored.note}. Rows are true scores, columns rated ones. rank_doubled concatenates "
        "the pool with itself, as the authors' code does.",
        tables=[
            Table(
                "entries", entries(matrices), "P(rated | true)", dict.fromkeys(("published", *METHODS), ".2f")
            ),
            Table("distance", compare(matrices), "Distance from the published matrices", two),
            Table("changed", curated_counts(scored), "Scores flagged and changed", shares),
        ],
        figures={"transition_matrices": draw(matrices, scored.note)},
        notes=_warnings(scored),
    )


def _warnings(scored: Slice) -> list[str]:
    """What the curations warn of, a line each with the runs that say it."""
    said: dict[str, list[str]] = {}
    for (rater, method), run in scored.runs.items():
        for line in run.stages["curate"].record["warnings"]:
            said.setdefault(line, []).append(f"{RATERS[rater]} by {method}")
    everyone = len(scored.runs)
    return [f"{'all' if len(who) == everyone else ', '.join(who)}: {line}" for line, who in said.items()]
