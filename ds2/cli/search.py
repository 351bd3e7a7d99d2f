"""`ds2 sweep=NAME` of a sweep that is a search: trials until there are enough, the winner judged where the
search did not look, and the command that makes it again.
"""

from __future__ import annotations

import shlex
import time
from collections.abc import Mapping, Sequence

from ds2.base.errors import UserError
from ds2.base.hashes import fingerprint
from ds2.base.paths import shown, writing
from ds2.base.words import duration, number_of
from ds2.cli import console
from ds2.cli.app import launch, plan
from ds2.config.command_line import CommandLine
from ds2.config.compose import artifacts_root
from ds2.config.compose_cache import compose_all
from ds2.config.search import PREFIX, Scalar, Search
from ds2.config.sweep import Sweep, combinations
from ds2.report.answers import Answers
from ds2.report.search_table import Confirmation, trial_table, unit_of
from ds2.report.table_text import markdown, rich
from ds2.runs import expected, jobs
from ds2.runs.chain import Chain
from ds2.runs.expected import ExpectedRun, State
from ds2.runs.search import Finished, Trial, Trials, opened
from ds2.runs.search_space import refuse_impossible

_REPEATS = 50
"""Proposals in a row that were tried before, after which the space is taken to be exhausted."""
_NO_RESULT = ("paths.", "runtime.", "tracking", "hydra", "plan=", "prepare=", PREFIX)
"""Overrides that change no result: two commands that differ in them go on with each other's trials."""


def run_search(sweep: Sweep, command: CommandLine) -> int:
    """The command; its exit code.

    Raises:
        UserError: choices that contradict each other or that nobody knows, in whichever trial; or another
            process makes the same search.
    """
    searching = Searching(sweep, command)
    refuse_impossible(searching.search, searching.of, searching.root)
    if searching.default_config.plan:
        return searching.plan()
    if searching.default_config.prepare:
        raise UserError(f"sweep={sweep.name} is a search: prepare its default, ds2 prepare=true ...")
    with opened(searching.file, searching.search) as trials:
        searching.refuse_old(trials)
        code = searching.try_all(trials)
        return max(code, searching.show(trials))


