"""The rater's score first, equal ones by the rater's own student; diversity only by a weight that a person sets.

`selection.diversity=long_tail` adds the long-tail score by `selection.diversity_weight` (`ds2.method.price`).
"""

from __future__ import annotations

import numpy as np

from ds2.base.errors import UserError
from ds2.config.selection import Diversity, RefinedSelectionConfig
from ds2.method.price import blend
from ds2.selection.request import Choice, Request
from ds2.selection.top import choose_top


def choose(request: Request[RefinedSelectionConfig]) -> Choice:
    """The `budget` best samples. Raises UserError where curation gave no refined order."""
    config, table = request.config, request.curation
    if "refined" not in table:
        raise UserError(f"selection={config.name} reads the refined order, which curation=refine gives")
    if not 0 <= config.diversity_weight <= 1:
        raise UserError(f"selection.diversity_weight={config.diversity_weight:g} must be in 0..1")
    refined = table["refined"].to_numpy(dtype=np.float64)
    if config.diversity is Diversity.none:
        return choose_top(request, refined, lambda value: f"refined score {value:.4g}")
    long_tail = table["long_tail"].to_numpy(dtype=np.float64)
    values = blend(refined, long_tail, config.diversity_weight)
    return choose_top(
        request,
        values,
        lambda value: f"{value:.4g} of quality and rarity at weight {config.diversity_weight:g}",
    )
