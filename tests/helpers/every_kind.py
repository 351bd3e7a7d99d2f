"""One sample of a pool in every shape and kind of file: each must lead to the same subset.

    python tests/helpers/every_kind.py [--rows 300] [--budget 30]

Takes rows of the 67k pool (a single question and answer each, with a real rater's score), writes them once
for each shape and kind of file, runs `ds2 until=select` on each and compares the selected ids with those of
the chat messages that they were made of. Writes benchmarks/results/pool-shapes.md.
"""

from __future__ import annotations

import argparse
import bz2
import csv
import gzip
import io
import json
import lzma
import os
import tempfile
from collections.abc import Callable, Mapping, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

from ds2.artifacts.subset import read_subset
from ds2.config.compose import compose
from ds2.runs.chain import Chain

RESULTS = Path(__file__).resolve().parents[2] / "benchmarks" / "results"
Row = dict[str, Any]


def _roles(q: str, a: str) -> list[Row]:
    return [{"role": "user", "content": q}, {"role": "assistant", "content": a}]


def _from(q: str, a: str) -> list[Row]:
    return [{"from": "human", "value": q}, {"from": "gpt", "value": a}]


def _split(q: str) -> tuple[str, str]:
    """The question's first line, and the rest."""
    first, _, rest = q.partition("\n")
    return (first, rest) if first.strip() and rest.strip() else (q, "")


SHAPES: Mapping[str, Callable[[str, str], Row]] = {
    "chat messages": lambda q, a: {"messages": _roles(q, a)},
    "ShareGPT": lambda q, a: {"conversations": _from(q, a)},
    "messages with from and value": lambda q, a: {"messages": _from(q, a)},
    "conversations with role and content": lambda q, a: {"conversations": _roles(q, a)},
    "roles in capitals": lambda q, a: {
        "messages": [{"role": "Human", "content": q}, {"role": "ASSISTANT", "content": a}]
    },
    "content parts": lambda q, a: {
        "messages": [
            {**turn, "content": [{"type": "text", "text": turn["content"]}]} for turn in _roles(q, a)
        ]
    },
    "messages as JSON text": lambda q, a: {"messages": json.dumps(_roles(q, a))},
    "a list for each key": lambda q, a: {"messages": {"role": ["user", "assistant"], "content": [q, a]}},
    "texts that take turns": lambda q, a: {"conversations": [q, a]},
    "pairs": lambda q, a: {"conversation": [[q, a]]},
    "Alpaca": lambda q, a: {"instruction": q, "input": "", "output": a},
    "Alpaca with inputs": lambda q, a: {"instruction": _split(q)[0], "input": _split(q)[1], "output": a},
    "Dolly": lambda q, a: {"instruction": _split(q)[0], "context": _split(q)[1], "response": a},
    "prompt and completion": lambda q, a: {"prompt": q, "completion": a},
    "prompt and completion, messages": lambda q, a: {
        "prompt": _roles(q, a)[:1], "completion": _roles(q, a)[1:],
    },
    "question and answer": lambda q, a: {"question": q, "answer": a},
    "query and response": lambda q, a: {"query": q, "response": a},
    "inputs and targets": lambda q, a: {"inputs": q, "targets": a},
    "problem and solution": lambda q, a: {"problem": q, "solution": a},
    "preference": lambda q, a: {"prompt": q, "chosen": a, "rejected": "no"},
    "preference, messages": lambda q, a: {"chosen": _roles(q, a), "rejected": _roles(q, "no")},
    "LLaMA-Factory's preference": lambda q, a: {
        "conversations": _from(q, a)[:1], "chosen": _from(q, a)[1], "rejected": _from(q, "no")[1],
    },
    "ChatML text": lambda q, a: {
        "text": f"<|im_start|>user\n{q}<|im_end|>\n<|im_start|>assistant\n{a}<|im_end|>\n"
    },
    "columns of other names": lambda q, a: {"frage": q, "antwort": {"text": a}},
}  # fmt: skip
"""Name -> a question and its answer as a row of that shape."""
OPTIONS = {"columns of other names": ["pool.columns={user: frage, assistant: antwort.text}"]}


