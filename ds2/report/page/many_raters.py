"""Raters side by side on the page of many runs: their score distributions and transition matrices."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ds2.report import facts
from ds2.report.choices import NONE
from ds2.report.page.comparison import Comparison

TONES = 10
"""Colours of a category, in `style.css`."""


def curations(compared: Comparison) -> list[dict[str, Any]]:
    """One entry an artifact of curation: its matrices, the scores before and after, its warnings."""
    items = []
    for artifact in compared.artifacts("curate"):
        run, record = compared.runs[artifact.runs[0]], artifact.stage.record
        scores = facts.scores(run)
        if scores is None or scores.curated is None:
            continue
        tall = max(max(counts) / (sum(counts) or 1) for counts in (scores.raw, scores.curated))
        items.append({
            "rater": run.config.rater.name, "method": run.config.curation.method.value, "runs": artifact.runs,
            "seeds": compared.seeds(artifact.runs), "settings": facts.flatten(record.get("config") or {}),
            "transitions": facts.transitions(run), "raw": scores.raw, "curated": scores.curated,
            "tall": tall or 1,
            "changed": scores.changed, "rated": scores.total - scores.unrated,
            "warnings": record.get("warnings") or [], "record": compared.records.cite(artifact.stage),
        })  # fmt: skip
    for item in items:
        item["detail"] = _detail(item, items)
    return sorted(items, key=lambda item: (item["method"], item["rater"], item["seeds"]))


def _detail(item: Mapping[str, Any], items: Sequence[Mapping[str, Any]]) -> str:
    """The settings in which it differs from others of its rater and method."""
    alike = [i["settings"] for i in items if (i["rater"], i["method"]) == (item["rater"], item["method"])]
    settings = item["settings"]
    differ = [key for key in settings if any(other.get(key) != settings[key] for other in alike)]
    return ", ".join(f"{key.split('.')[-1]} {settings[key]}" for key in differ)


def by_seed(items: Sequence[Mapping[str, Any]]) -> list[int]:
    """The seeds to choose from, where curation was done anew for each; none where all seeds share it."""
    names = {(item["rater"], item["method"], item["detail"]) for item in items}
    return sorted({seed for item in items for seed in item["seeds"]}) if len(names) < len(items) else []


def distributions(compared: Comparison, items: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Charts of the scores: as each rater gave them, and after each way to curate them.

    A rater has one colour in all.
    """
    if not items:
        return []
    named = [choice["rater"] for choice in compared.choices if choice["rater"] != NONE]
    raters = list(dict.fromkeys([*named, *(item["rater"] for item in items)]))
    methods = dict.fromkeys(item["method"] for item in items if item["transitions"])
    charts = []
    for name in ("rated", *methods):
        column = "raw" if name == "rated" else "curated"
        series: dict[Any, dict[str, Any]] = {}
        for item in items:
            if name not in ("rated", item["method"]):
                continue
            label = " · ".join(
                filter(None, [item["rater"], "" if name == "rated" else item["detail"]])
            )  # fmt: skip
            tone = f"tone-{raters.index(item['rater']) % TONES}"
            key = (label, *item[column], *item["seeds"])
            fresh = {"name": label, "y": item[column], "tone": tone, "seeds": item["seeds"]}
            drawn = series.setdefault(key, {**fresh, "runs": [], "records": []})
            drawn["runs"].extend(item["runs"])
            drawn["records"].append(item["record"])
        charts.append({
            "id": f"chart-scores-{name}", "kind": "bars", "shares": True, "series": list(series.values()),
            "x": [str(level) for level in range(max(len(item["raw"]) for item in items))],
            "title": "Scores as rated" if name == "rated" else f"Curated by {name}",
            "xTitle": "score", "yTitle": "share of the samples",
        })  # fmt: skip
    return charts
