"""Rows of every shape, and what each is read as: the table of docs/pools.md, made by reading them.

python tests/helpers/row_shapes.py    # writes the table into docs/pools.md again
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from ds2.base.errors import UserError
from ds2.config import RowsPoolConfig
from ds2.pool.intake import read_pool
from ds2.pool.pool import Pool
from ds2.pool.samples import Place

U, A = {"role": "user", "content": "q"}, {"role": "assistant", "content": "a"}
H, G = {"from": "human", "value": "q"}, {"from": "gpt", "value": "a"}
S = {"role": "system", "content": "s"}
QA = "user `q`, assistant `a`"
CALL = {"id": "1", "type": "function", "function": {"name": "f", "arguments": '{"x": 1}'}}

READ: list[tuple[str, Any, str]] = [
    ("OpenAI, TRL, open-instruct", {"messages": [U, A]}, QA),
    ("with a system turn", {"messages": [S, U, A]}, f"system `s`, {QA}"),
    ("`developer`", {"messages": [{"role": "developer", "content": "s"}, U, A]}, f"system `s`, {QA}"),
    ("roles in capitals", {"messages": [U | {"role": "USER"}, A | {"role": "Assistant"}]}, QA),
    ("ShareGPT", {"conversations": [H, G]}, QA),
    ("ShareGPT with a system column", {"system": "s", "conversations": [H, G]}, f"system `s`, {QA}"),
    ("keys of the one under the name of the other", {"conversations": [U, A]}, QA),
    ("and the other way", {"messages": [H, G]}, QA),
    ("mixed in one row", {"messages": [H, A]}, QA),
    ("a null beside it (merged Parquet)", {"messages": None, "conversations": [H, G]}, QA),
    ("`conversation`", {"conversation": [U, A]}, QA),
    ("`dialogue`", {"dialogue": [U, A]}, QA),
    ("`dialog`", {"dialog": ["q", "a"]}, QA),
    ("`turns`", {"turns": [U, A]}, QA),
    ("`chat`", {"chat": [U, A]}, QA),
    ("UltraChat's `data`", {"data": ["q", "a"]}, QA),
    ("LIMA: texts take turns", {"conversations": ["q", "a"]}, QA),
    ("pairs", {"conversation": [["q", "a"], ["q2", "a2"]]}, f"{QA}, user `q2`, assistant `a2`"),
    ("a turn of both", {"conversation": [{"human": "q", "assistant": "a"}]}, QA),
    ("XTuner", {"conversation": [{"system": "s", "input": "q", "output": "a"}]}, f"system `s`, {QA}"),
    ("a list for each key", {"messages": {"from": ["human", "gpt"], "value": ["q", "a"]}}, QA),
    ("JSON as text (CSV)", {"messages": json.dumps([U, A])}, QA),
    ("text parts", {"messages": [U | {"content": [{"type": "text", "text": "q"}]}, A]}, QA),
    (
        "tool calls",
        {"messages": [U, {"role": "assistant", "content": None, "tool_calls": [CALL]},
                      {"role": "tool", "content": "r", "tool_call_id": "1"}, A]},
        'user `q`, assistant `<tool_call>\n{"name": "f", "arguments": {"x": 1}}\n</tool_call>`, '
        "tool `r`, assistant `a`",
    ),
    (
        "ShareGPT's tools",
        {"conversations": [H, {"from": "function_call", "value": '{"name": "f", "arguments": {"x": 1}}'},
                           {"from": "observation", "value": "r"}, G], "tools": "[]"},
        'user `q`, assistant `<tool_call>\n{"name": "f", "arguments": {"x": 1}}\n</tool_call>`, '
        "tool `r`, assistant `a`",
    ),
    ("reasoning", {"messages": [U, A | {"reasoning_content": "r"}]}, QA),
    (
        "OpenAI's `weight`",
        {"messages": [U, A | {"weight": 0}, U, A | {"weight": 1}]},
        "user `q`, assistant (not trained) `a`, user `q`, assistant `a`",
    ),
    (
        "`train`",
        {"messages": [U, A | {"train": False}, U, A]},
        "user `q`, assistant (not trained) `a`, user `q`, assistant `a`",
    ),
    ("Alpaca", {"instruction": "q", "input": "", "output": "a"}, QA),
    ("Alpaca with an input", {"instruction": "q", "input": "i", "output": "a"},
     "user `q\ni`, assistant `a`"),
    ("an input alone", {"instruction": "", "input": "q", "output": "a"}, QA),
    (
        "LLaMA-Factory's Alpaca",
        {"system": "s", "history": [["h", "b"]], "instruction": "q", "input": "", "output": "a"},
        f"system `s`, user `h`, assistant `b`, {QA}",
    ),
    ("Dolly", {"instruction": "q", "context": "c", "response": "a", "category": "qa"},
     "user `q\nc`, assistant `a`"),
    ("instruction and response", {"instruction": "q", "response": "a"}, QA),
    ("TRL's prompt and completion", {"prompt": "q", "completion": "a"}, QA),
    ("the same as messages", {"prompt": [S, U], "completion": [A]}, f"system `s`, {QA}"),
    ("prompt and response", {"prompt": "q", "response": "a"}, QA),
    ("question and answer", {"question": "q", "answer": "a"}, QA),
    ("OpenOrca", {"system_prompt": "s", "question": "q", "response": "a"}, f"system `s`, {QA}"),
    ("query and response", {"query": "q", "response": "a"}, QA),
    ("input and output", {"input": "q", "output": "a"}, QA),
    ("inputs and targets (FLAN)", {"inputs": "q", "targets": "a"}, QA),
    ("problem and solution", {"problem": "q", "solution": "a", "answer": "4"}, QA),
    ("names in capitals (CSV)", {"Question": "q", "Answer": "a"}, QA),
    ("a whole number as answer", {"question": "q", "answer": 4}, "user `q`, assistant `4`"),
    ("preference", {"prompt": "q", "chosen": "a", "rejected": "b"}, QA),
    ("preference as messages (TRL)", {"prompt": [U], "chosen": [A], "rejected": [A]}, QA),
    ("implicit prompt", {"chosen": [U, A], "rejected": [U, A]}, QA),
    ("LLaMA-Factory's preference", {"conversations": [H], "chosen": G, "rejected": G}, QA),
    (
        "OpenAI's preference",
        {"input": {"messages": [U], "tools": []}, "preferred_output": [A], "non_preferred_output": [A]},
        QA,
    ),
    ("TRL's KTO", {"prompt": "q", "completion": "a", "label": False}, QA),
    ("HH-RLHF", {"chosen": "\n\nHuman: q\n\nAssistant: a", "rejected": "\n\nHuman: q\n\nAssistant: b"}, QA),
    ("plain text", {"text": "t"}, "assistant `t`"),
    ("Guanaco", {"text": "### Human: q### Assistant: a".replace("###", "\n###").strip()}, QA),
    ("ChatML", {"text": "<|im_start|>user\nq<|im_end|>\n<|im_start|>assistant\na<|im_end|>"}, QA),
    ("an empty answer", {"messages": [U, A | {"content": ""}]}, "user `q`, assistant ``"),
    ("a system turn later", {"messages": [U, S, A]}, "user `q`, system `s`, assistant `a`"),
    ("a role twice", {"messages": [U, U, A]}, "user `q`, user `q`, assistant `a`"),
    ("the assistant first", {"messages": [A, U, A]}, "assistant `a`, user `q`, assistant `a`"),
    ("the user last", {"messages": [U, A, U]}, "user `q`, assistant `a`, user `q`"),
]  # fmt: skip
"""What it is, a row, and what it is read as."""

_IMAGE = {"type": "image_url", "image_url": {"url": "x"}}
REFUSED: list[tuple[str, Any, str]] = [
    ("an image part", {"messages": [U | {"content": [_IMAGE]}, A]},
     "messages[0].content[0]: is a part of type image_url; DS2 reads text"),
    ("an image column", {"images": ["x.png"], "messages": [U, A]},
     "images: holds media; DS2 reads text"),
    ("an unknown role", {"messages": [U | {"role": "judge"}, A]}, "messages[0].role: unknown role 'judge'"),
    ("a turn without text", {"messages": [{"role": "user"}, A]}, "messages[0].content: is missing"),
    ("text that is none", {"messages": [U | {"content": {"a": 1}}, A]}, "messages[0].content: is not text"),
    ("a call without a name", {"messages": [U, {"role": "assistant", "tool_calls": [{"id": "1"}]}]},
     "messages[1].tool_calls: has a call without a name"),
    ("an empty list", {"messages": []}, "messages: is not a list of turns"),
    ("only system", {"messages": [S]}, "messages: no user turn"),
    ("only the assistant", {"messages": [A]}, "messages: no user turn"),
    ("only the user", {"messages": [U]}, "messages: no assistant turn"),
    ("no answer after the question", {"messages": [A, U]}, "messages: no assistant turn after a user turn"),
    ("an empty question", {"messages": [U | {"content": " "}, A]},
     "messages[0].content: user turn is empty"),
    ("nothing to train", {"messages": [U, A | {"weight": 0}]},
     "messages: no answer is to be trained (weight 0)"),
    ("an answer that is missing", {"instruction": "q", "output": None}, "output: is missing"),
    ("no known fields", {"a": "q", "b": "a"},
     "(row): has none of the shapes that DS2 reads (docs/pools.md); its fields: a, b; pool.columns names "
     "them: pool.columns={user:FIELD,assistant:FIELD}"),
    ("several answers", {"question": "q", "answer": ["a", "b"]}, "answer: is a list of 2 texts"),
    ("half an emoji", {"messages": [U, A | {"content": "cut \ud83d"}]},
     "messages[1].content: holds half a character (a lone surrogate)"),
    ("an id that is an object", {"id": {"a": 1}, "messages": [U, A]},
     "id: is a dict, not a text or number"),
    ("a list", [1], "(row): is a list, not an object"),
]  # fmt: skip
"""What it is, a row, and field and reason of its refusal."""


def read(*rows: Any, **options: Any) -> Pool:
    """The pool of these rows."""
    placed = ((Place("pool.jsonl", number), row) for number, row in enumerate(rows, 1))
    return read_pool(placed, RowsPoolConfig(name="pool", **options), "pool", lambda file: file)


def shown(pool: Pool) -> list[str]:
    """Each sample's turns in one line, as raters and trainers see them."""
    return [
        ", ".join(f"{m.role}{'' if m.trained else ' (not trained)'} `{m.text}`" for m in sample.messages)
        for sample in pool.samples
    ]


