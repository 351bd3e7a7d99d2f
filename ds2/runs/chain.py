"""The chain:

    pool -> rate ---------+            (of a panel: rate.RATER of each, then rate)
         -> embed -> knn -+-> curate -> select -> finetune -> evaluate -> report
                                           -> export

Where evaluation questions or near-duplicates are looked for, `sift` comes first, and what it leaves is the
pool. Where tokens are cleaned, `tokens` stands between select and finetune.

A run needs only the ancestors of its last stage: `selection=random` rates nothing, `selection=base` trains
nothing.
"""

from __future__ import annotations

import traceback
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from ds2.artifacts.run import RunResult
from ds2.artifacts.shared import SharedStore
from ds2.artifacts.step import Outcome, StageResult, Step
from ds2.artifacts.versions import earlier
from ds2.base import extras
from ds2.base.drafts import is_disk_full
from ds2.base.errors import DamagedArtifact, MissingInput, NotKnownOffline, UserError, refuse
from ds2.base.processes import ended_as_asked
from ds2.base.progress import clock
from ds2.config import LlmRaterConfig, PanelRaterConfig, RunConfig
from ds2.config.kept import keep
from ds2.config.run import TrackingService
from ds2.config.stages import check, counts_tokens, run_name, slug_of, stages_of
from ds2.runs.context import Context
from ds2.runs.pools import hashes_of, pool_of
from ds2.runs.stages import (
    curate,
    embed,
    evaluate,
    export,
    finetune,
    knn,
    measure,
    model,
    rate,
    rate_panel,
    report,
    select,
    sift,
    tokens,
)
from ds2.runs.stores import store_of
from ds2.selection import resolve_budget

if TYPE_CHECKING:
    from ds2.report.tracking import Tracker


STEPS: dict[str, Callable[[Context], Step | None]] = {
    "sift": sift.step,
    "model": model.step,
    "rate": rate_panel.step,
    "embed": embed.step,
    "knn": knn.step,
    "curate": curate.step,
    "measure": measure.step,
    "select": select.step,
    "export": export.step,
    "tokens": tokens.step,
    "finetune": finetune.step,
    "evaluate": evaluate.step,
}
"""Stage -> its step; None where the run finds what the stage would make. The page, `report`, is told the
run's name too.
"""


@dataclass(frozen=True)
class Reporter:
    """How a run speaks while it works."""

    stage: Callable[[StageResult], None] = lambda result: None
    waiting: Callable[[Step], None] = lambda step: None
    warning: Callable[[str], None] = lambda line: None