def _lines(rows: Sequence[Row]) -> str:
    return "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)


def _table(rows: Sequence[Row], delimiter: str) -> bytes:
    text = io.StringIO()
    names = ["id", "source", "score", "instruction", "input", "output"]
    table = csv.DictWriter(text, names, delimiter=delimiter)
    table.writeheader()
    table.writerows(_alpaca(rows))
    return text.getvalue().encode()


def _alpaca(rows: Sequence[Row]) -> list[Row]:
    told = ([turn["content"] for turn in row["messages"]] for row in rows)
    kept = ({key: row[key] for key in ("id", "source", "score")} for row in rows)
    return [k | {"instruction": q, "input": "", "output": a} for k, (q, a) in zip(kept, told, strict=True)]


def _zstd(data: bytes) -> bytes:
    import pyarrow as pa

    packed: bytes = pa.compress(data, codec="zstd", asbytes=True)
    return packed


BYTES: Mapping[str, tuple[str, Callable[[Sequence[Row]], bytes]]] = {
    "JSON Lines, CRLF": ("p.jsonl", lambda rows: _lines(rows).replace("\n", "\r\n").encode()),
    "JSON Lines, byte order mark": ("p.jsonl", lambda rows: b"\xef\xbb\xbf" + _lines(rows).encode()),
    "JSON Lines, UTF-16": ("p.jsonl", lambda rows: _lines(rows).encode("utf-16")),
    "JSON Lines under .json": ("p.json", lambda rows: _lines(rows).encode()),
    "gzip": ("p.jsonl.gz", lambda rows: gzip.compress(_lines(rows).encode())),
    "zstd": ("p.jsonl.zst", lambda rows: _zstd(_lines(rows).encode())),
    "xz": ("p.jsonl.xz", lambda rows: lzma.compress(_lines(rows).encode())),
    "bzip2": ("p.jsonl.bz2", lambda rows: bz2.compress(_lines(rows).encode())),
    "JSON list": ("p.json", lambda rows: json.dumps(rows).encode()),
    "JSON list, indented, under .jsonl": ("p.jsonl", lambda rows: json.dumps(rows, indent=2).encode()),
    "JSON object with data": ("p.json", lambda rows: json.dumps({"data": rows}).encode()),
    "CSV": ("p.csv", lambda rows: _table(rows, ",")),
    "CSV with semicolons": ("p.csv", lambda rows: _table(rows, ";")),
    "TSV": ("p.tsv", lambda rows: _table(rows, "\t")),
    "a name that needs quotes": ("数据 (1), a=b [x] {y}.jsonl", lambda rows: _lines(rows).encode()),
}  # fmt: skip
"""Kind of file -> its name, and what stands in it."""


def _parquet(folder: Path, rows: Sequence[Row]) -> Path:
    import pandas as pd

    pd.DataFrame(rows).to_parquet(folder / "p.parquet")
    return folder / "p.parquet"


def _arrow(folder: Path, rows: Sequence[Row]) -> Path:
    import pandas as pd

    pd.DataFrame(rows).to_feather(folder / "p.arrow")
    return folder / "p.arrow"


def _saved(folder: Path, rows: Sequence[Row]) -> Path:
    import datasets

    datasets.Dataset.from_list(list(rows)).save_to_disk(str(folder / "saved"), num_shards=3)
    return folder / "saved"


def _shards(folder: Path, rows: Sequence[Row]) -> Path:
    third = len(rows) // 3
    parts = (rows[:third], rows[third : 2 * third], rows[2 * third :])
    for part, name in zip(parts, ("a/x.jsonl", "b.jsonl", "c.json"), strict=True):
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_text(_lines(part), encoding="utf-8")
    (folder / "README.md").write_text("# shards")
    (folder / "dataset_info.json").write_text('{"mine": {"file_name": "b.jsonl"}}')
    (folder / "._b.jsonl").write_bytes(b"\0\1")
    return folder