def table() -> str:
    """Shape x result, Markdown."""
    lines = ["| shape | smallest row | what it is read as | said |", "|---|---|---|---|"]
    for name, row, _ in READ:
        pool = read(row)
        said = "; ".join(warning.removesuffix(" (1 row)") for warning in pool.warnings)
        lines.append(_line(name, row, f"{shown(pool)[0]}", said))
    for name, row, _ in REFUSED:
        lines.append(_line(name, row, "bad row: " + refusal(row), ""))
    return "\n".join(lines) + "\n"


def refusal(row: Any) -> str:
    """Field and reason."""
    try:
        read(row)
    except UserError as error:
        return str(error).partition(", field ")[2].partition("; mend the row")[0]
    return "accepted"


def _line(*cells: Any) -> str:
    texts = [cell if isinstance(cell, str) else f"`{_short(cell)}`" for cell in cells]
    return "| " + " | ".join(text.replace("\n", "⏎").replace("|", "\\|") for text in texts) + " |"


def _short(row: Any) -> str:
    """The row as JSON, the usual turns by their letters."""
    text = json.dumps(row)
    for letter, turn in {"U": U, "A": A, "H": H, "G": G, "S": S}.items():
        whole = json.dumps(turn)
        text = text.replace(whole, letter).replace(whole[:-1] + ", ", f"{{...{letter}, ")
    return text


DOCS = Path(__file__).parents[2] / "docs" / "pools.md"
BEGIN, END = "<!-- made by tests/helpers/row_shapes.py -->\n", "<!-- end -->"


def written() -> str:
    """The page with the table as it is now."""
    text = DOCS.read_text(encoding="utf-8")
    before, rest = text.split(BEGIN)
    return before + BEGIN + "\n" + table() + "\n" + END + rest.partition(END)[2]


if __name__ == "__main__":
    DOCS.write_text(written(), encoding="utf-8")