class Chain:
    """The steps of one run, known by fingerprint before anything is computed.

    Raises:
        UserError: choices that contradict each other, or an input that is missing.
    """

    def __init__(self, config: RunConfig) -> None:
        check(config)
        self.config = config
        self.store = store_of(config)
        hashes = hashes_of(config, self.store.root)
        self._context = Context(config, pool_of(config, self.store, hashes), hashes)
        self._build()
        if not self.steps:
            name, until = config.selection.name, config.until.value
            raise UserError(f"selection={name} selects nothing: until={until} leaves nothing to do")
        self._leave_out_lost()

    @property
    def lost(self) -> dict[str, str]:
        """Raters that the panel of this run goes on without -> why; it is the run of the smaller panel."""
        return dict(self._context.lost)

    @property
    def steps(self) -> list[Step]:
        return list(self._context.steps.values())

    @property
    def fingerprint(self) -> str:
        """The run's: that of its last step."""
        return self.steps[-1].fingerprint

    @property
    def name(self) -> str:
        """A name for people, which no other run has: the choices, and the fingerprint's first digits."""
        return f"{run_name(self.config)}-{self.fingerprint[:6]}"

    def run(self, reporter: Reporter | None = None) -> RunResult:
        """Compute what is missing, in order, and return every finished stage.

        A rater of a panel that fails leaves it: said in one line, and the run goes on as that of the others.
        """
        reporter = reporter or Reporter()
        self._sift(reporter)
        self._check_budget()
        self._check_anchors()
        self._obtain_raters(reporter)
        tracker = self._tracker(reporter)
        try:
            for step in self.steps:
                result = self._context.results.get(step.name) or self._obtain(step, reporter)
                if tracker:
                    tracker.log_stage(result)
        except BaseException as error:  # also an interrupt: the tracked run is to say that it did not finish
            if tracker:
                tracker.finish(None)
            if isinstance(error, Exception):  # other machines need not compute what is finished
                self._settle(reporter)
            raise
        self._settle(reporter)
        if tracker and tracker.finish(self.result()):
            with suppress(OSError):  # a store that cannot be written to: the next run is tracked again
                self._tracked.parent.mkdir(exist_ok=True)
                self._tracked.touch()
        return self.result()

    def _settle(self, reporter: Reporter) -> None:
        """Wait for what is still being pushed to the store that machines share."""
        if isinstance(self.store, SharedStore):
            with clock("push", shown=self._context.progress):
                troubles = self.store.settle()
            for line in troubles:
                reporter.warning(line)

    def load(self) -> RunResult | None:
        """The finished run, from the store alone; None where a stage is missing.

        Enough for a table: of an evaluated run the report may be missing, and only the evaluation's files are
        compared with their checksums.

        Raises:
            DamagedArtifact: a record or the evaluation is damaged.
        """
        for step in self.steps:
            result = self.store.load(step, verify=step.stage == "evaluate")
            if result is not None:
                self._context.results[step.name] = result
            elif step.stage != "report":
                return None
        return self.result()

    @property
    def finished(self) -> bool:
        """Whether `run` would find every stage, and the run tracked as it asks for."""
        tracked = self.config.tracking.off or self._tracked.exists()
        found = self._context.results
        return tracked and all(step.name in found or self.store.find(step) for step in self.steps)

    def report(self) -> StageResult:
        """The page of the stages that are finished, also where the run ends before it."""
        step = self._context.steps.get("report") or self._report_step()
        self._context.results["report"] = page = self.store.obtain(step, run=keep(self.config))
        return page

    def recompute(self, step: Step, folder: Path) -> Outcome:
        """Compute a step anew into a folder, from its inputs in the store. Raises MissingInput for one that
        is not there, DamagedArtifact for one that is damaged.
        """
        for name, before in self._context.steps.items():
            if before.fingerprint in step.inputs.values():
                result = self.store.load(before)
                if result is None:
                    raise MissingInput(f"its input {name} ({before.fingerprint}) is not in the store")
                self._context.results[name] = result
        return step.compute(folder)

    def unasked(self, step: Step) -> int:
        """Questions that computing a step anew would put to a language model: no answer to them is kept."""
        rater = self.config.rater
        if isinstance(rater, PanelRaterConfig):
            rater = next((each for each in rater.members if each.name == step.part), rater)
        if step.stage != "rate" or not isinstance(rater, LlmRaterConfig):
            return 0
        return rate.forecast_of(self._context, rater).questions

    def _report_step(self) -> Step:
        return report.step(self._context, slug_of(self.config), self.result)

    def result(self) -> RunResult:
        results = self._context.results
        names = dict.fromkeys([*(step.name for step in self.steps), "report"])
        stages = {name: results[name] for name in names if name in results}
        return RunResult(self.config, self.name, self.fingerprint, stages)

    def plan(self) -> list[tuple[Step, Path | None]]:
        """Each step with its finished artifact, if there is one."""
        return [(step, self.store.find(step)) for step in self.steps]

    def _obtain(self, step: Step, reporter: Reporter) -> StageResult:
        if self.store.find(step) is None:
            self._say_older(step, reporter)
        own_clock = step.stage in ("finetune", "evaluate")
        with ended_as_asked(), clock(step.name, shown=self._context.progress and not own_clock):
            result = self.store.obtain(step, on_wait=partial(reporter.waiting, step), run=keep(self.config))
        self._context.results[step.name] = result
        reporter.stage(result)
        return result

    def _say_older(self, step: Step, reporter: Reporter) -> None:
        other = self.store.of_version(step, earlier(step.version))
        if other is not None:
            number, path = other
            reporter.warning(
                f"{step.name} is computed anew: {path.name} was made by version {number} of the stage, and "
                f"version {step.version} gives another result (ds2 gc older)"
            )

    def _obtain_raters(self, reporter: Reporter) -> None:
        """The steps of a panel's raters; those that fail are left out. Raises UserError where fewer than two
        are left.
        """
        for name, reason in self.lost.items():
            reporter.warning(_goes_on_without(name, reason))
        for step in [step for step in self.steps if step.part is not None]:
            try:
                self._obtain(step, reporter)
            except DamagedArtifact:
                raise
            except Exception as error:  # said, and the other raters are worth having
                if is_disk_full(error.__cause__ or error):  # for them there is none either
                    raise
                reason = _reason(error)
                self._context.lost[str(step.part)] = reason
                reporter.warning(_goes_on_without(str(step.part), reason))
        self._leave_out_lost()

    def _leave_out_lost(self) -> None:
        """Become the run of the raters that are left."""
        panel, lost = self.config.rater, self._context.lost
        if not isinstance(panel, PanelRaterConfig):
            return
        left = [rater for rater in panel.members if rater.name not in lost]
        if len(left) == len(panel.members):
            return
        rate_panel.refuse_fewer_than_two(panel, lost)
        self.config = replace(self.config, rater=panel.of(left))
        before = self._context
        self._context = Context(
            self.config, before.pool, before.hashes, results=before.results, lost=lost,
            forecasts=before.forecasts,
        )  # fmt: skip
        self._build()

    def _sift(self, reporter: Reporter) -> None:
        """Look through the pool before anything is made of it, and refuse it where that is asked for."""
        step = self._context.steps.get("sift")
        if step is not None:
            said = sift.check(self.config, self._obtain(step, reporter).path)
            if said is not None:
                reporter.warning(said)

    def _check_budget(self) -> None:
        """A budget that the pool cannot fill is refused before hours are spent on its way there."""
        step = self._context.steps.get("select")
        if counts_tokens(self.config):
            return  # the strategy fills it with what there is
        if step is not None and "budget" in step.identity and self.store.find(step) is None:
            size = len(self._context.pool.load())
            selected = resolve_budget(self.config.budget.samples, size, pool_size=size)
            few = self.config.finetune.too_few(selected) if "tokens" in self._context.steps else None
            refuse([UserError(few)] if few else [])

    def _check_anchors(self) -> None:
        """People's scores that cannot serve are refused before a rater is paid."""
        step = self._context.steps.get("curate")
        if step is not None and self.store.find(step) is None:
            curate.anchors_of(self._context)

    def _tracker(self, reporter: Reporter) -> Tracker | None:
        """None where tracking is off, or where this run was tracked before."""
        if self.config.tracking.off or self._tracked.exists():
            return None
        from ds2.report.tracking import Tracker

        return Tracker.start(self.config, name=self.name, run_id=self.fingerprint, say=reporter.warning)

    @property
    def _tracked(self) -> Path:
        """Exists once this run was tracked whole, in this mode and project."""
        tracking = self.config.tracking
        where = tracking.mode.value if tracking.service is TrackingService.wandb else tracking.service.value
        project = "-".join(filter(None, [where, tracking.entity, tracking.project]))
        return self.store.root / ".tracked" / f"{self.fingerprint}-{project}"

    def _build(self) -> None:
        """Every step that can be built; then, one refusal for those that cannot."""
        run, errors = self._context, list[UserError]()
        for stage in stages_of(self.config):
            try:
                step = STEPS[stage](run) if stage != "report" else self._report_step()
            except UserError as error:
                errors.append(error)
                if isinstance(error, NotKnownOffline):
                    run.offline()  # one answer is enough to know that the hub cannot be reached
                continue
            if step is not None:
                run.steps[stage] = step
        refuse(errors)


def _goes_on_without(rater: str, reason: str) -> str:
    return f"the panel goes on without {rater}: {' '.join(reason.split())}"


def _reason(error: Exception) -> str:
    """Why a rater failed; a defect, which is no user's error, is also printed whole."""
    if isinstance(error, UserError):
        return str(error)
    advice = extras.advice(error) if isinstance(error, ModuleNotFoundError) else None
    if advice is None:
        traceback.print_exception(error)
    return advice or f"{type(error).__name__}: {error}"
