"""The chain:

    pool -> rate ---------+
         -> embed -> knn -+-> curate -> select -> finetune -> evaluate -> report

A run needs only the ancestors of its last stage: `selection=random` rates nothing, `selection=base` trains nothing.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from ds2 import selection, steps
from ds2.artifacts import RunResult, StageResult
from ds2.config import CurationMethod, RunConfig, TrackingMode, Until
from ds2.content import content_hashes
from ds2.errors import UserError
from ds2.pool import PoolSource
from ds2.stage import Outcome, Step, open_store
from ds2.steps import Context

if TYPE_CHECKING:
    from ds2.tracking import Tracker

BASE = "base"
"""The selection that selects nothing: the base model is evaluated as it is."""


ANCESTORS = {
    "rate": {"rate", "curate"},
    "embed": {"embed", "knn", "curate"},
    "knn": {"knn", "curate"},
    "curate": {"curate"},
    "measure": {"measure"},
}
"""Stage, in chain order -> the stages whose artifact a selection cannot have without it."""


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
        self.store = open_store(config.paths.artifacts)
        hashes = content_hashes((self.store.root / ".hashes.json").resolve())
        pool = PoolSource(
            config.pool,
            num_scores=config.scale.num_scores,
            offline=config.runtime.offline,
            hash_file=hashes.file,
        )
        self._context = Context(config, pool, hashes)
        self._build()

    @property
    def steps(self) -> list[Step]:
        return list(self._context.steps.values())

    @property
    def fingerprint(self) -> str:
        """Of the run: its last step's."""
        return self.steps[-1].fingerprint

    @property
    def name(self) -> str:
        """A name a person can read."""
        config, stages = self.config, self._context.steps
        rater = config.rater.name if "rate" in stages else None
        chosen = config.selection.name or config.selection.strategy
        method = config.curation.method
        if "curate" in stages and config.selection.curation is None and method is not CurationMethod.rank:
            chosen = f"{chosen}_{method.value}"  # the paper's own is not said; a preset says its own
        unlimited = "select" in stages and "budget" not in stages["select"].identity
        budget = None if chosen == BASE or unlimited else f"{config.budget.samples:g}"
        trained = (
            [config.model.name, f"s{config.seed}"] if "evaluate" in stages or "finetune" in stages else []
        )
        return "-".join(filter(None, [self._context.pool.name, rater, chosen, budget, *trained]))

    def run(self, reporter: Reporter | None = None) -> RunResult:
        """Compute what is missing, in order, and return every finished stage."""
        reporter = reporter or Reporter()
        self._check_budget()
        tracker = self._tracker(reporter)
        try:
            for step in self.steps:
                result = self.store.obtain(step, on_wait=lambda step=step: reporter.waiting(step))  # type: ignore[misc]
                self._context.results[step.stage] = result
                reporter.stage(result)
                if tracker:
                    tracker.log_stage(result)
        except BaseException:
            if tracker:
                tracker.finish(None)
            raise
        if tracker and tracker.finish(self.result()):
            self._tracked.parent.mkdir(exist_ok=True)
            self._tracked.touch()
        return self.result()

    def load(self) -> RunResult | None:
        """The finished run, from the store alone; None where a stage is missing.

        Enough for a table: of an evaluated run the report may be missing, and only the evaluation's files are compared with their
        checksums.

        Raises:
            DamagedArtifact: a record or the evaluation is damaged.
        """
        for step in self.steps:
            result = self.store.load(step, verify=step.stage == "evaluate")
            if result is not None:
                self._context.results[step.stage] = result
            elif step.stage != "report":
                return None
        return self.result()

    @property
    def finished(self) -> bool:
        """Whether `run` would find every stage, and the run tracked as it asks for."""
        tracked = self.config.tracking.mode is TrackingMode.none or self._tracked.exists()
        return tracked and all(self.store.find(step) for step in self.steps)

    def result(self) -> RunResult:
        return RunResult(self.config, self.name, self.fingerprint, dict(self._context.results))

    def plan(self) -> list[tuple[Step, Path | None]]:
        """Each step with its finished artifact, if there is one."""
        return [(step, self.store.find(step)) for step in self.steps]

    def _check_budget(self) -> None:
        """A budget that the pool cannot fill is refused before hours are spent on its way there."""
        step = self._context.steps.get("select")
        if step is not None and "budget" in step.identity and self.store.find(step) is None:
            size = len(self._context.pool.load())
            selection.resolve_budget(self.config.budget.samples, size, pool_size=size)

    def _tracker(self, reporter: Reporter) -> Tracker | None:
        """None where tracking is off, or where this run was tracked before."""
        if self.config.tracking.mode is TrackingMode.none or self._tracked.exists():
            return None
        from ds2.tracking import Tracker

        return Tracker.start(self.config, name=self.name, run_id=self.fingerprint, say=reporter.warning)

    @property
    def _tracked(self) -> Path:
        """Exists once this run was tracked whole, in this mode and project."""
        tracking = self.config.tracking
        project = "-".join(filter(None, [tracking.mode.value, tracking.entity, tracking.project]))
        return self.store.root / ".tracked" / f"{self.fingerprint}-{project}"

    def _build(self) -> None:
        run = self._context
        for stage in stages_of(self.config):
            step = getattr(steps, stage)(run) if stage != "report" else self._report()
            if step is not None:
                run.steps[stage] = step

    def _report(self) -> Step:
        def compute(folder: Path) -> Outcome:
            from ds2.report import render

            (folder / "report.html").write_text(render(self.result()), encoding="utf-8")
            return Outcome()

        return Step(
            "report", 2, self.name, {"name": self.name}, self._context.inputs(*self._context.steps), compute
        )


