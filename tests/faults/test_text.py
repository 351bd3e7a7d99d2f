"""Names in data that a plot, a terminal, a page or a tracker could take for orders: they stay text."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from helpers.faults import CHAINS, TUNED, Place
from helpers.planted import planted_rows

NAMES = {
    "a formula": "a $x^$ b",
    "a formula without end": "$\\frac{",
    "control codes": "\x1b[2J\x1b]0;title\x07",
    "terminal markup": "[bold red]x[/]",
    "a script": "<script>alert(1)</script>",
    "an attribute": '" onmouseover="alert(1)',
    "the end of a script": "</script><img src=x onerror=alert(1)>",
    "a template": "{{ 7*7 }} ${oc.env:HOME} {0} %s",
    "text that turns": "\u202egnp.exe",
    "a path": "../../../../tmp/evil",
    "nothing to see": " \u200b ",
    "10,000 letters": "n" * 10_000,
}


@pytest.mark.parametrize("kind", NAMES)
def test_a_name_in_data_is_text_wherever_it_is_shown(kind, tmp_path, tally):
    name = NAMES[kind]
    place = Place(tmp_path / "place", (*CHAINS["tuned"], "paths.wandb=wandb"), TUNED, tracking="offline")
    rows = planted_rows(160, 6)
    for i, row in enumerate(rows):
        row |= {"id": f"{name}{i}", "source": name if i % 2 else f"s{i % 3}", name: i}
        row["messages"][0]["content"] += f" {name}" * (i % 2)  # a long one leaves nothing to train on
    (place.folder / "pool.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    before = set(tmp_path.rglob("evil*"))
    code, said = place.run()
    pages = [path.read_text() for path in place.store.glob("report/*/*.html")]
    shown = re.sub(r"\x1b\[[0-9;]*m", "", said)  # the console's own colours
    wrong = {
        "exit code": code != 0,
        "traceback": "Traceback" in said,
        "tracking": "tracking stopped" in said,
        "control codes on the terminal": bool(re.search(r"[\x00-\x08\x0b\x0c\x0e-\x1f\u202e]", shown)),
        "no page": not pages,
        "control codes in the page": any(re.search(r"[\x00-\x08\x0b-\x1f]", page) for page in pages),
        "markup in the page": kind.startswith(("a script", "the end"))
        and any(name in page for page in pages),
        "an evaluated name": kind == "a template" and any(" 49 " in page for page in pages),
        "files outside": set(tmp_path.rglob("evil*")) != before or Path("/tmp/evil").exists(),
    }
    found = [what for what, is_so in wrong.items() if is_so]
    tally("a hostile name in data", kind, "text" if not found else f"{found}: {said[-900:]}", not found)
