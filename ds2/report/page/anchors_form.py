"""The page on which a person scores anchors: one self-contained HTML file that opens from disk and saves
the anchors' CSV.

The rater's own score is not on it, so that it cannot sway the person. Answers stay in the browser's storage
until they are saved.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

from ds2.base.errors import UserError
from ds2.base.hashes import fingerprint
from ds2.pool.anchors_file import COLUMNS, weight_text
from ds2.report.page.html import _environment, asset, script_safe_json


@dataclass(frozen=True)
class AnchorItem:
    """One sample to be scored."""

    id: str
    row: int
    weight: float
    turns: Sequence[tuple[str, str]]
    """(role, text) of each turn."""


def anchors_form(
    items: Sequence[AnchorItem],
    *,
    pool: str,
    criteria: str,
    low: int = 0,
    high: int = 5,
    file_name: str = "anchors.csv",
) -> str:
    """The finished HTML.

    items: the anchors in the order they are shown and saved in. pool: the pool's content hash, saved beside
    each answer. criteria: what the rater was asked to judge, as plain text. low, high: its scale.
    file_name: the name the browser saves under. UserError for no items or a scale that keys cannot reach.
    """
    if not items:
        raise UserError("there are no anchors to ask about")
    if low < 0 or high - low < 1 or high > 10:
        raise UserError(
            f"the form asks on whole scales within 0..10 of two levels or more, got {low}..{high}"
        )
    shown = [
        {"id": i.id, "row": i.row, "weight": weight_text(i.weight), "turns": [list(turn) for turn in i.turns]}
        for i in items
    ]
    script = '"use strict";\n' + asset("anchors.js")
    asked = fingerprint({"pool": pool, "scale": [low, high], "rows": [i.row for i in items]})
    data = {
        "columns": COLUMNS,
        "pool": pool,
        "file": file_name,
        "levels": [{"score": score, "key": key_of(score, low)} for score in range(low, high + 1)],
        "items": shown,
        "storage": f"ds2-anchors-{asked}",
    }
    html: str = _environment().get_template("anchors.html").render(
        count=len(items),
        criteria=criteria,
        low=low,
        high=high,
        style=asset("style.css"),
        script=script,
        script_hash=base64.b64encode(hashlib.sha256(script.encode()).digest()).decode(),
        page_json=script_safe_json(data),
    )  # fmt: skip
    return html


def key_of(score: int, low: int) -> str:
    """The key that gives a score: its digit; for 10 the 0 next to the 9, or x where 0 is a score too."""
    if score < 10:
        return str(score)
    return "0" if low > 0 else "x"
