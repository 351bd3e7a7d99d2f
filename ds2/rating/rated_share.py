"""What rating a share of a pool buys, by people's ratings, and what it costs.

    quality(q)   mean human rating, in standard deviations, of the top 10 % of the whole set, where a random
                 share q was rated by a language model and `refine` ordered all of it
    dollars(q)   q x the price of rating every sample once or as often as asked

Sixteen raters on the eight sets of docs/truth.md (`python benchmarks/refine.py share`); where all are rated,
`python benchmarks/human_truth.py` for the same raters.
"""

from __future__ import annotations

import numpy as np

QUALITY = {0.1: 0.548, 0.2: 0.744, 0.3: 0.812, 0.5: 0.878, 1.0: 0.954}
"""q -> quality(q). A tenth of the smallest sets is too few rows to learn from: those two raters of sixteen
are not in the first.
"""
AS_GIVEN = 0.800
"""All rated, and the scores used as they are."""
WHERE = "top 10 % by people's ratings, in sd, ordered by curation=refine: docs/truth.md"


def quality_of(share: float) -> float | None:
    """quality(share) between the shares that were measured; None below them."""
    known = sorted(QUALITY)
    if share < known[0]:
        return None
    return float(np.interp(share, known, [QUALITY[q] for q in known]))


def in_words(whole: float | None) -> str:
    """The curve as a line. whole: dollars of rating every sample, None where they are not known."""
    points = (
        ("all" if share == 1 else f"{share:.0%}")
        + ("" if whole is None else f" about ${whole * share:,.2f}")
        + f" → {quality:.2f}"
        for share, quality in QUALITY.items()
    )
    return (
        f"what a rated share buys (rater.sample; {WHERE}): {', '.join(points)}; all rated and used as they "
        f"are → {AS_GIVEN:.2f}"
    )