class Searching:
    """One search of one command."""

    def __init__(self, sweep: Sweep, command: CommandLine) -> None:
        assert sweep.search is not None
        self.sweep, self.search, self.command = sweep, sweep.search, command
        self.extra, self._known = command.overrides, dict[tuple[str, ...], str]()
        ours = [o for o in self.extra if not o.startswith((PREFIX, "hydra"))]
        if len(combinations(ours)) > 1:
            raise UserError(f"sweep={sweep.name} is a search: give each option one value, not a,b")
        self.search.refuse_typed(ours)
        first = self.of(self.search.default)
        self.root = artifacts_root(first)
        self.default_config = compose_all([first], memory=self.root)[0]
        if self.default_config.seed in self.search.confirm.seeds:
            raise UserError(
                f"seed={self.default_config.seed} is one of search.confirm.seeds "
                f"({', '.join(map(str, self.search.confirm.seeds))}): a winner is judged on seeds that the "
                "search did not see; take another"
            )
        said = [o for o in first + ours if not o.startswith(_NO_RESULT)]
        self.id = fingerprint([self.search.identity(), sorted(set(said)), self._run(first)])[:8]
        self.folder = self.root / "sweeps" / sweep.name
        self.file = self.folder / f"trials-{self.id}.db"

    def of(
        self, chosen: Mapping[str, Scalar], rung: int | None = None, more: Sequence[str] = ()
    ) -> list[str]:
        """Overrides of a combination's run at a rung; None: the last."""
        return self.sweep.run(self.search.overrides(chosen, rung), self.extra, more)

    def plan(self) -> int:
        """What there is to search and what is done, with the plan of the default; the exit code."""
        done = 0
        if self.file.exists():
            with opened(self.file, self.search) as trials:
                done = len(trials.finished())
        console.line(f"{done} of {number_of(self.search.trials, 'trial')} done; the default is planned here")
        return plan([self.default_config])

    def refuse_old(self, trials: Trials) -> None:
        """Raises UserError where what is stored of a trial came from another version of its stages."""
        finished = [trial for trial in trials.finished() if trial.run]
        for trial in finished:
            if self._run(self.of(dict(trial.chosen))) != trial.run:
                raise UserError(
                    f"trial {trial.number} of this search was another run when it was made (a stage or an "
                    f"input has changed since): delete {shown(self.file)} to search anew"
                )

    def try_all(self, trials: Trials) -> int:
        """Make the trials that are left; the exit code."""
        done = trials.finished()
        if done:
            console.line(
                f"{min(len(done), self.search.trials)} of {number_of(self.search.trials, 'trial')} are done"
            )
        repeats = 0
        while len(done) < self.search.trials and repeats < _REPEATS:
            trial = trials.next()
            try:
                run = self._run(self.of(dict(trial.chosen)))
            except UserError as error:
                trials.fail(trial, str(error))
            else:
                if trials.identify(trial, run) is not None:
                    repeats += 1
                    continue
                self._climb(trials, trial)
            repeats, done = 0, trials.finished()
            self._say(done[-1], len(done))
            if len(done) == 1 and done[0].state == "failed":
                raise UserError(f"the default of this search cannot be run: {done[0].reason}")
        if repeats:
            console.line(f"the space is exhausted: {repeats} proposals in a row had been tried before")
        return 1 if any(trial.state == "failed" for trial in done) else 0

    def _climb(self, trials: Trials, trial: Trial) -> None:
        began = time.monotonic()
        for rung in range(self.search.heights):
            if rung not in trial.climbed:
                tags = [f"trial-{trial.number}", f"rung-{rung + 1}"]
                marks = [*_tagged(tags), f"tracking.trial={trial.number}"]
                made = self._make([self.of(dict(trial.chosen), rung, marks)])[0]
                value = _value(made, self.search.metric)
                if value is None:
                    trials.fail(trial, made.reason or f"it has no result {self.search.metric}")
                    return
            else:
                value = trial.climbed[rung]
            if not trials.climb(trial, rung, value):
                break
        trials.complete(trial, time.monotonic() - began)

    def _make(self, wanted: Sequence[Sequence[str]]) -> list[ExpectedRun]:
        """Runs, computed where they are not in the store."""
        before = expected.look(wanted, self.root)
        missing = [each for each in before if each.to_launch and each.state is not State.done]
        options = [o for o in self.extra if o.startswith("hydra")]
        for each in missing:
            with jobs.recorded(self.root) as record:
                launch([*each.overrides, *options], record, CommandLine())
        return expected.look(wanted, self.root) if missing else before

    def _run(self, overrides: Sequence[str]) -> str:
        """The fingerprint of a run. Raises UserError."""
        words = tuple(overrides)
        if words not in self._known:  # a combination may be proposed many times
            self._known[words] = Chain(compose_all([overrides], memory=self.root)[0]).fingerprint
        return self._known[words]

    def _say(self, trial: Finished, count: int) -> None:
        chosen = " ".join(self.search.overrides(trial.chosen)[: len(trial.chosen)])
        came_to = trial.reason
        if trial.state != "failed":
            unit = unit_of(self.search)
            came_to = f"{unit.scale * trial.values[max(trial.values)]:.{unit.digits}f} at rung "
            came_to += f"{len(trial.values)} of {self.search.heights}"
        took = duration(trial.seconds)
        console.line(f"trial {count} of {self.search.trials} {trial.state} ({took}): {chosen}: {came_to}")

    def show(self, trials: Trials) -> int:
        """Print and write the table, what the winner is worth, and its command; the exit code."""
        finished = trials.finished()
        best = best_of(finished, self.search)
        if best is None:
            raise UserError("no trial came to the last rung")
        table = trial_table(finished, self.search, best, self.sweep.title or self.sweep.name)
        console.show(rich(table))
        lines = self._verdict(finished, best)
        for line in lines:
            console.line(line)
        text = self.file.with_suffix(".md")
        with writing(self.folder):
            text.write_text(
                markdown(table) + "\n" + "".join(f"- {line}\n" for line in lines), encoding="utf-8"
            )
            table.frame.to_csv(self.file.with_suffix(".csv"), index=False)
        console.line(f"trials: {shown(text)}")
        return 0

    def _verdict(self, finished: Sequence[Finished], best: Finished) -> list[str]:
        again = shlex.join(["ds2", *(o for o in self.of(dict(best.chosen)) if not o.startswith("tracking."))])
        lines = [*([self.sweep.note] if self.sweep.note else [])]
        if best.number == finished[0].number:
            return [
                *lines,
                f"The default is the best of {number_of(len(finished), 'trial')}: nothing to change.",
            ]
        trials = number_of(len(finished), "trial")
        lines.append(f"Best of {trials}, which makes its value here an optimistic one: {again}")
        seeds = self.search.confirm.seeds
        if not seeds:
            return [
                *lines,
                "It was not run where the search did not look (search.confirm.seeds): not judged.",
            ]
        ours, theirs = (
            self._confirm(each, seeds, name) for each, name in ((best, "best"), (finished[0], "default"))
        )
        return [*lines, *Confirmation(ours, theirs, self.search, best, finished[0]).lines()]

    def _confirm(self, trial: Finished, seeds: Sequence[int], name: str) -> dict[int | None, Answers]:
        """Seed -> the run's answers, of those that could be made."""
        wanted = [
            self.of(dict(trial.chosen), None,
                    [*self.search.confirm.overrides, f"seed={seed}", *_tagged(["confirm", name])])
            for seed in seeds
        ]  # fmt: skip
        made = self._make(wanted)
        return {each.config.seed: Answers(each.run) for each in made
                if each.run is not None and _value(each, self.search.metric) is not None}  # fmt: skip


def best_of(finished: Sequence[Finished], search: Search) -> Finished | None:
    """The best of those that came to the last rung, the earliest of equal ones."""
    whole = [trial for trial in finished if trial.value is not None]
    sign = 1 if search.direction.value == "maximize" else -1
    return max(whole, key=lambda trial: (sign * (trial.value or 0.0), -trial.number), default=None)


def _tagged(tags: Sequence[str]) -> list[str]:
    return [f"tracking.tags=[search,{','.join(tags)}]"]


def _value(each: ExpectedRun, metric: str) -> float | None:
    if each.state is not State.done or each.run is None or "evaluate" not in each.run.stages:
        return None
    return Answers(each.run).value(metric)
