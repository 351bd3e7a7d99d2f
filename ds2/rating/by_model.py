"""A language model as rater: requests out, answers logged and read, the unreadable asked again.

Rounds: the first asks about every sample that the log does not know, each further one about those whose
answer could not be read, until `rater.retries` are spent. Requests are built as the back end draws them, so
memory holds the pool, the ratings and what is in flight.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from ds2.base.engine import HERE, Engine
from ds2.base.errors import UserError
from ds2.base.progress import Bar
from ds2.config import ChatBackend, LlmRaterConfig, Reading, ScaleConfig
from ds2.method.agreement import between_repeats
from ds2.models.chat import Answer, AnswerForm, Backend, ChatRequest, Place, open_backend
from ds2.models.chat.answer_log import AnswerLog
from ds2.models.chat.served.address import check_address
from ds2.models.chat.spread import open_spread
from ds2.pool import Pool
from ds2.rating import prompt
from ds2.rating.cost import Budget
from ds2.rating.next_rows import batches
from ds2.rating.outcomes import NOT_ASKED, ModelRatings, RatingReport, UnratedSample
from ds2.rating.parse import THINKING, Outcome, Verdict
from ds2.rating.questions import Ask, RatingQuestions
from ds2.rating.raters import RaterScores, Ratings, apply_unrated
from ds2.rating.rubric import rubric_of
from ds2.rating.scale import compress

FOLDER = "answers"
"""Where the answer log is, below the artifact store's root."""
_POSITIVE = (
    "concurrency", "batch_size", "timeout", "requests_per_minute", "tokens_per_minute", "poll_seconds",
    "batch_requests", "batch_megabytes",
)  # fmt: skip
_EVIDENCE = 500
"""First answers, and each further time so many, after which a rater that cannot succeed is stopped."""
_FEW = 20
"""First answers that, if not one has a rating, end the stage once each sample was asked about."""
_CUT = 8
"""First answers that, if all were cut off, end the stage: the limit is too low for this model."""


def check(config: LlmRaterConfig, scale: ScaleConfig) -> None:
    """Refuse settings that cannot work, before anything is asked. Raises UserError."""
    rubric = rubric_of(config.prompt)
    prompt.instructions(config.reading, config.prompt_version, rubric)
    if config.prompt is not None and not rubric.low <= scale.low < scale.high <= rubric.high:
        raise UserError(
            f"rater.prompt={config.prompt} asks for ratings {rubric.low}..{rubric.high}, "
            f"scale.low={scale.low} and scale.high={scale.high} are not within: give "
            f"scale.low={rubric.low} scale.high={rubric.high}"
        )
    digits = rubric.digits
    if config.reading is Reading.expected and (not digits or scale.high > int(digits[-1])):
        raise UserError(
            f"rater.reading=expected reads ratings {digits[:1]}..{digits[-1:]}, scale.high={scale.high} is "
            "beyond; use rater.reading=answer or a lower scale.high"
        )
    least = (
        ("retries", config.retries, 0),
        ("repeats", config.repeats, 1),
        ("max_new_tokens", config.max_new_tokens, 1),
    )
    for name, given, low in least:
        if given < low:
            raise UserError(f"rater.{name}={given} must be at least {low}")
    if not 0 < config.sample <= 1:
        raise UserError(f"rater.sample={config.sample:g} must be a share above 0, up to 1")
    if not 0 <= config.max_unrated <= 1:
        raise UserError(f"rater.max_unrated={config.max_unrated:g} must be a share from 0 to 1")
    _check_batches(config)
    for name in _POSITIVE:
        if (value := getattr(config.runtime, name)) is not None and value <= 0:
            raise UserError(f"rater.runtime.{name}={value} must be positive")
    if config.backend.served:
        check_address(config.base_url, config.group)


def _check_batches(config: LlmRaterConfig) -> None:
    if config.batches < 1 or (config.batches > 1 and config.sample == 1):
        raise UserError(
            f"rater.batches={config.batches} must be at least 1, and 1 unless rater.sample is below 1"
        )
    if config.stop_when is not None and (config.batches < 3 or not 0 < config.stop_when <= 1):
        raise UserError(
            f"rater.stop_when={config.stop_when:g} must be above 0 and at most 1, and needs rater.batches=3 "
            "or more: it compares the orders after two batches"
        )


