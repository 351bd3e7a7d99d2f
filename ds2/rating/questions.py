"""What is asked about a pool, and the key under which each answer is kept.

An ask is one rating that is wanted: a sample, a repeat, a try. Its key is a hash of all that decides the
answer: the prompt, the model, the sampling, the repeat and the try. A further try sends the identical
messages; only its key differs.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ds2.base.hashes import canonical_json
from ds2.config import LlmRaterConfig, Reading
from ds2.models.chat import Answer, ChatRequest
from ds2.models.chat.answer_log import AnswerLog
from ds2.pool import Pool
from ds2.rating import prompt
from ds2.rating.conversation import Room
from ds2.rating.parse import Outcome, Verdict, read
from ds2.rating.rubric import rubric_of
from ds2.rating.sample import drawn

REFUSALS = 3
"""Questions about one rating that the model declines, at most: each is paid for."""


@dataclass(frozen=True, slots=True)
class Ask:
    """One rating that is wanted."""

    position: int
    repeat: int
    attempt: int


class RatingQuestions:
    """The questions of one rater about one pool.

    Args:
        model: what identifies the model (its commit, content or name at a server).
        count_tokens: tokens of a text, for the cut of long conversations.

    Raises:
        UserError: the prompt leaves no room for a conversation, or its version is unknown.
    """

    def __init__(
        self, config: LlmRaterConfig, pool: Pool, model: Mapping[str, Any], count_tokens: Callable[[str], int]
    ) -> None:
        self._config, self._pool = config, pool
        self.rubric = rubric_of(config.prompt)
        self._room = Room(
            config.max_prompt_tokens, count_tokens, config.reading, config.prompt_version, self.rubric
        )
        decides = {
            "reading": config.reading,
            "temperature": config.temperature,
            "top_p": config.top_p,
            "top_k": config.top_k,
            "quantization": config.quantization,
            "max_new_tokens": config.max_new_tokens,
            "seed": config.seed,
        }
        sampling = {name: str(value) for name, value in decides.items()}
        self._hash = hashlib.sha256(canonical_json({"model": model, "sampling": sampling}))

    @property
    def tries(self) -> int:
        """Questions about one rating, at most; probabilities are the same each time."""
        return 1 if self._config.reading is Reading.expected else self._config.retries + 1

    def read(self, answer: Answer) -> Verdict:
        """The rating in an answer."""
        return read(answer, self._config.reading, self.rubric)

    def settled(self, attempt: int, outcome: Outcome) -> bool:
        """Whether a try's answer is the last: it has a rating, or the model would only decline again."""
        most = min(self.tries, REFUSALS) if outcome is Outcome.refused else self.tries
        return outcome.rated or attempt + 1 >= most

    def first(self) -> list[Ask]:
        """The first try at every rating that is wanted: each repeat of each sample in `rater.sample`, drawn
        at random.
        """
        return self.of(np.flatnonzero(drawn(self._pool.ids, self._config.sample, self._config.seed)))

    def of(self, positions: NDArray[np.int64]) -> list[Ask]:
        """The first try at each repeat of these samples."""
        return [Ask(position, r, 0) for position in positions.tolist() for r in range(self._config.repeats)]

    def request(self, ask: Ask) -> tuple[ChatRequest, bool]:
        """The question, and whether its conversation had to be cut."""
        rendered = prompt.as_data(self._pool.conversation(ask.position))
        data, cut = self._room.fit(rendered)
        chat = prompt.chat(data, self._config.reading, self._config.prompt_version, self.rubric)
        asked = self._hash.copy()
        asked.update(canonical_json([chat, ask.repeat, ask.attempt]))
        key = asked.hexdigest()[:32]
        return ChatRequest(key, chat, seed=int(key[:8], 16) >> 1), cut

    def history(self, log: AnswerLog | None, asks: list[Ask]) -> Iterator[tuple[ChatRequest, Answer | None]]:
        """Each question that the log answers, with its answer, and each that is to be asked next, once.

        Args:
            log: None: nothing was ever asked.
            asks: first tries at what is wanted.
        """
        seen: set[str] = set()
        for ask in asks:
            for attempt in range(self.tries):
                request, _ = self.request(replace(ask, attempt=attempt))
                answer = None if log is None else log.get(request.key)
                if request.key not in seen:
                    seen.add(request.key)
                    yield request, answer
                if answer is None or self.settled(attempt, self.read(answer).outcome):
                    break