def _mixed(folder: Path, rows: Sequence[Row]) -> Path:
    """Each row in the next shape."""
    shapes = [name for name in SHAPES if name not in OPTIONS]
    mixed = [shaped(row, shapes[i % len(shapes)]) for i, row in enumerate(rows)]
    (folder / "p.jsonl").write_text(_lines(mixed), encoding="utf-8")
    return folder / "p.jsonl"


PLACES: Mapping[str, Callable[[Path, Sequence[Row]], Path]] = {
    "Parquet": _parquet,
    "Arrow": _arrow,
    "datasets.save_to_disk": _saved,
    "a folder of shards, and other files": _shards,
    "every shape in one file": _mixed,
}


def shaped(row: Row, shape: str) -> Row:
    """A row of chat messages in another shape, with its other fields."""
    question, answer = (turn["content"] for turn in row["messages"])
    return {key: row[key] for key in ("id", "source", "score")} | SHAPES[shape](question, answer)


def written(folder: Path, rows: Sequence[Row], kind: str) -> Path:
    """The rows in a shape (as JSON Lines) or kind of file, in a folder of its own."""
    folder.mkdir()
    if kind in SHAPES:
        (folder / "p.jsonl").write_text(_lines([shaped(row, kind) for row in rows]), encoding="utf-8")
        return folder / "p.jsonl"
    if kind in BYTES:
        name, content = BYTES[kind]
        (folder / name).write_bytes(content(rows))
        return folder / name
    return PLACES[kind](folder, rows)


KINDS = (*SHAPES, *BYTES, *PLACES)


def selected(path: Path, budget: int, folder: Path, options: Sequence[str] = ()) -> list[str]:
    """The ids that a run on this pool selects, best first."""
    config = compose([
        "pool=jsonl", "pool.path=given below", "pool.name=sample", "rater=from_column", "rater.column=score",
        f"budget.samples={budget}", "until=select", "tracking=none", "runtime.progress=false",
        f"paths.artifacts={folder}", *options,
    ])  # fmt: skip
    config.pool.path = str(path)  # type: ignore[attr-defined]
    ids: list[str] = read_subset(Chain(config).run().stages["select"].path, "id")["id"].tolist()
    return ids


def sample(count: int) -> list[Row]:
    """Rows of the 67k pool, evenly spread, with the score that GPT-4o-mini gave."""
    data = Path(os.environ.get("DS2_DATA", Path(__file__).parents[3] / "shared"))
    with gzip.open(data / "pools" / "ds2_67k.jsonl.gz", "rt", encoding="utf-8") as lines:
        rows = [json.loads(line) for line in islice(lines, 0, None, 67_000 // count)][:count]
    return [
        {"id": row["id"], "source": row["source"], "score": row["scores"]["gpt_4o_mini"],
         "messages": row["messages"]}
        for row in rows
    ]  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--rows", type=int, default=300)
    parser.add_argument("--budget", type=int, default=30)
    options = parser.parse_args()
    rows = sample(options.rows)
    lines = [
        f"{len(rows)} rows of the 67k pool, {options.budget} selected by the default chain "
        "(`rater=from_column until=select`); `python tests/helpers/every_kind.py`.", "",
        "| shape or file | samples selected | of them as from chat messages |", "|---|---:|---:|",
    ]  # fmt: skip
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        expected: list[str] = []
        for number, kind in enumerate(KINDS):
            path = written(root / str(number), rows, kind)
            ids = selected(path, options.budget, root / f"store{number}", OPTIONS.get(kind, ()))
            expected = expected or ids
            same = len(set(ids) & set(expected))
            lines.append(f"| {kind} | {len(ids)} | {same}{'' if ids == expected else ' (another order)'} |")
            print(lines[-1], flush=True)
    (RESULTS / "pool-shapes.md").write_text("\n".join(lines) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
