"""The report on a subset as Markdown, for people."""

from __future__ import annotations

from collections.abc import Mapping

from ds2.artifacts.subset_report import KNOWN, QUANTILES, Row, SubsetReport
from ds2.method.length import LengthOfSubset
from ds2.method.price import BoughtBy, Worth

_SHOWN = 600
"""Characters of a message."""
_FILES_SHOWN = 10


def markdown(report: SubsetReport) -> str:
    """The report for a person."""
    size, taken = report.pool, report.selected
    lines = [f"# {report.title}", "", f"{taken:,} of {size:,} samples.", "", *file_lines(report), ""]
    counts = {name: (source.pool, source.subset) for name, source in report.sources.items()}
    lines += _table("source", counts, size, taken)
    for name, levels in report.scores.items():
        shown = {
            ("unrated" if level == "-1" else level): (levels.pool.get(level, 0), levels.subset.get(level, 0))
            for level in sorted(levels.pool.keys() | levels.subset.keys(), key=int)
        }
        lines += _table("score given" if name == "score" else "curated score", shown, size, taken)
    lines += ["| characters | mean | " + " | ".join(f"{q} %" for q in QUANTILES) + " |", "|---" * 7 + "|"]
    for name, summary in (("pool", report.characters.pool), ("subset", report.characters.subset)):
        cells = [summary["mean"], *(summary[f"q{q}"] for q in QUANTILES)]
        lines.append(f"| {name} | " + " | ".join(f"{cell:,.0f}" for cell in cells) + " |")
    lines += [] if report.length is None else ["", length_in_words(report.length)]
    lines += _price_lines(report) if report.price else []
    if report.next_in_line:
        lines += ["", "## Next in line, not selected", ""]
        lines += [f"- {_label(row)}: {_cut(row.messages[0]['content'], 160)}" for row in report.next_in_line]
    lines += ["", f"## {len(report.to_read)} rows to read", ""]
    for row in report.to_read:
        lines += [f"### {row.rank}. {_label(row)}", ""]
        lines += [f"**{m['role']}** {_cut(m['content'], _SHOWN)}\n" for m in row.messages]
    return "\n".join(lines) + "\n"


def file_lines(report: SubsetReport) -> list[str]:
    """What the pool was read from, with its hashes, as items of a list."""
    items = [f"- Read from `{name}`, `{digest}`" for name, digest in report.files.items()]
    more = len(items) - _FILES_SHOWN
    return items if more <= 0 else [*items[:_FILES_SHOWN], f"- and {more:,} more files"]


def length_in_words(length: LengthOfSubset) -> str:
    """What scores, order and subset owe to length, in plain sentences."""
    told = [
        f"{name} {owed.spearman:+.2f}"
        for name, owed in (("given score", length.orders.given), ("order", length.orders.order))
        if owed is not None
    ]
    told += [] if length.selection is None else [f"being chosen {length.selection:+.2f}"]
    said = [f"Spearman correlation with the {length.unit} of the answer: {', '.join(told)}."] if told else []
    if length.orders.order is not None and length.kept is not None:
        said.append(
            f"Length accounts for {1 - length.orders.order.left:.0%} of the order; {length.kept:.0%} of its "
            "head (as many as the subset has) stays when samples are compared with others of their length."
        )
    said.append(f"Median {length.unit}: {length.pool:,.0f} in the pool, {length.subset:,.0f} in the subset.")
    return " ".join(said)


_BOUGHT = {
    BoughtBy.long_tail: ("weight", "rarity weighed beside quality (`selection.diversity=long_tail`)"),
    BoughtBy.cover: ("cover asked for", "a cover of the pool asked for (`selection.diversity=cover`)"),
}


def _price_lines(report: SubsetReport) -> list[str]:
    lines = ["", "## What diversity would cost", "", "Subsets of this size."]
    if report.worth is not None:
        lines[-1] = f"Subsets of this size; this one: {worth_in_words(report.worth)}."
    for by, (head, what) in _BOUGHT.items():
        prices = [p for p in report.price if p.by is by]
        if not prices:
            continue
        lines += ["", f"By {what}:", ""]
        lines += [f"| {head} | mean quality | mean long tail | cover | sources | shared with weight 0 |"]
        lines += ["|---|---|---|---|---|---|"]
        lines += [
            f"| {p.weight:.3g} | {p.quality:.3f} | {p.variety:.4f} | {_share(p.cover)} | {p.kinds} | "
            f"{p.shared:.0%} |"
            for p in prices
        ]
    return lines


def worth_in_words(w: Worth) -> str:
    """A subset's quality and what it has of diversity."""
    covered = "" if w.cover is None else f"cover {w.cover:.0%}, "
    sources = "1 source" if w.kinds == 1 else f"{w.kinds} sources"
    return (
        f"mean quality {w.quality:.3f}, mean long tail {w.variety:.4f}, {covered}{sources}, "
        f"{w.shared:.0%} of it what quality alone takes"
    )


def _share(value: float | None) -> str:
    return "" if value is None else f"{value:.1%}"


def _table(name: str, counts: Mapping[str, tuple[int, int]], size: int, taken: int) -> list[str]:
    head = [f"| {name} | pool | subset | share of pool | share of subset |", "|---|---|---|---|---|"]
    rows = [
        f"| {key} | {pool:,} | {subset:,} | {pool / size:.1%} | {subset / taken:.1%} |"
        for key, (pool, subset) in counts.items()
    ]
    return [*head, *rows, ""]


def _label(row: Row) -> str:
    told = [(name, getattr(row, name)) for name in KNOWN]
    numbers = [f"{name.replace('_', ' ')} {value:.4g}" for name, value in told if value is not None]
    return ", ".join([f"`{row.id}` ({row.source})", *numbers])


def _cut(text: str, limit: int) -> str:
    flat = " ".join(text.split())
    return flat if len(flat) <= limit else flat[:limit] + " ..."
