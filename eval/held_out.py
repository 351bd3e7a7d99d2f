"""Rows that were kept apart: how well the model predicts their responses.

Row i has response tokens A_i, those on which fine-tuning would train, and what stands before them Q:

    loss_i = mean over t in A_i of -log p(a_t | Q, a_<t)         nats a token

A file's score is the mean of loss_i over its rows, with the standard error of that mean: every row counts
alike, however long. Less is better. A fine-tuned model and its base see the same tokens: the chat template is
the adapter's, that of the base model otherwise, and Tulu's where it has none.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ds2.artifacts.evaluation import RESPONSE_LOSS, AnsweredQuestion, Result
from ds2.artifacts.written_samples import present_fields
from ds2.base.errors import MissingInput, UserError
from ds2.base.json_files import read_json_lines
from ds2.base.progress import Bar
from ds2.models.pretrained import load_model
from ds2.models.reader import Encoded, LanguageModel
from ds2.models.trained_tokens import encode_samples, load_tokenizer, set_template
from eval.engines import load_adapter
from eval.spec import EvalSpec

TEMPLATE = "tulu"
"""Chat template of a model that has none."""
LOGITS_BYTES = 256 * 2**20
"""Of the rows that are read at once, at most, where that is more than one: memory goes to the logits of the
vocabulary.
"""
VERSION = 1.0
"""Raised when another number would come out for the same rows."""


def load(spec: EvalSpec) -> LanguageModel:
    """The model that reads the rows. Raises MissingInput where it is not there, UserError for an adapter of
    another base model.
    """
    import torch

    config = spec.config
    device = config.runtime.device
    if device == "auto":
        device = "cuda" if torch.cuda.is_available() else "cpu"
    tokenizer = load_tokenizer(spec.adapter or spec.base_model, None if spec.adapter else spec.revision)
    if tokenizer.chat_template is None:
        set_template(tokenizer, TEMPLATE)
    try:
        model = load_model(spec.base_model, spec.revision, dtype=getattr(torch, config.dtype))
    except (OSError, ValueError) as error:
        reason = str(error).splitlines()[0]
        raise MissingInput(f"base model {spec.base_model} cannot be loaded: {reason}") from error
    if spec.adapter:
        model = load_adapter(model, spec.adapter, spec.base_model)
    longest = getattr(model.config, "max_position_embeddings", None) or config.held_out_tokens
    most = min(config.held_out_tokens, longest)
    return LanguageModel(model.to(device).eval(), tokenizer, most, config.runtime.batch_size)


def measure(
    reader: LanguageModel, task: str, path: Path, spec: EvalSpec
) -> tuple[list[Result], list[AnsweredQuestion], int]:
    """The file's result, each row with its loss, and how many rows were left out, since they have no response
    within the most tokens. Raises UserError where none is left, or a row is no conversation.
    """
    rows = _conversations(path)
    texts = [_encoded(reader, messages) for messages in rows]
    read = [row for row, text in enumerate(texts) if text is not None]
    if not read:
        raise UserError(f"{path}: no row has a response within {reader.max_tokens} tokens")
    losses = _losses(reader, [texts[row] for row in read], task, spec.progress)
    stderr = float(losses.std(ddof=1)) / math.sqrt(len(losses)) if len(losses) > 1 else None
    result = Result(
        task=task, metric=RESPONSE_LOSS, value=float(losses.mean()), stderr=stderr, n=len(losses),
        num_fewshot=0, version=VERSION,
    )  # fmt: skip
    answered = [
        AnsweredQuestion(task, row, *_question_and_answer(rows[row]), "", float(loss))
        for row, loss in zip(read, losses, strict=True)
    ]
    return [result], answered, len(rows) - len(read)


def _losses(reader: LanguageModel, texts: Sequence[Any], task: str, progress: bool) -> Any:
    """(n,) loss of each row, those of similar length together."""
    losses = np.empty(len(texts))
    with Bar(total=len(texts), desc=f"read {task}", unit="row", disable=not progress) as bar:
        for rows in _batches(reader, [len(text.ids) for text in texts]):
            losses[rows] = reader.mean_nll([texts[row] for row in rows])
            bar.update(len(rows))
    return losses


def _batches(reader: LanguageModel, lengths: Sequence[int]) -> Iterator[list[int]]:
    """Rows of similar length together: as many as were asked for and as the logits leave room for."""
    most = LOGITS_BYTES // (4 * int(reader.model.config.vocab_size))
    batch: list[int] = []
    for row in sorted(range(len(lengths)), key=lengths.__getitem__):  # the last is the longest
        if batch and (len(batch) == reader.batch_size or (len(batch) + 1) * lengths[row] > most):
            yield batch
            batch = []
        batch.append(row)
    yield batch


def _encoded(reader: LanguageModel, messages: Sequence[dict[str, Any]]) -> Encoded | None:
    sample = encode_samples(reader.tokenizer, [messages], max_tokens=reader.max_tokens)
    return Encoded(sample.ids[0].astype(np.int64), sample.trained[0]) if sample.ids else None


def _conversations(path: Path) -> list[list[dict[str, Any]]]:
    conversations = []
    for number, row in read_json_lines(path):
        try:
            conversations.append([present_fields(turn) for turn in row["messages"]])
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise UserError(f"{path}, line {number}: not a row with `messages`") from error
    return conversations


def _question_and_answer(messages: Sequence[dict[str, Any]]) -> tuple[str, str]:
    """What is kept of a row for a reader: what was said before the last response, and that response."""
    at = max(i for i, turn in enumerate(messages) if turn["role"] == "assistant")
    asked = "\n".join(str(turn.get("content") or "") for turn in messages[:at])
    return asked, str(messages[at].get("content") or "")
