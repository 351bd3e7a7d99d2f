"""What rating a share of the pool buys, and for how much, where a language model rated."""

from __future__ import annotations

from typing import Any

from ds2.artifacts.run import RunResult
from ds2.config import LlmRaterConfig
from ds2.rating.rated_share import AS_GIVEN, QUALITY, quality_of
from ds2.report.page.html import Chart
from ds2.report.rating_facts import rating_dollars

_QUALITY = "human rating of the top 10 % (sd)"


def rated_share(run: RunResult, charts: list[Chart]) -> str | None:
    """The chart and its note; None where no language model was asked."""
    stage, rater = run.stages.get("rate"), run.config.rater
    if stage is None or not isinstance(rater, LlmRaterConfig) or "asked" not in stage.record["counts"]:
        return None
    counts, dollars = stage.record["counts"], rating_dollars(run)
    share = counts["asked"] / counts["samples"]
    whole = None if not dollars or not share else dollars / share
    scale = 1.0 if whole is None else whole
    here = quality_of(share)
    series = [
        _series("a share rated, refined", "accent", scale, whole, QUALITY),
        _series("all rated, used as they are", "tone-1", scale, whole, {1.0: AS_GIVEN}, alone=True),
    ]
    if here is not None:
        series.append(_series("this run's share", "ink", scale, whole, {share: here}, alone=True))
    title = "share of the pool rated" if whole is None else "US dollars for the ratings"
    charts.append({"id": "chart-rated-share", "kind": "tradeoff", "xTitle": title, "yTitle": _QUALITY,
                   "sharesX": whole is None, "series": series})  # fmt: skip
    paid = "" if dollars is None else f" for about ${dollars:,.2f}"
    return (
        f"This run rated {share:.0%} of the pool{paid}. The curve was measured on other texts, which "
        "people rated too (16 raters, eight sets: docs/truth.md), with curation=refine; it says what a share "
        "is worth, not how good this rater is."
    )


def _series(
    name: str, tone: str, scale: float, whole: float | None, points: dict[float, float], alone: bool = False
) -> dict[str, Any]:
    notes = [
        f"{name}: {share:.0%} of the pool"
        + ("" if whole is None else f", about ${whole * share:,.2f}")
        + f", {quality:.2f} sd"
        for share, quality in points.items()
    ]
    return {"name": name, "tone": tone, "x": [scale * share for share in points],
            "y": list(points.values()), "notes": notes, "alone": alone}  # fmt: skip
