"""The rater's score first, equal ones by the rater's own student; diversity only where a person buys it.

`selection.diversity=long_tail` adds the long-tail score by `selection.diversity_weight` (`ds2.method.price`);
`selection.diversity=cover` puts the best of so many neighbourhoods first that the subset stands for
`selection.cover` of the pool (`ds2.method.covering`). The subset's report shows the price of both.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from ds2.base.errors import UserError
from ds2.config.selection import Diversity, RefinedSelectionConfig
from ds2.method.covering import leaders, least_leaders
from ds2.method.price import blend
from ds2.selection.filters import NEXT, Eligible
from ds2.selection.request import Choice, Request
from ds2.selection.top import choose_top


def choose(request: Request[RefinedSelectionConfig]) -> Choice:
    """The `budget` best samples in the order that curation gave.

    Where curation gave no refined order (`curation=rank`, say), curated scores, equal ones by the long
    tail: the paper's order, with a warning. Raises UserError for a weight or a cover out of range.
    """
    config, table = request.config, request.curation
    if not 0 <= config.diversity_weight <= 1:
        raise UserError(f"selection.diversity_weight={config.diversity_weight:g} must be in 0..1")
    if not 0 < config.cover <= 1:
        raise UserError(f"selection.cover={config.cover:g} must be above 0 and at most 1")
    long_tail = table["long_tail"].to_numpy(dtype=np.float64)
    if "refined" not in table:
        return _in_the_papers_order(request, table["curated"].to_numpy(dtype=np.float64), long_tail)
    refined = table["refined"].to_numpy(dtype=np.float64)
    if config.diversity is Diversity.none:
        return choose_top(request, refined, lambda value: f"refined score {value:.4g}")
    if config.diversity is Diversity.cover:
        return _covering(request, refined)
    values = blend(refined, long_tail, config.diversity_weight)
    return choose_top(
        request,
        values,
        lambda value: f"{value:.4g} of quality and rarity at weight {config.diversity_weight:g}",
    )


def _in_the_papers_order(
    request: Request[RefinedSelectionConfig], curated: NDArray[np.float64], long_tail: NDArray[np.float64]
) -> Choice:
    choice = choose_top(
        request, curated, lambda value: f"curated score {value:g}", allowed=curated >= 0, ties=long_tail
    )
    warning = (
        f"selection={request.config.name} found no refined order, which curation=refine gives: curated "
        "scores, equal ones by the long tail, as selection=ds2 does"
    )
    return replace(choice, warnings=(*choice.warnings, warning))


def _covering(request: Request[RefinedSelectionConfig], refined: NDArray[np.float64]) -> Choice:
    """The fewest leaders that reach the cover asked for, then the best; all of them best first."""
    eligible, neighbors = Eligible(request), request.graph.neighbors
    candidates = np.flatnonzero(eligible.mask)
    order = candidates[np.argsort(-refined[candidates], kind="stable")]
    asked = request.config.cover
    first = leaders(neighbors, order)
    rows, reached = least_leaders(neighbors, order, first, asked, lambda o: eligible.take(o).positions)
    if reached < asked:
        raise UserError(
            f"selection.cover={asked:g} is out of reach: {eligible.count:,} samples stand for "
            f"{reached:.3f} of the pool at most; lower it, or raise budget.samples"
        )
    chosen = np.zeros(request.pool_size, dtype=bool)
    chosen[rows] = True
    alone = set(eligible.take(order).positions.tolist())
    positions = order[chosen[order]]
    left = order[~chosen[order]]
    reasons = [
        f"refined score {refined[n]:.4g}" + ("" if n in alone else ", stands for its neighbourhood")
        for n in positions.tolist()
    ]
    return Choice(positions, reasons, refined[positions], left[:NEXT])
