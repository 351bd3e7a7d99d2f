"""How a language model's ratings came about, for the page of a run and the tracker."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import Any

from ds2.artifacts.ratings import read_report
from ds2.artifacts.run import RunResult
from ds2.report.facts import NO_SOURCE

MEASURES = {
    "answers": "Answers read",
    "replayed": "of them from the log",
    "cut": "Conversations cut to fit",
    "prompt_tokens": "Prompt tokens",
    "cached_tokens": "of them from the server's cache",
    "completion_tokens": "Completion tokens",
    "answers_without_tokens": "Answers whose tokens the server did not tell",
    "repeats_exact": "Repeats that agree exactly",
    "repeats_kappa": "Agreement of repeats (weighted kappa)",
}
"""Counts of the stage -> what they are called."""


@dataclass(frozen=True)
class RatingFacts:
    """Outcomes by source, and what it took."""

    header: list[str]
    """`source`, then each outcome that occurred."""
    rows: list[list[Any]]
    total: list[Any]
    measures: dict[str, Any]
    reasons: list[tuple[str, int]]
    """The most frequent ones, over all answers."""
    models: dict[str, int]
    """The model as the server names it -> answers."""


def rating_facts(run: RunResult, *, most: int = 14) -> RatingFacts | None:
    """How the ratings came about; None where no language model was asked. Small sources are one row."""
    stage = run.stages.get("rate")
    report = None if stage is None else read_report(stage.path)
    if report is None:
        return None
    by_source = {source or NO_SOURCE: counts for source, counts in report.outcomes.items()}
    numbers = report.counts()
    whole: Counter[str] = sum(by_source.values(), Counter())
    outcomes = [name for name in next(iter(by_source.values()), {}) if whole[name]]
    order = sorted(by_source, key=lambda source: -by_source[source].total())
    head, tail = (order, []) if len(order) <= most else (order[: most - 1], order[most - 1 :])
    rows = [[source, *(by_source[source][name] for name in outcomes)] for source in head]
    if tail:
        rest: Counter[str] = sum((by_source[source] for source in tail), Counter())
        rows.append([f"{len(tail)} other sources", *(rest[name] for name in outcomes)])
    return RatingFacts(
        ["source", *outcomes],
        rows,
        ["all", *(whole[name] for name in outcomes)],
        {label: _told(numbers[name]) for name, label in MEASURES.items() if name in numbers},
        report.reasons.most_common(6),
        dict(report.models),
    )


def rating_dollars(run: RunResult) -> float | None:
    """US dollars that the answers of a language-model rater cost, at list price; None where its price or
    some of its tokens are not known, or no served model was asked.
    """
    from ds2.rating.cost import dollars_of

    stage = run.stages.get("rate")
    return None if stage is None else dollars_of(run.config.rater, stage.record["counts"]) or None


def _told(value: Any) -> Any:
    return "not told" if value is None else value
