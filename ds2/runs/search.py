"""Trials of a search, by Optuna, kept in a SQLite file: a killed search goes on where it was.

What a trial is proposed depends on the finished ones and on its number alone (the sampler is seeded anew for
each), so that an interrupted search and one that was left alone try the same. A trial that its process left
unfinished is taken up again with its choices and the rungs that it has climbed.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from filelock import FileLock, Timeout

from ds2.base.errors import UserError, first_line
from ds2.base.extras import install_line
from ds2.config.search import Dimension, Scalar, Search

if TYPE_CHECKING:
    from optuna import Study
    from optuna.trial import FrozenTrial

_RUN, _AS, _REASON, _SECONDS = "run", "repeats", "reason", "seconds"
_DIGITS = 3


@dataclass(frozen=True)
class Finished:
    """One trial that has ended."""

    number: int
    chosen: dict[str, Scalar]
    values: dict[int, float]
    """Rung -> value of the metric."""
    state: str
    """complete, pruned or failed."""
    run: str
    """Fingerprint of its run at the last rung; empty: it could not be told."""
    reason: str = ""
    """Why it failed."""
    seconds: float = 0.0

    @property
    def value(self) -> float | None:
        """At the last rung; None where it did not come so far."""
        return self.values[max(self.values)] if self.state == "complete" else None


@dataclass
class Trial:
    """One trial that is being made."""

    number: int
    chosen: dict[str, Scalar]
    climbed: dict[int, float] = field(default_factory=dict)
    """Rungs that an interrupted process left."""
    live: Any = None


class Trials:
    """The trials of one search. One process at a time has them; see `opened`."""

    def __init__(self, file: Path, search: Search) -> None:
        import optuna

        optuna.logging.set_verbosity(optuna.logging.WARNING)
        self._search = search
        self._study: Study = optuna.create_study(
            storage=f"sqlite:///{file}",
            study_name="search",
            direction=search.direction.value,
            pruner=optuna.pruners.SuccessiveHalvingPruner(min_resource=1, reduction_factor=search.factor),
            load_if_exists=True,
        )
        if not self._study.get_trials(deepcopy=False):
            self._study.enqueue_trial(search.default)

    def finished(self) -> list[Finished]:
        """Each distinct combination that has ended, in order."""
        return [
            _finished(trial)
            for trial in self._all()
            if trial.state.is_finished() and _AS not in trial.user_attrs
        ]

    def next(self) -> Trial:
        """The trial that was interrupted, or a new one."""
        import optuna

        left = [trial for trial in self._all() if trial.state is optuna.trial.TrialState.RUNNING]
        number = left[0].number if left else sum(t.state.name != "WAITING" for t in self._all())
        self._study.sampler = self._sampler(number)
        # Optuna's own way to hold a trial that is in the storage already.
        live = optuna.trial.Trial(self._study, left[0]._trial_id) if left else self._study.ask()
        climbed = dict(left[0].intermediate_values) if left else {}
        rungs = {self._rung(step): value for step, value in climbed.items()}
        return Trial(live.number, self._choose(live), rungs, live)

    def identify(self, trial: Trial, run: str) -> Finished | None:
        """Say which run it is; the earlier trial that was the same one, whose end it then shares."""
        same = next((each for each in self.finished() if each.run == run and each.state != "failed"), None)
        trial.live.set_user_attr(_RUN, run)
        if same is None:
            return None
        trial.live.set_user_attr(_AS, same.number)
        for rung, value in same.values.items():
            trial.live.report(value, self._step(rung))
        self._end(trial, same.value)
        return same

    def climb(self, trial: Trial, rung: int, value: float) -> bool:
        """Note what it came to at a rung; whether it goes on to the next."""
        if rung == self._search.heights - 1:
            trial.climbed[rung] = value
            return False
        if rung not in trial.climbed:
            trial.live.report(value, self._step(rung))
            trial.climbed[rung] = value
        return not trial.live.should_prune()

    def complete(self, trial: Trial, seconds: float) -> None:
        """It has climbed as far as it goes."""
        trial.live.set_user_attr(_SECONDS, seconds)
        last = self._search.heights - 1
        if last in trial.climbed:
            trial.live.report(trial.climbed[last], self._step(last))
        self._end(trial, trial.climbed.get(last))

    def fail(self, trial: Trial, reason: str) -> None:
        """It could not be made."""
        import optuna

        trial.live.set_user_attr(_REASON, reason)
        self._study.tell(trial.live, state=optuna.trial.TrialState.FAIL)

    def _end(self, trial: Trial, value: float | None) -> None:
        import optuna

        if value is None:
            self._study.tell(trial.live, state=optuna.trial.TrialState.PRUNED)
        else:
            self._study.tell(trial.live, value)

    def _all(self) -> list[FrozenTrial]:
        return self._study.get_trials(deepcopy=False)

    def _choose(self, live: Any) -> dict[str, Scalar]:
        chosen: dict[str, Scalar] = {}
        for key, dimension in self._search.space.items():
            if dimension.applies(chosen):
                chosen[key] = _suggest(live, key, dimension)
        return chosen

    def _sampler(self, number: int) -> Any:
        import optuna

        seed = (self._search.seed * 1_000_003 + number) % 2**32
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
            return optuna.samplers.TPESampler(
                seed=seed, n_startup_trials=self._search.startup, multivariate=True, group=True
            )

    def _step(self, rung: int) -> int:
        return int(self._search.factor**rung)

    def _rung(self, step: int) -> int:
        return next(rung for rung in range(self._search.heights) if self._step(rung) == step)


@contextmanager
def opened(file: Path, search: Search) -> Iterator[Trials]:
    """The trials of a search, for this process alone.

    Raises:
        UserError: another process is at it, Optuna is not installed, or the file cannot be read or written.
    """
    try:
        import optuna  # noqa: F401
        import sqlalchemy  # noqa: F401
    except ModuleNotFoundError as error:
        raise UserError(f"a search needs the package optuna: {install_line('optuna')}") from error
    file.parent.mkdir(parents=True, exist_ok=True)
    lock = FileLock(file.with_suffix(".lock"))
    try:
        lock.acquire(timeout=0)
    except Timeout as error:
        raise UserError(f"another process is making the trials of {file}: wait for it, or end it") from error
    try:
        with _kept_in(file):
            yield Trials(file, search)
    finally:
        lock.release()


@contextmanager
def _kept_in(file: Path) -> Iterator[None]:
    """Raises UserError, in one line, for what the database says of its file."""
    from optuna.exceptions import StorageInternalError
    from sqlalchemy.exc import DBAPIError, OperationalError

    try:
        yield
    except (DBAPIError, StorageInternalError) as error:
        said = error.__cause__ if isinstance(error, StorageInternalError) else error
        damaged = isinstance(said, DBAPIError) and not isinstance(said, OperationalError)
        advice = "; delete it to search anew: the runs of its trials are kept" if damaged else ""
        raise UserError(f"{file} cannot be used: {first_line(said or error)}{advice}") from error


def _suggest(live: Any, key: str, dimension: Dimension) -> Scalar:
    value: Scalar
    if dimension.choices:
        value = live.suggest_categorical(key, dimension.choices)
    elif dimension.whole:
        value = live.suggest_int(key, dimension.low, dimension.high, log=dimension.log)
    else:
        value = live.suggest_float(key, dimension.low, dimension.high, log=dimension.log)
    return _rounded(value)


def _rounded(value: Scalar) -> Scalar:
    """A number as a person would type it."""
    return float(f"{value:.{_DIGITS}g}") if isinstance(value, float) else value


def _finished(trial: FrozenTrial) -> Finished:
    states = {"COMPLETE": "complete", "PRUNED": "pruned", "FAIL": "failed"}
    steps = sorted(trial.intermediate_values)
    told = trial.user_attrs
    return Finished(
        trial.number,
        {key: _rounded(value) for key, value in trial.params.items()},
        {rung: float(trial.intermediate_values[step]) for rung, step in enumerate(steps)},
        states[trial.state.name],
        str(told.get(_RUN, "")),
        str(told.get(_REASON, "")),
        float(told.get(_SECONDS, 0.0)),
    )