def rate(
    config: LlmRaterConfig, pool: Pool, scale: ScaleConfig, *, model: Mapping[str, Any], revision: str | None,
    folder: Path, progress: bool, engine: Engine = HERE,
) -> Ratings:  # fmt: skip
    """A pool as the model rates it.

    Args:
        model: what identifies the model (its commit, content or name at a server): enters every answer's key.
        revision: resolved commit of a hub model.
        folder: where the answer log is.
        engine: whose actors ask, each with its share of the limits; batches at a server are handed in here.

    Raises:
        UserError: the model cannot be asked at all, more than `config.max_unrated` of the samples stay
            unrated, or any under `unrated=fail`.
    """
    check(config, scale)
    form = prompt.answer_form(config.reading, rubric_of(config.prompt))
    with (
        AnswerLog(folder) as log,
        Bar(desc=f"rating by {config.name}", unit=" ratings", disable=not progress) as bar,
        _opened(
            config, form, revision, Place(folder, tqdm.write, bar.set_postfix_str, log.add), engine
        ) as backend,
    ):
        session = _Session(config, pool, model, log, backend, bar)
        session.run(scale)
        return apply_unrated(config, session.ratings(scale))


def _opened(
    config: LlmRaterConfig, form: AnswerForm, revision: str | None, place: Place, engine: Engine
) -> AbstractContextManager[Backend]:
    if not engine.actors or config.backend is ChatBackend.openai_batch:
        return open_backend(config, form, revision, place)
    return open_spread(config, form, revision, place, engine)