def stages_of(config: RunConfig) -> list[str]:
    """The last stage of a run and its ancestors, in order; `model` also where the base model needs no making."""
    until = config.until
    early = {Until.rate: ["rate"], Until.embed: ["embed"], Until.knn: ["embed", "knn"]}
    curated = ["rate", "embed", "knn", "curate"]
    if until in early:
        return early[until]
    if until is Until.curate:
        return curated
    if config.selection.strategy == BASE:
        selected, trained = [], ["model"]
    else:
        needed = selection.needs(config.selection)
        selected = [*(stage for stage in ANCESTORS if needed & ANCESTORS[stage]), "select"]
        if selection.measures_with_base_model(config.selection):
            selected = ["model", *selected]
        trained = ["model", "finetune"] if config.finetune.enabled else []
    chain = selected if until is Until.select else list(dict.fromkeys([*selected, *trained]))
    if trained and config.eval.enabled and until in (Until.evaluate, Until.report):
        chain = [*chain, "evaluate"]
    return [*chain, "report"] if until is Until.report else chain


def check(config: RunConfig) -> None:
    """Refuse choices that contradict each other, before anything runs."""
    presumed = config.selection
    if presumed.curation is not None and presumed.curation is not config.curation.method:
        raise UserError(
            f"selection={presumed.name} presumes curation={presumed.curation.value}, not {config.curation.method.value}; "
            "leave curation= out or choose another selection"
        )
    if presumed.rater is not None and presumed.rater != config.rater.name:
        raise UserError(
            f"selection={presumed.name} presumes rater={presumed.rater}, not {config.rater.name}; leave rater= out or "
            "choose another selection"
        )
    if not 2 <= config.scale.num_scores <= 11:
        raise UserError(
            f"scale.low={config.scale.low} and scale.high={config.scale.high} give {config.scale.num_scores} score "
            "levels; 2 to 11 are supported"
        )
    selection.check_budget(config.budget.samples)
    if config.seed < 0:
        raise UserError(f"seed={config.seed} must not be negative")
