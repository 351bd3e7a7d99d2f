"""One model's answers to a file of prompts; each turn sees the model's own answers before it."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from ds2.base.errors import UserError
from ds2.base.json_files import write_json_lines
from ds2.base.threads import torch_threads
from ds2.models.attention import attention_of_any_length
from eval.engines import has_chat_template, load_engine
from eval.judge.run import read_rows
from eval.judge.spec import AnswerSpec
from eval.spec import EvalSpec


def write_answers(spec: AnswerSpec) -> list[dict[str, Any]]:
    """Greedy answers to every prompt; written as JSONL with `answers` beside `turns`, and returned.

    A prompt longer than the model takes beside its answer loses its beginning; how many did is said on
    stderr.

    Raises UserError for a model without a chat template, which has no notion of a turn, and for more new
    tokens than the model takes.
    """
    with torch_threads(spec.config.runtime.threads), attention_of_any_length():
        return _write_answers(spec, read_rows(spec.prompts))


def _write_answers(spec: AnswerSpec, rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    lm = load_engine(
        EvalSpec(
            spec.base_model,
            spec.revision,
            spec.adapter,
            str(Path(spec.output).parent),
            spec.seed,
            spec.config,
            progress=spec.progress,
        )
    )
    if not has_chat_template(lm):
        raise UserError(
            f"{spec.adapter or spec.base_model} has no chat template: it cannot be asked in turns"
        )
    room = _room(lm, spec)
    answers: list[list[str]] = [[] for _ in rows]
    cut = 0
    for turn in range(max(len(row["turns"]) for row in rows)):
        asked = [i for i, row in enumerate(rows) if len(row["turns"]) > turn]
        prompts = [lm.apply_chat_template(_history(rows[i]["turns"][: turn + 1], answers[i])) for i in asked]
        cut += sum(len(lm.tok_encode(prompt)) > room for prompt in prompts)
        for i, reply in zip(asked, _generate(lm, prompts, spec.max_new_tokens), strict=True):
            answers[i].append(reply.strip())
    if cut:
        print(
            f"eval: {cut} of {sum(map(len, answers))} prompts are longer than the {room} tokens that "
            f"max_new_tokens={spec.max_new_tokens} leaves of {lm.max_length}, and lost their beginning",
            file=sys.stderr,
        )
    answered = [{**row, "answers": given} for row, given in zip(rows, answers, strict=True)]
    write_json_lines(Path(spec.output), answered)
    return answered


def _room(lm: Any, spec: AnswerSpec) -> int:
    """Tokens that are left to a prompt."""
    room = int(lm.max_length) - spec.max_new_tokens
    if spec.max_new_tokens < 1 or room < 1:
        raise UserError(
            f"max_new_tokens={spec.max_new_tokens} must be at least 1 and below the {lm.max_length} tokens "
            f"that {spec.adapter or spec.base_model} takes"
        )
    return room


def _history(users: list[str], answers: list[str]) -> list[dict[str, str]]:
    messages = [{"role": "user", "content": users[0]}]
    for answer, user in zip(answers, users[1:], strict=True):
        messages += [{"role": "assistant", "content": answer}, {"role": "user", "content": user}]
    return messages


def _generate(lm: Any, prompts: list[str], max_new_tokens: int) -> list[str]:
    from lm_eval.api.instance import Instance

    options = {"until": [], "max_gen_toks": max_new_tokens, "do_sample": False, "temperature": 0.0}
    requests = [Instance("generate_until", {}, (prompt, options), i) for i, prompt in enumerate(prompts)]
    replies: list[str] = lm.generate_until(requests)
    return replies
