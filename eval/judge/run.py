"""The comparison: pair the answers, ask the judge in both orders, count."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

from tqdm import tqdm

from ds2.errors import UserError
from eval.judge.rates import rates
from eval.judge.server import Chat, ask_all
from eval.judge.spec import JudgeSpec
from eval.judge.verdicts import Pair, combine, judge_prompt, pair_up, read_verdict


def compare(spec: JudgeSpec) -> dict[str, Any]:
    """Judge every pair in both orders; write `judgements.parquet` and `rates.json`; return the rates.

    A reply once received is kept in `replies.jsonl` at once and never asked for again. Pairs with a reply that holds no
    verdict are left out and counted as `unread`. Raises UserError for files that do not match and a server that is down.
    """
    try:
        pairs = pair_up(read_rows(spec.first), read_rows(spec.second))
    except ValueError as error:
        raise UserError(f"{spec.first} and {spec.second}: {error}") from error
    output = Path(spec.output_dir)
    output.mkdir(parents=True, exist_ok=True)
    chats = [judge_prompt(shown) for pair in pairs for shown in (pair, pair.swapped())]
    replies = _replies(chats, spec, output / "replies.jsonl")
    verdicts = [read_verdict(reply) for reply in replies]
    outcomes = [combine(as_a, as_b) for as_a, as_b in zip(verdicts[::2], verdicts[1::2], strict=True)]
    _write_judgements(pairs, outcomes, replies, output / "judgements.parquet")
    read = [(pair, outcome) for pair, outcome in zip(pairs, outcomes, strict=True) if outcome is not None]
    if not read:
        raise UserError(f"judge {spec.judge.model}: none of {len(chats)} replies holds a verdict")
    table = rates(
        [outcome for _, outcome in read],
        [pair.extra_length for pair, _ in read],
        [pair.id for pair, _ in read],
        resamples=spec.bootstrap,
        seed=spec.seed,
    )
    table |= {
        "unread": len(pairs) - len(read),
        "judge": spec.judge.model,
        "first": spec.first,
        "second": spec.second,
    }
    (output / "rates.json").write_text(json.dumps(table, indent=2), encoding="utf-8")
    return table


def read_rows(path: str) -> list[dict[str, Any]]:
    """Rows of a JSONL file of prompts or answers. UserError names file and line."""
    source = Path(path)
    if not source.is_file():
        raise UserError(f"{source}: no such file")
    rows = []
    for number, line in enumerate(source.read_text(encoding="utf-8").splitlines(), start=1):
        try:
            row = json.loads(line)
            rows.append({**row, "id": row["id"], "turns": list(row["turns"])})
        except (ValueError, KeyError, TypeError) as error:
            raise UserError(f"{source}, line {number}: not a row with `id` and `turns`") from error
    if not rows:
        raise UserError(f"{source}: no prompts")
    return rows


def _replies(chats: list[Chat], spec: JudgeSpec, log: Path) -> list[str]:
    keys = [_key(chat, spec) for chat in chats]
    known = _read_log(log)
    missing = [index for index, key in enumerate(keys) if key not in known]
    with (
        log.open("a", encoding="utf-8") as file,
        tqdm(total=len(missing), desc="judge", disable=not spec.progress) as bar,
    ):

        def keep(position: int, reply: str) -> None:
            key = keys[missing[position]]
            known[key] = reply
            file.write(json.dumps({"key": key, "reply": reply}, ensure_ascii=False) + "\n")
            file.flush()
            bar.update(1)

        ask_all([chats[index] for index in missing], spec.judge, keep)
    return [known[key] for key in keys]


def _read_log(log: Path) -> dict[str, str]:
    known = {}
    lines = log.read_text(encoding="utf-8").splitlines() if log.is_file() else []
    for line in lines:
        try:
            entry = json.loads(line)
        except ValueError:
            continue  # the last line of a run that was killed while writing it: asked for again
        known[entry["key"]] = entry["reply"]
    return known


def _key(chat: Chat, spec: JudgeSpec) -> str:
    judge = spec.judge
    whole = json.dumps([judge.model, judge.temperature, judge.max_new_tokens, chat], sort_keys=True)
    return hashlib.sha256(whole.encode()).hexdigest()[:24]


def _write_judgements(pairs: list[Pair], outcomes: list[int | None], replies: list[str], path: Path) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    rows = [
        {
            "id": pair.id, "turn": pair.turn, "outcome": outcome, "extra_length": pair.extra_length,
            "reply_shown_first": shown_first, "reply_shown_second": shown_second,
        }
        for pair, outcome, shown_first, shown_second in zip(pairs, outcomes, replies[::2], replies[1::2], strict=True)
    ]  # fmt: skip
    pq.write_table(pa.Table.from_pylist(rows), path)
