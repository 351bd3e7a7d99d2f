"""Questions of evaluation sets that stand in files of a person's own."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ds2.base.errors import UserError
from ds2.config import PoolFormat
from ds2.method.overlap import SHORT
from ds2.method.terms import words_of
from ds2.pool.errors import BadRow, NoRows
from ds2.pool.messages import TurnReader
from ds2.pool.reading import read_file
from ds2.pool.shapes import read_row

FIELDS = ("question", "query", "problem", "prompt", "instruction", "input", "goal", "ctx", "text")
"""Fields of a row that are its question, the first that it has."""


def question_of(row: Mapping[str, Any]) -> str | None:
    """The question of an evaluation set's row; a short one ("Which of these is true?") with its choices,
    where it has some; None where no field is known to hold one.
    """
    asked = next((row[name] for name in FIELDS if isinstance(row.get(name), str) and row[name].strip()), None)
    if asked is None:
        return None
    choices = row.get("choices")
    if isinstance(choices, Mapping):  # {"text": [...], "label": [...]}
        choices = choices.get("text")
    texts = choices if isinstance(choices, list) and len(words_of(asked)) < SHORT else []
    return "\n".join([asked, *(text for text in texts if isinstance(text, str))])


def read_questions(path: Path) -> list[str]:
    """The questions of a file: of text, one a line; of rows, each row's, or the user turns of its
    conversation.

    Raises:
        UserError: there are none, or a row that holds no question.
    """
    if path.suffix.lower() == ".txt":
        questions = [line.strip() for line in path.read_text(encoding="utf-8-sig").splitlines()]
    else:
        try:
            questions = [_asked(row, str(place)) for place, row in read_file(path)]
        except NoRows as error:
            listed = "a list of questions, one a line, has a name that ends in .txt"
            raise UserError(f"pool.decontaminate: {error}; {listed}") from error
    questions = [question for question in questions if question]
    if not questions:
        raise UserError(f"pool.decontaminate: {path} holds no question")
    return questions


def _asked(row: Any, place: str) -> str:
    if isinstance(row, str):
        return row
    if isinstance(row, Mapping):
        question = question_of(row)
        if question is not None:
            return question
        try:
            messages = read_row(dict(row), PoolFormat.auto, TurnReader()).messages
            return "\n".join(m.text for m in messages if m.role == "user")
        except BadRow:
            pass
    raise UserError(
        f"pool.decontaminate: {place} holds no question: a text, a row with one of the fields "
        f"{', '.join(FIELDS)}, or a conversation"
    )
