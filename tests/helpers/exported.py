"""Rows of every kind that trainers read in their own ways, as a finished subset, and exports of it.

python tests/helpers/exported.py    # writes the table into docs/export.md again
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from helpers.row_shapes import A, S, U, read

from ds2.artifacts.step import Outcome, Step
from ds2.artifacts.store import ArtifactStore
from ds2.artifacts.subset import write_subset
from ds2.config.selection import ExportForm
from ds2.export import Exported, export
from ds2.export.tally import Tally
from ds2.pool.pool import Origin
from ds2.selection.request import Choice

READ_FROM = Origin("pool.jsonl", "sha256:" + "0" * 64)
"""What the subsets below say they were read from."""
TOOL = {
    "type": "function",
    "function": {
        "name": "add",
        "description": "Add one",
        "parameters": {"type": "object", "properties": {"x": {"type": "integer"}}, "required": ["x"]},
    },
}


def call(identity: str, x: int = 1) -> dict[str, Any]:
    return {
        "id": identity, "type": "function",
        "function": {"name": "add", "arguments": json.dumps({"x": x})},
    }  # fmt: skip


def result(identity: str, text: str) -> dict[str, Any]:
    return {"role": "tool", "content": text, "tool_call_id": identity}


def user(text: str) -> dict[str, Any]:
    return U | {"content": text}


def answer(text: str, **fields: Any) -> dict[str, Any]:
    return A | {"content": text} | fields


KINDS: dict[str, dict[str, Any]] = {
    "plain": {"messages": [user("what?"), answer("that")]},
    "system": {"messages": [S, user("what?"), answer("that")]},
    "turns": {"messages": [user("one?"), answer("1"), user("two?"), answer("2")]},
    "untrained": {"messages": [user("one?"), answer("wrong", weight=0), user("sure?"), answer("right")]},
    "calls": {"messages": [user("1+1?"), answer("", tool_calls=[call("c1")]), result("c1", "2"),
                           answer("two")], "tools": [TOOL]},
    "two_calls": {"messages": [user("both?"), answer("let me see", tool_calls=[call("a"), call("b", 2)]),
                               result("a", "2"), result("b", "3"), answer("2 and 3")], "tools": [TOOL]},
    "reasoning": {"messages": [user("why?"), answer("so", reasoning_content="because")]},
    "user_last": {"messages": [user("what?"), answer("that"), user("thanks")]},
    "two_questions": {"messages": [user("what?"), user("and?"), answer("that")]},
    "answer_first": {"messages": [answer("hello"), user("what?"), answer("that")]},
    "system_later": {"messages": [user("what?"), answer("that"), S, user("so?"), answer("yes")]},
}  # fmt: skip
"""Id of a row -> the row."""
SKIPPED = {
    "two_questions": "two questions or two answers follow one another",
    "answer_first": "an answer comes first",
    "system_later": "a system turn after the first turn",
}
"""Rows that LLaMA-Factory skips -> why."""


def rows(names: Iterable[str] = KINDS) -> list[dict[str, Any]]:
    """The named rows, with fields of mixed kinds beside them."""
    mixed = [{"meta": {"x": 1}}, {"meta": "text"}, {"n": 1.5}, {}]
    return [{"id": name, "source": "web"} | KINDS[name] | mixed[i % 4] for i, name in enumerate(names)]


def finished_subset(root: Path, given: Iterable[dict[str, Any]]) -> Path:
    """The folder of a finished subset of these rows, in order, with their scores."""
    pool = replace(read(*given), origins={"pool.jsonl": READ_FROM})

    def compute(folder: Path) -> Outcome:
        scores = np.arange(len(pool), dtype=np.int16)
        choice = Choice(np.arange(len(pool)), ["so"] * len(pool), None)
        write_subset(folder, pool, choice, {"score": scores}, title="the title")
        return Outcome({"selected": len(pool), "pool": len(pool)})

    step = Step("select", 1, "mine-score", {"ids": pool.ids}, {"pool": "0"}, compute)
    return ArtifactStore(root).obtain(step).path


def exported(
    root: Path, form: str, given: Iterable[dict[str, Any]] | None = None, *, with_scores: bool = False
) -> Exported:
    """An export of these rows, or of every kind."""
    subset = finished_subset(root / "store", rows() if given is None else given)
    return export(subset, form, root / form, with_scores=with_scores)


def lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.open(encoding="utf-8")]


def decoded(tokenizer: Any, ids: list[int], labels: list[int]) -> tuple[str, str]:
    """The whole text of a trainer's row, and what is trained of it."""
    kept = [token for token, label in zip(ids, labels, strict=True) if label != -100]
    return tokenizer.decode(ids), tokenizer.decode(kept)


PAGE = Path(__file__).parents[2] / "docs" / "export.md"
_BEGIN, _END = "<!-- begin: tests/helpers/exported.py -->\n\n", "\n<!-- end -->"
_WORDS = {
    "plain": "question and answer", "system": "system prompt", "turns": "several turns",
    "untrained": "a turn of weight 0, a later one trained", "calls": "tools, a call and its result",
    "two_calls": "a text and two calls, two results", "reasoning": "reasoning beside the answer",
    "user_last": "the user last", "two_questions": "a role twice", "answer_first": "the assistant first",
    "system_later": "a system turn later",
}  # fmt: skip


def table() -> str:
    """Kind of row x form, Markdown: what becomes of each."""
    forms = [form.value for form in ExportForm if form is not ExportForm.hf]
    with tempfile.TemporaryDirectory() as folder:
        tallies = {form: exported(Path(folder), form).tally for form in forms}
    notes: dict[str, int] = {}
    lines = ["| row | " + " | ".join(forms) + " |", "|---" * (len(forms) + 1) + "|"]
    for name in KINDS:
        cells = [_cell(tallies[form], name, notes) for form in forms]
        lines.append(f"| {_WORDS[name]} | {' | '.join(cells)} |")
    return "\n".join([*lines, "", *(f"{number}. {note}" for note, number in notes.items())]) + "\n"


def _cell(tally: Tally, name: str, notes: dict[str, int]) -> str:
    found = [("left out", what) for what, ids in tally.left_out.items() if name in ids]
    found += [("differs", what) for what, ids in tally.differs.items() if name in ids]
    if not found:
        return "same"
    numbers = [notes.setdefault(what, len(notes) + 1) for _, what in found]
    return f"{found[0][0]} ({', '.join(map(str, numbers))})"


def page_with(made: str) -> str:
    """The page with this table in its place."""
    head, _, rest = PAGE.read_text(encoding="utf-8").partition(_BEGIN)
    return head + _BEGIN + made + _END + rest.partition(_END)[2]


if __name__ == "__main__":
    PAGE.write_text(page_with(table()), encoding="utf-8")
