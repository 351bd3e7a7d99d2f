"""What the miniature's base model reads: right answers in textbooks, answers of mixed quality in chats.

Textbook: `PROMPT = ANSWER <eos>`, always right. Chat: `<|user|> PROMPT <|assistant|> ANSWER <eos>`, right
with probability `CHAT_RIGHT`. So the model knows the tasks but does not always answer as well as it could, as
a real base model does not; which answers it gives in chat is what fine-tuning on a selection can change.
"""

from __future__ import annotations

from collections.abc import Iterator
from random import Random
from typing import Final

from ds2.mini.language import (
    ERRORS,
    FAMILIES,
    PHRASINGS,
    STYLES,
    TOPICS,
    is_held_out,
    make_problem,
    write_prompt,
    wrong_answer,
)
from ds2.mini.tokenizer import ASSISTANT, END, USER, word_ids

CHAT_SHARE: Final = 0.25
"""Share of documents that are chats."""
CHAT_RIGHT: Final = 0.4
"""Share of chats whose answer is right."""
MAIN_ERROR: Final = "echo"
MAIN_ERROR_SHARE: Final = 0.45
"""Share of a chat's wrong answers that are of the main kind; the others are of any kind."""

Document = tuple[list[int], int]
"""Token ids, and where the answer begins."""

_TOPICS: Final = tuple(TOPICS)


def make_document(ids: dict[str, int], rng: Random) -> Document:
    """One document whose prompt is not held out."""
    family, topic = rng.choice(FAMILIES), rng.choice(_TOPICS)
    while True:
        problem = make_problem(family, topic, rng)
        prompt = write_prompt(problem, style=rng.choice(STYLES), phrasing=rng.choice(PHRASINGS[family]))
        if not is_held_out(prompt):
            break
    answer = problem.answer
    chat = rng.random() < CHAT_SHARE
    if chat and rng.random() >= CHAT_RIGHT:
        error = MAIN_ERROR if rng.random() < MAIN_ERROR_SHARE else rng.choice(ERRORS)
        answer = wrong_answer(problem, error, rng)
    opening = open_chat(prompt) if chat else open_textbook(prompt)
    return [ids[word] for word in f"{opening} {answer} {END}".split()], len(opening.split())


def open_textbook(prompt: str) -> str:
    """Text before a textbook's answer."""
    return f"{prompt} ="


def open_chat(prompt: str) -> str:
    """Text before a chat's answer; to the tokenizer the same as with Tulu's newlines."""
    return f"{USER} {prompt} {ASSISTANT}"


def make_batches(*, size: int, seed: int, chunk: int = 32) -> Iterator[list[Document]]:
    """Endless batches of documents of nearly equal length: `chunk` batches are drawn, sorted by length, cut,
    shuffled.
    """
    ids, rng = word_ids(), Random(f"ds2 mini corpus {seed}")
    while True:
        documents = sorted(
            (make_document(ids, rng) for _ in range(size * chunk)), key=lambda doc: len(doc[0])
        )
        batches = [documents[i : i + size] for i in range(0, len(documents), size)]
        rng.shuffle(batches)
        yield from batches
