"""What the page of a run says of its subset: where it is from, and what length and diversity do with it."""

from __future__ import annotations

from typing import Any

from ds2.artifacts.run import RunResult
from ds2.artifacts.subset_text import length_in_words, worth_in_words
from ds2.method.price import BoughtBy, Price, Worth
from ds2.report import facts
from ds2.report.page.html import Chart

_WAYS = {
    BoughtBy.long_tail: ("rarity, by weight", "tone-1", "weight {:g}"),
    BoughtBy.cover: ("a cover asked for", "tone-0", "cover {:.0%}"),
}
"""Way of buying diversity -> its line's name and colour, and what a point of it is."""


def selected(run: RunResult, charts: list[Chart]) -> dict[str, Any] | None:
    """Sources, scores and long-tail scores, pool against subset."""
    origin, by_score, tail = facts.sources(run), facts.score_shares(run), facts.long_tail(run)
    if origin is None:
        return None
    for name, mix, axis in (("sources", origin, ""), ("subset-scores", by_score, "score")):
        if mix is not None:
            pool = [] if mix.pool is None else [{"name": "pool", "y": mix.pool, "tone": "muted"}]
            series = [*pool, {"name": "subset", "y": mix.subset, "tone": "accent"}]
            spec = bars(f"chart-{name}", mix.labels, series, axis, "share")
            charts.append(spec | {"shares": True, "horizontal": name == "sources"})
    if tail is not None:
        centres, pool_counts, subset_counts = tail
        series = [
            {"name": "pool", "y": pool_counts, "tone": "muted"},
            {"name": "subset", "y": subset_counts, "tone": "accent"},
        ]
        spec = bars("chart-long-tail", centres, series, "long-tail score (higher = rarer)", "share")
        charts.append(spec | {"shares": True, "overlay": True})
    return {"sources": origin, "scores": by_score, "long_tail": tail}


def length(run: RunResult, charts: list[Chart]) -> str | None:
    """What the choice owes to length, in words and as a chart; None where that is not known."""
    report, mix = facts.subset_report(run), facts.length_shares(run)
    if report is None or report.length is None or mix is None:
        return None
    series: list[dict[str, Any]] = [
        {"name": "pool", "y": mix.pool, "tone": "muted"},
        {"name": "subset", "y": mix.subset, "tone": "accent"},
    ]
    title = f"{report.length.unit} of the answer, a tenth of the pool a bar"
    charts.append(bars("chart-length", mix.labels, series, title, "share") | {"shares": True})
    return length_in_words(report.length)


def price(run: RunResult, charts: list[Chart]) -> dict[str, Any] | None:
    """What diversity would cost, a chart for each thing that it buys; None where that is not known."""
    report = facts.subset_report(run)
    if report is None or not report.price:
        return None
    best = report.price[0].quality
    bought = {"cover": "cover", "variety": "mean long-tail score"}
    if report.price[0].cover is None:
        del bought["cover"]
    if len(report.sources) > 1:
        bought["kinds"] = "sources in the subset"
    for name, title in bought.items():
        series = [_line(way, report.price, name, best) for way in BoughtBy]
        here = [] if report.worth is None else [_point(report.worth, name, best)]
        charts.append(
            {
                "id": f"chart-price-{name}", "kind": "tradeoff", "xTitle": "mean score given up",
                "yTitle": title, "shares": name == "cover",
                "series": [line for line in series if line["x"]] + here,
            }
        )  # fmt: skip
    worth = None if report.worth is None else worth_in_words(report.worth)
    return {"bought": bought, "worth": worth}


def _line(way: BoughtBy, prices: list[Price], name: str, best: float) -> dict[str, Any]:
    title, tone, what = _WAYS[way]
    mine = [p for p in prices if p.by is way]
    return {
        "name": title, "tone": tone, "x": [best - p.quality for p in mine],
        "y": [getattr(p, name) for p in mine], "notes": [_note(what.format(p.weight), p) for p in mine],
    }  # fmt: skip


def _point(worth: Worth, name: str, best: float) -> dict[str, Any]:
    return {
        "name": "this subset", "tone": "ink", "x": [best - worth.quality], "y": [getattr(worth, name)],
        "notes": [_note("this subset", worth)], "alone": True,
    }  # fmt: skip


def _note(what: str, worth: Worth) -> str:
    return f"{what}: {worth_in_words(worth)}"


def bars(element: str, x: list[Any], series: list[dict[str, Any]], x_title: str, y_title: str) -> Chart:
    """A chart of bars, a series of them side by side."""
    return {"id": element, "kind": "bars", "x": x, "series": series, "xTitle": x_title, "yTitle": y_title}
