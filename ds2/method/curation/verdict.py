"""Two or three plain sentences: what was done with the scores, what that cannot tell, and what would tell.

The figures are of real raters judged by people: mean human rating, in standard deviations, of the share that
each order selects, over 29 raters on eight sets (docs/truth.md, `python benchmarks/human_truth.py --raters
named`).
"""

from __future__ import annotations

from ds2.base.words import percent
from ds2.method.anchor_judgement import Judgement, RaterJudgement

GIVEN, PAPER, REFINED = 0.786, 0.367, 0.936
"""Top 10 %: the rater's own scores; the paper's method, `rank` and then the long tail; `refine`."""
WORSE = {"rank": ("top 10 %", 0.487, 0.786), "posterior": ("top 30 %", 0.567, 0.622)}
"""Method -> where its own order is worse than the rater's scores: the share, its value, theirs."""
ASK = "`ds2 anchors draw`"
"""The command that chooses whom to ask."""
_CANNOT_TELL = (
    "One rater's scores cannot tell a noisy rater from neighbours that differ; about a hundred scores by "
    f"people on the criterion you mean ({ASK}), or a second rater, would tell."
)
_AGREEMENT = (
    "Agreement between raters is not correctness: errors that all of them share cannot be seen from inside; "
    f"about a hundred scores by people on the criterion you mean ({ASK}) would tell."
)


def verdict_of(method: str, num_raters: int, *, told: bool, kept_raw: bool) -> str:
    """What a method other than `refine` did.

    Args:
        told: an accuracy or a whole matrix was stated.
        kept_raw: the method declined to curate.
    """
    if method == "none" or kept_raw:
        return f"The given scores were kept, and equal ones left equal. {_CANNOT_TELL}"
    if told:
        return (
            "The scores were replaced by what their neighbours' scores and the accuracy stated of the rater "
            "make likely. Nothing here shows that this accuracy is right, nor that the order is better than "
            f"the given scores; about a hundred scores by people ({ASK}) would tell."
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
    share, value, given = WORSE[method]
    return (
        f"By people's ratings, curation={method} of one rater chooses worse than the rater's own scores: "
        f"{share} {value:.2f} sd for {given:.2f} (docs/truth.md); curation=refine does not"
    )


def said_of_the_paper() -> str:
    """One line: what people's ratings say of the paper's method."""
    return (
        f"What people's ratings say of the paper's method: its top 10 % is {PAPER:.2f} sd above the mean, "
        f"the rater's own scores' {GIVEN:.2f}, curation=refine's {REFINED:.2f} (29 raters, eight sets: "
        "docs/truth.md)"
    )


def anchored_verdict(
    method: str, said: Judgement, gain: float, *, against: bool = False, raters: int = 1
) -> str:
    """What `refine` or `posterior` did with anchors, and what these show.

    gain: share of the squared error that it removes, out of sample. against: people score against the
    rater's order. raters: how many there are.
    """
    shown = [test for test in said.evidence if test.shown]
    tried = in_words([test.name for test in said.evidence], "or")
    parts = [rater_sentence(said.rater, raters)]
    if method == "posterior" and shown:
        parts.append(
            "The posterior mean predicts people better than the given scores "
            f"({percent(gain, 0)} less squared error on samples left out): it replaced them."
        )
    elif method == "posterior":
        parts.append(
            "That the posterior mean predicts people better than the given scores cannot be shown on "
            "samples left out: it was refused, and the given scores were kept."
        )
    elif against:
        parts.append(
            "Where this rater scores higher, people do not: its order was left as it is, and no correction "
            "of it can be trusted. Another rater, or other criteria, are called for."
        )
    elif shown:
        less = percent(gain, 0) if gain >= 0.01 else "under 1 %"
        parts.append(
            f"Beside the refined order, what people say shows in {in_words([test.name for test in shown])} "
            f"({less} less squared error on samples left out): samples are ordered by the human score that "
            "they predict together."
        )
    else:
        parts.append(
            f"That {tried} adds to the refined order cannot be shown on samples left out: such a correction "
            "was refused, and the order stays as it was: the "
            f"{'given score' if raters == 1 else 'panel score'} first, equal ones by its student."
        )
    parts.append("This holds for samples like this pool's and for what these people were asked.")
    return " ".join(parts)


def rater_sentence(rater: RaterJudgement, raters: int = 1) -> str:
    """How often the rater (of several, the median of their scores) is right, and whether it is lenient."""
    whose = "the rater" if raters == 1 else "the raters' median"
    a, b = rater.accuracy, rater.bias
    lean = f"scores {abs(b.value):.2f} points too {'high' if b.value > 0 else 'low'} on average"
    if b.low is None or b.high is None or b.low <= 0 <= b.high:
        lean = "is not shown to be lenient or severe"
    ends = "" if a.low is None or a.high is None else f" ({percent(a.low, 0)} to {percent(a.high, 0)})"
    return (
        f"By {rater.num_anchors} human scores {whose} is right {percent(a.value, 0)} of the time{ends} and "
        f"{lean}."
    )


def in_words(names: list[str], last: str = "and") -> str:
    """`a`, `a and b`, `a, b and c`."""
    return f" {last} ".join(filter(None, [", ".join(names[:-1]), names[-1]]))
