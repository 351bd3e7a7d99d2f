"""The rows of `sweep=small_real`: a pool, and rows kept apart from it, drawn from `paths.data` by a fixed
seed.

    pools/ds2_67k.jsonl.gz   67,013 rows of Dolly and Alpaca with the scores 0..5 of three raters
    pools/gsm8k_7k.jsonl.gz  GSM8K's training rows

No row has three scores of 5. Rows of high agreement are those to which every rater gave 4 or more (316), less
the tenth of them with the longest responses: what a rater likes for its length alone is no evidence.
`HELD_OUT` of the others are kept apart; the rest stay among the rows of which the pool is drawn, so that it
is not robbed of its best.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ds2.base.errors import MissingInput, UserError
from ds2.base.json_files import read_json_lines
from ds2.base.paths import writing
from ds2.base.words import number_of

FOLDER = "small_real"
"""Below the store: where the sweep looks for them."""
SEED = 0
POOL, HELD_OUT, GSM8K = 4000, 200, 300
"""Rows of the pool, and of each of the two files kept apart."""
HIGH = 4
"""The score that every rater of a row of high agreement gave at least."""
LONGEST = 0.1
"""The share of them, by length of response, that is not asked about."""
Row = dict[str, Any]


def prepare(data: Path, folder: Path) -> list[str]:
    """Write `pool.jsonl`, `high_agreement.jsonl` and `gsm8k_train.jsonl`; a line on each.

    Raises:
        MissingInput: a source is not in `data`.
        UserError: it has too few rows, or the folder cannot be written to.
    """
    rows = _read(data / "pools" / "ds2_67k.jsonl.gz")
    gsm8k = _read(data / "pools" / "gsm8k_7k.jsonl.gz")
    rng = np.random.default_rng(SEED)
    high = high_agreement(rows)
    apart = set(_draw(rng, high, HELD_OUT, "of high agreement"))
    pool = _draw(rng, [row for row in range(len(rows)) if row not in apart], POOL, "for the pool")
    files = {
        "pool": [rows[row] for row in pool],
        "high_agreement": [rows[row] for row in sorted(apart)],
        "gsm8k_train": [gsm8k[row] for row in _draw(rng, range(len(gsm8k)), GSM8K, "of GSM8K")],
    }
    with writing(folder):
        for name, chosen in files.items():
            text = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in chosen)
            (folder / f"{name}.jsonl").write_text(text, encoding="utf-8")
    return [f"{folder / name}.jsonl: {number_of(len(chosen), 'row')}" for name, chosen in files.items()]


def high_agreement(rows: Sequence[Row]) -> list[int]:
    """Rows to which every rater gave `HIGH` or more, less the `LONGEST` of them, in pool order."""
    agreed = [i for i, row in enumerate(rows) if min(row["scores"].values()) >= HIGH]
    by_length = sorted(agreed, key=lambda i: response_length(rows[i]))
    return sorted(by_length[: len(agreed) - int(LONGEST * len(agreed))])


def response_length(row: Row) -> int:
    """Characters of the assistant's turns."""
    return sum(len(turn["content"]) for turn in row["messages"] if turn["role"] == "assistant")


def _draw(rng: np.random.Generator, rows: Sequence[int], count: int, what: str) -> list[int]:
    """`count` of the rows, in their order."""
    if len(rows) < count:
        raise UserError(f"small_real needs {count:,} rows {what}; there are {len(rows):,}")
    return sorted(int(rows[i]) for i in rng.choice(len(rows), size=count, replace=False))


def _read(path: Path) -> list[Row]:
    if not path.is_file():
        raise MissingInput(
            f"{path} does not exist: give paths.data (or DS2_DATA), the folder that holds pools/{path.name}"
        )
    return [row for _, row in read_json_lines(path)]
