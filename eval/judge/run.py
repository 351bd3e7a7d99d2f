"""The comparison: pair the answers, ask the judge in both orders, count."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

from ds2.base.errors import UserError
from ds2.base.hashes import canonical_json
from ds2.base.json_files import read_json_lines, write_json
from ds2.base.progress import Bar
from ds2.models.chat import Answer, AnswerForm, Chat, ChatRequest, Place, open_backend
from ds2.models.chat.answer_log import AnswerLog
from ds2.models.chat.served.address import check_address
from eval.judge.rates import rates
from eval.judge.spec import JudgeConfig, JudgeSpec
from eval.judge.verdicts import Pair, combine, judge_prompt, pair_up, read_verdict


def compare(spec: JudgeSpec) -> dict[str, Any]:
    """Judge every pair in both orders; write `judgements.parquet` and `rates.json`; return the rates.

    A reply once received is kept in the answer log of the output folder and never asked for again. Pairs with
    a reply that holds no verdict are left out and counted as `unread`. Raises UserError for files that do not
    match and a server that is down.
    """
    if spec.bootstrap < 0:
        raise UserError(f"bootstrap={spec.bootstrap} must not be negative; 0 gives no intervals")
    first, second = read_rows(spec.first), read_rows(spec.second)
    try:
        pairs = pair_up(first, second)
    except ValueError as error:
        raise UserError(f"{spec.first} and {spec.second}: {error}") from error
    output = Path(spec.output_dir)
    output.mkdir(parents=True, exist_ok=True)
    chats = [judge_prompt(shown) for pair in pairs for shown in (pair, pair.swapped())]
    replies = _replies(chats, spec, output)
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
    write_json(output / "rates.json", table)
    return table


def read_rows(path: str) -> list[dict[str, Any]]:
    """Rows of a JSONL file of prompts or answers, each with an id of its own and at least one turn. UserError
    names file and line.
    """
    source = Path(path)
    rows: list[dict[str, Any]] = []
    line_of: dict[str, int] = {}
    for number, row in read_json_lines(source):
        where = f"{source}, line {number}"
        if not _is_prompt(row):
            raise UserError(f"{where}: not a row with `id` and `turns`, a list of messages")
        earlier = line_of.setdefault(str(row["id"]), number)
        if earlier != number:
            raise UserError(
                f"{where}: id {row['id']!r} is that of line {earlier} too; answers are paired by id: "
                "give each prompt its own"
            )
        rows.append(row)
    if not rows:
        raise UserError(f"{source}: no prompts")
    return rows


def _is_prompt(row: Any) -> bool:
    if not isinstance(row, dict) or not isinstance(row.get("id"), str | int):
        return False
    turns = row.get("turns")
    return isinstance(turns, list) and bool(turns) and all(isinstance(turn, str) for turn in turns)


def _replies(chats: list[Chat], spec: JudgeSpec, folder: Path) -> list[str]:
    """A reply to every chat; equal chats share one. Raises UserError where some stay without."""
    keys = [_key(chat, spec.judge) for chat in chats]
    with AnswerLog(folder) as log:
        known = {key: answer for key in keys if (answer := log.get(key)) is not None}
        missing = {key: chat for key, chat in zip(keys, chats, strict=True) if key not in known}
        if missing:
            known |= _ask(missing, spec, log, folder)
    undelivered = [answer.text for answer in known.values() if answer.finish == "failed"]
    if undelivered:
        raise UserError(
            f"judge {spec.judge.model} did not answer {len(undelivered)} of {len(known)} questions "
            f"({undelivered[0]}); its replies so far are kept: run the same command again"
        )
    return [known[key].text for key in keys]


def _ask(missing: dict[str, Chat], spec: JudgeSpec, log: AnswerLog, folder: Path) -> dict[str, Answer]:
    replies = {}
    try:
        if spec.judge.backend.served:
            check_address(spec.judge.base_url, spec.judge.group)
        with (
            Bar(total=len(missing), desc="judge", disable=not spec.progress) as bar,
            open_backend(
                spec.judge, AnswerForm(), spec.judge.revision, Place(folder, bar.write, keep=log.add)
            ) as backend,
        ):
            requests = (ChatRequest(key, chat, seed=spec.judge.seed) for key, chat in missing.items())
            for answer in backend.answers(requests):
                log.add(answer)
                replies[answer.key] = answer
                bar.update()
    except UserError as error:
        raise UserError(f"judge: {error}") from error
    return replies


def _key(chat: Chat, judge: JudgeConfig) -> str:
    """Names a reply in the log, by all that decides it."""
    whole = [judge.model, judge.revision, judge.temperature, judge.max_new_tokens, list(chat)]
    rarer = {
        "top_p": judge.top_p,
        "top_k": judge.top_k,
        "quantization": judge.quantization,
        "seed": judge.seed or None,
    }
    given = {name: value for name, value in rarer.items() if value is not None}
    return hashlib.sha256(canonical_json([*whole, given] if given else whole)).hexdigest()[:32]


def _write_judgements(pairs: list[Pair], outcomes: list[int | None], replies: list[str], path: Path) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    rows = [
        {
            "id": pair.id, "turn": pair.turn, "outcome": outcome, "extra_length": pair.extra_length,
            "reply_shown_first": shown_first, "reply_shown_second": shown_second,
        }
        for pair, outcome, shown_first, shown_second in zip(
            pairs, outcomes, replies[::2], replies[1::2], strict=True
        )
    ]  # fmt: skip
    pq.write_table(pa.Table.from_pylist(rows), path)
