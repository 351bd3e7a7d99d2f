"""Two or three plain sentences: what was done with the scores, what that cannot tell, and what would tell.

The figures are of real raters judged by people: mean human rating, in standard deviations, of the top 10 %
that each order selects, over 29 raters on eight sets (docs/truth.md, `python benchmarks/human_truth.py
--raters named`).
"""

from __future__ import annotations

GIVEN = 0.786
"""The rater's own scores."""
TOP_TENTH = {"rank": 0.484, "posterior": 0.759}
"""Method -> its own order."""
PAPER, REFINED = 0.384, 0.923
"""The paper's method, `rank` and then the long tail; `refine`."""
_CANNOT_TELL = (
    "One rater's scores cannot tell a noisy rater from neighbours that differ; about a hundred scores by "
    "people on "
    "the criterion you mean, or a second rater, would tell."
)
_AGREEMENT = (
    "Agreement between raters is not correctness: errors that all of them share cannot be seen from inside; "
    "about a "
    "hundred scores by people on the criterion you mean would tell."
)


def verdict_of(method: str, num_raters: int, *, told: bool, kept_raw: bool) -> str:
    """What a method other than `refine` did.

    Args:
        told: anchors, an accuracy or a whole matrix was given.
        kept_raw: the method declined to curate.
    """
    if method == "none" or kept_raw:
        return f"The given scores were kept, and equal ones left equal. {_CANNOT_TELL}"
    if told:
        return (
            "The scores were replaced by what their neighbours' scores and your own knowledge of the rater "
            "make likely. "
            "What people said of a hundred samples holds for the pool as far as they were drawn from it."
        )
    if num_raters > 1:
        fused = f"The scores of {num_raters} raters were fused into one by a model of each one's errors."
        return f"{fused} {_AGREEMENT}"
    replaced = "The scores were replaced by what their neighbours' scores suggest."
    return f"{replaced} {warning_of(method)}. {_CANNOT_TELL}"


def warning_of(method: str) -> str:
    """One line for whoever replaces one rater's scores without knowing more of the rater; `rank` or
    `posterior`.
    """
    return (
        f"By people's ratings, curation={method} of one rater chooses worse than the rater's own scores: top "
        f"10 % "
        f"{TOP_TENTH[method]:.2f} sd for {GIVEN:.2f} (docs/truth.md); curation=refine does not"
    )


def said_of_the_paper() -> str:
    """One line: what people's ratings say of the paper's method."""
    return (
        f"What people's ratings say of the paper's method: its top 10 % is {PAPER:.2f} sd above the mean, "
        f"the rater's own scores' {GIVEN:.2f}, curation=refine's {REFINED:.2f} (29 raters, eight sets: "
        "docs/truth.md)"
    )
