"""What people say of a run: its anchors' judgement, and the mean human score of what it selected.

A sample that people scored stands in the order where its own answer put it. It is therefore counted as
selected as far as its neighbours in the order are, at the place it would have had unasked (`Asked.order`):

    mean = (sum of the answers of those asked and selected + (S - their number) mu) / S

S samples selected, mu the weighted mean of the answers by that membership (`anchor_estimates`). A selection
that does not read the curation is counted as it is.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ds2.artifacts.curation import RaterErrors, read_asked, read_curation
from ds2.artifacts.run import RunResult
from ds2.artifacts.subset import read_subset
from ds2.method.anchor_estimates import Estimate, Mean, weighted_mean
from ds2.method.anchor_judgement import Judgement
from ds2.method.curation.result import Asked
from ds2.pool.anchors_file import answer_scale

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Anchored:
    """What people say of a run. Means are on the scale that they answered on."""

    judgement: Judgement
    ends: tuple[int, int]
    """Lowest and highest mean that there can be."""
    everyone: Estimate
    """Mean human score of the pool."""
    selected: Estimate | None
    """That of the subset; None where nothing was selected, or too little of it can be judged."""

    @property
    def sentence(self) -> str:
        """The subset's mean beside the pool's; empty where it cannot be judged."""
        if self.selected is None:
            return ""
        low, high = self.ends
        return (
            f"By people, the samples selected would score {self.selected.words()} on average, on a scale of "
            f"{low} to {high}; the whole pool {self.everyone.words()}."
        )

    @property
    def numbers(self) -> dict[str, float]:
        """NAME of each estimate with NAME_low and NAME_high, its interval; shown/NAME, 1 for what is shown to
        add to the order and 0 for what is refused.
        """
        rater = self.judgement.rater
        estimates = {
            "accuracy": rater.accuracy, "bias": rater.bias, "pool_mean": self.everyone,
            "selected_mean": self.selected,
        }  # fmt: skip
        values: dict[str, float] = {"anchors": rater.num_anchors}
        for name, found in estimates.items():
            ends = {} if found is None else {"": found.value, "_low": found.low, "_high": found.high}
            values |= {f"{name}{end}": value for end, value in ends.items() if value is not None}
        tests = self.judgement.evidence
        return values | {f"shown/{test.name.replace(' ', '_')}": int(test.shown) for test in tests}

    @property
    def transition_cells(self) -> list[list[float | None]]:
        """[human level, given level, share, low, high] of each entry of T."""
        rater = self.judgement.rater
        levels = range(len(rater.transition))
        entries = ((i, j, rater.entry(i, j)) for i in levels for j in levels)
        return [[i, j, entry.value, entry.low, entry.high] for i, j, entry in entries]


def anchored(run: RunResult) -> Anchored | None:
    """None where nobody was asked. Raises DamagedArtifact."""
    stage = run.stages.get("curate")
    asked = None if stage is None else read_asked(stage.path)
    if stage is None or asked is None:
        return None
    judgement = RaterErrors.read(stage.path).diagnostics.anchors
    if judgement is None:
        return None
    scale = answer_scale(run.config.rater, run.config.scale)
    ends = scale.first, scale.first + scale.levels - 1
    whole = weighted_mean(np.ones(len(asked.rows)), asked.scores.astype(np.float64), asked.weight)
    assert whole is not None  # weights are above 0
    chosen = _selected(run, asked)
    return Anchored(
        judgement,
        ends,
        whole.estimate().on_scale(*ends),
        None if chosen is None else chosen.estimate().on_scale(*ends),
    )


def _selected(run: RunResult, asked: Asked) -> Mean | None:
    if "select" not in run.stages:
        return None
    table = read_curation(run.stages["curate"].path)
    rows = read_subset(run.stages["select"].path, "row")["row"].to_numpy()
    selected = np.isin(table["row"].to_numpy(), rows)
    if "curate" in run.config.selection.needs:
        order = table["refined" if "refined" in table else "posterior_mean"].to_numpy(dtype=np.float64)
        members = unasked_membership(order, selected, asked.rows, asked.order)
    else:
        members = selected[asked.rows].astype(np.float64)
    human = asked.scores.astype(np.float64)
    mean = weighted_mean(members, human, asked.weight)
    if mean is None or not selected.any():
        return None
    known = selected[asked.rows]
    rest = 1 - known.sum() / selected.sum()
    value = float(human[known].sum() / selected.sum() + rest * mean.value)
    return Mean(value, rest * mean.terms, mean.freedom)


def unasked_membership(
    order: Array, selected: NDArray[np.bool_], rows: NDArray[np.int64], places: Array
) -> Array:
    """Share of each asked sample that would be selected at `places` (n,): that of the samples not asked
    which the order, (N,), has there, or of the two next to it.
    """
    others = np.setdiff1d(np.arange(len(order)), rows)
    if not len(others):  # everyone was asked
        return selected[rows].astype(np.float64)
    others = others[np.argsort(order[others], kind="stable")]
    values, taken = order[others], np.concatenate([[0.0], np.cumsum(selected[others])])
    low, high = np.searchsorted(values, places, "left"), np.searchsorted(values, places, "right")
    between = low == high
    low = np.where(between, np.maximum(low - 1, 0), low)
    high = np.where(between, np.minimum(high + 1, len(values)), high)
    return np.asarray((taken[high] - taken[low]) / (high - low))
