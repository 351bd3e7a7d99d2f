"""Orders that read all raters of a set at once, judged by people on the rows that every rater scored: the
plain mean of the raters, the factor behind them, and that factor's student among near-equal panel scores.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
from panels import fuse
from rated_sets import common, several_raters
from truth_measures import Cell, Row, bootstrapped, group_draws, measure, standardised, without_length

import ds2

MEAN, FACTOR, PANEL = "mean of the raters", "factor", "panel: factor, then its student"


def compare_panels(
    folder: Path, only: tuple[str, ...], embed: Callable[[list[str]], np.ndarray], draws: int, seed: int
) -> list[Row]:
    """Three rows for each set of the folder (or of `only`) with several raters of one scale.

    Args:
        embed: n whole texts -> (n, d).
    """
    rows = []
    for found in several_raters(folder):
        if only and found.name not in only:
            continue
        at = common(found)
        rated = [found.rated[n] for n in at]
        lengths = np.array([len(text) for text in rated], dtype=float)
        human = found.human[at]
        groups = found.group[at] if np.ptp(found.group) else np.arange(len(at))
        groups = np.unique(groups, return_inverse=True)[1]
        cell = Cell(
            found.name, "all", at, found.scores[at, 0], found.scores[at].astype(float), standardised(human),
            standardised(without_length(human, lengths)), lengths, groups,
        )  # fmt: skip
        refined = ds2.curate(
            embed([found.texts[n] for n in at]), found.scores[at], num_scores=found.num_scores,
            method="refine", texts=rated, seed=seed,
        ).refined  # fmt: skip
        assert refined is not None
        counts = group_draws(groups, draws, seed)
        orders = {
            MEAN: found.scores[at].mean(axis=1),
            FACTOR: fuse(found, at).score,
            PANEL: refined,
        }
        rows += [
            Row(found.name, f"{found.scores.shape[1]} raters", name, len(at), measure(o, cell),
                bootstrapped(o, cell, counts), {})
            for name, o in orders.items()
        ]  # fmt: skip
    return rows