class _Session:
    """One pass over the pool, and what came of it so far."""

    def __init__(
        self, config: LlmRaterConfig, pool: Pool, model: Mapping[str, Any], log: AnswerLog, backend: Backend,
        bar: Any,
    ) -> None:  # fmt: skip
        self._config, self._pool, self._log, self._backend, self._bar = config, pool, log, backend, bar
        self._questions = RatingQuestions(config, pool, model, backend.count_tokens)
        self._budget = Budget(config, backend.count_tokens, tqdm.write)
        shape = (len(pool), config.repeats)
        self._rubric = self._questions.rubric
        self._criteria = np.full((*shape, len(self._rubric.keys)), np.nan)
        self._outcomes = np.full(shape, len(Outcome), dtype=np.int8)
        self._distribution = (
            np.zeros((len(pool), len(self._rubric.digits)), dtype=np.float32)
            if config.reading is Reading.expected
            else None
        )
        self._wanted = 0
        self._cut = np.zeros(len(pool), dtype=bool)
        self._failures: dict[tuple[int, int], tuple[str, str]] = {}
        """(position, repeat) given up -> key and reason of its last answer."""
        self._tried = self._read = self._lost = self._short = 0
        """Samples asked about for the first time; of them those that were rated at once, those that the
        server refuses, and those whose answer was cut off."""
        self.report = RatingReport()

    def run(self, scale: ScaleConfig) -> None:
        """Ask until every rating is there or given up. Raises UserError where `rater.max_cost` does not
        suffice."""

        def known() -> NDArray[np.int16]:
            return compress(self._means(), scale)

        for rows in batches(self._config, self._pool, scale.num_scores, known, tqdm.write):
            self._ask_until_settled(self._questions.of(rows))

    def _ask_until_settled(self, asked: list[Ask]) -> None:
        if self._budget.limited:
            for request, answer in self._questions.history(self._log, asked):
                if answer is not None:
                    self._budget.recall(request, answer)
        self._wanted += len(asked)
        self._bar.total = self._wanted
        self._bar.refresh()
        for left in reversed(range(self._config.retries + 1)):
            again: list[Ask] = []
            while asked:
                asked = self._ask(asked, again, last=left == 0)
            if again and self._tried >= _FEW and not self._read and self._config.max_unrated < 1:
                raise UserError(self._hopeless())
            asked = again

    def _ask(self, asked: list[Ask], again: list[Ask], *, last: bool) -> list[Ask]:
        """Ask once about each, putting those to be asked again into `again`.

        Returns:
            Those that could not be paid for whatever the others' answers: once these are there, there may be
            room.
        """
        waiting: dict[str, list[Ask]] = {}  # equal conversations share one answer
        held: list[Ask] = []

        def requests() -> Iterator[ChatRequest]:
            for ask in asked:
                request, cut = self._questions.request(ask)
                self._cut[ask.position] |= cut
                known = self._log.get(request.key)
                if known is not None:
                    again.extend(self._take([ask], known, last=last, replayed=True))
                elif request.key in waiting:
                    waiting[request.key].append(ask)
                elif self._budget.allows(request):
                    waiting[request.key] = [ask]
                    yield request
                else:
                    held.append(ask)

        sent = False
        for answer in self._backend.answers(requests()):
            sent = True
            self._log.add(answer)
            self._budget.settle(answer)
            again.extend(self._take(waiting.pop(answer.key), answer, last=last, replayed=False))
        if waiting:
            raise RuntimeError(f"{len(waiting)} requests were never answered: a defect of the back end")
        if held and not sent:
            raise UserError(self._too_dear())
        return held

    def _take(self, asks: list[Ask], answer: Answer, *, last: bool, replayed: bool) -> Iterator[Ask]:
        """Read an answer; yields what has to be asked again."""
        verdict = self._questions.read(answer)
        if asks[0].attempt == 0:
            self._tried += 1
            self._read += verdict.outcome.rated
            self._lost += answer.final
            self._short += answer.finish == "length" and verdict.outcome is Outcome.truncated
            if self._tried == self._short == _CUT and not replayed:
                raise UserError(self._too_short(verdict))
            if self._tried % _EVIDENCE == 0:
                self._stop_if_hopeless()
        self.report.count_answer(answer, replayed=replayed)
        if verdict.reason:
            self.report.reasons[_kind(verdict)] += 1
        undelivered = verdict.outcome is Outcome.undelivered
        settled = answer.final if undelivered else self._questions.settled(asks[0].attempt, verdict.outcome)
        for ask in asks:
            if settled or last:
                self._settle(ask, answer.key, verdict)
            else:
                # An answer that never came is asked for under its own key: a rerun must not ask anew for it.
                yield Ask(ask.position, ask.repeat, ask.attempt + (not undelivered))

    def _settle(self, ask: Ask, key: str, verdict: Verdict) -> None:
        place = ask.position, ask.repeat
        if verdict.outcome.rated:
            self._criteria[place] = verdict.criteria
        self._outcomes[place] = list(Outcome).index(verdict.outcome)
        if self._distribution is not None and verdict.distribution is not None:
            self._distribution[ask.position] += verdict.distribution
        if not verdict.outcome.rated:
            self._failures[place] = key, verdict.reason
        self.report.settle(self._pool.samples[ask.position].source, verdict.outcome)
        self._bar.update()

    def _stop_if_hopeless(self) -> None:
        """Stop where retries cannot bring the unrated below `max_unrated`, before the whole pool is paid.

        The share that is read at one try is taken three standard errors above what was seen, the share that
        the server refuses, which no retry changes, so much below.
        """

        def spread(share: float) -> float:
            return float(3 * ((share * (1 - share) + 0.01) / self._tried) ** 0.5)

        read, lost = self._read / self._tried, self._lost / self._tried
        unread = (1 - min(1.0, read + spread(read))) ** self._questions.tries
        if max(unread, lost - spread(lost)) > self._config.max_unrated:
            raise UserError(self._hopeless())

    def _hopeless(self) -> str:
        reasons = ", ".join(f"{reason} ({count:,})" for reason, count in self.report.reasons.most_common(3))
        return (
            f"rater={self._config.name} gave a rating in {self._read:,} of its first {self._tried:,} "
            f"answers: with rater.retries={self._config.retries} more than "
            f"rater.max_unrated={self._config.max_unrated:g} would stay unrated; most often: {reasons}"
        )

    def _too_short(self, verdict: Verdict) -> str:
        limit = self._config.max_new_tokens
        thought = verdict.reason == THINKING
        return (
            f"rater={self._config.name}: each of its first {_CUT} answers was cut off at "
            f"rater.max_new_tokens={limit}{', used up by thinking' if thought else ''}; raise it "
            f"(rater.max_new_tokens={max(16 * limit, 2048) if thought else 4 * limit})"
            f"{', or switch thinking off at the server' if thought else ''}. All answers are kept"
        )

    def ratings(self, scale: ScaleConfig) -> Ratings:
        """What is there now. Raises UserError where too much is missing."""
        overall = self._criteria[:, :, -1]
        rated = np.isfinite(overall)
        count = rated.sum(axis=1)
        asked = np.asarray((self._outcomes < len(Outcome)).any(axis=1))
        unrated = asked & (count == 0)
        if unrated.sum() > self._config.max_unrated * asked.sum():
            raise UserError(self._too_many(int(unrated.sum()), int(asked.sum())))
        values = self._means()
        scores = compress(values, scale)
        self.report.count_scores(scores)
        self.report.cut = int(self._cut.sum())
        repeats = [compress(ratings, scale) for ratings in overall.T]
        self.report.agreement = between_repeats(np.stack(repeats, axis=1), scale.num_scores)
        distribution = self._distribution
        if distribution is not None:
            distribution = np.where(
                (count > 0)[:, None], distribution / np.maximum(count, 1)[:, None], np.nan
            ).astype(np.float32)
        names = [*(outcome.value for outcome in Outcome), NOT_ASKED]
        details = ModelRatings(
            self._criteria,
            tuple(names[best] for best in self._outcomes.min(axis=1)),
            tuple(self._unrated(int(i)) for i in np.flatnonzero(unrated)),
            self.report,
            distribution,
            self._rubric.keys,
        )
        columns = None
        if self._config.repeats > 1:
            columns = RaterScores(np.stack(repeats, axis=1), (self._config.name,) * len(repeats))
        return Ratings(scores, values, self.report.warnings, columns=columns, asked=asked, details=details)

    def _means(self) -> NDArray[np.float64]:
        """(N,) mean rating over repeats; NaN without one."""
        overall = self._criteria[:, :, -1]
        rated = np.isfinite(overall)
        count = rated.sum(axis=1)
        mean = np.where(rated, overall, 0).sum(axis=1) / np.maximum(count, 1)
        return np.where(count > 0, mean, np.nan)

    def _unrated(self, position: int) -> UnratedSample:
        key, reason = self._failures[position, self._config.repeats - 1]
        outcome = list(Outcome)[self._outcomes[position, -1]]
        answer = self._log.get(key)
        return UnratedSample(position, outcome, reason, answer.text if answer else "")

    def _too_dear(self) -> str:
        there = int((self._outcomes < len(Outcome)).sum())
        return (
            f"rater.max_cost={self._config.max_cost:g} US dollars is reached: {there:,} of {self._wanted:,} "
            f"ratings are there for {self._budget.spent:.4g}, and the next one could pass the limit. All "
            "answers are kept: raise rater.max_cost and run the same command again"
        )

    def _too_many(self, unrated: int, asked: int) -> str:
        (position, _), (key, reason) = next(iter(self._failures.items()))
        answer = self._log.get(key)
        text = f", which answered {answer.text[:80]!r}" if answer and answer.text else ""
        reasons = ", ".join(f"{count:,} {name}" for name, count in self.report.total.items() if count)
        return (
            f"rater={self._config.name} left {unrated:,} of {asked:,} samples unrated, more than "
            f"rater.max_unrated={self._config.max_unrated:g} ({reasons}); for one, sample "
            f"{self._pool.samples[position].id}: {reason}{text}. All answers are kept: raise rater.retries "
            "or rater.max_unrated and run the same command again"
        )


def _kind(verdict: Verdict) -> str:
    """A reason without the particulars of one answer, so that reasons can be counted."""
    first = verdict.reason.split(";")[0].split("'")[0].split('"')[0]
    return f"{verdict.outcome.value}: {first.strip()[:60]}"
