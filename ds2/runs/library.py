"""`ds2.run`: a chain from Python, in a notebook say. What it left, or the store holds of it, as paths and
tables.
"""

from __future__ import annotations

import html
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hydra.errors import HydraException
from omegaconf.errors import OmegaConfBaseException

from ds2.artifacts import adapter, curation, page, ratings, subset, training
from ds2.artifacts.evaluation import Evaluation
from ds2.artifacts.run import RunResult
from ds2.artifacts.step import StageResult
from ds2.base import notebook
from ds2.base.errors import MissingInput, UserError
from ds2.base.paths import shown
from ds2.base.undisturbed import undisturbed
from ds2.base.words import counted
from ds2.config.command_line import as_they_stand
from ds2.config.compose import compose
from ds2.config.hydra_errors import explain
from ds2.config.kept import restore
from ds2.report import facts
from ds2.runs.preflight import Preflight

if TYPE_CHECKING:
    import pandas as pd

    from ds2.config import RunConfig
    from ds2.method.curation.result import Diagnostics

_COUNTS_SHOWN = 2
"""A stage's line in a notebook holds so many of its counts; its record holds all."""


def run(overrides: Sequence[str] = ()) -> FinishedRun:
    """Run a chain as `ds2 OVERRIDES` does; finished stages are reused.

    overrides: `["pool=jsonl", "pool.path=mine.jsonl", ...]`, as on the command line. Nothing is printed but
    progress bars (`runtime.progress=false`: nor they); no state of the process is changed.

    Raises:
        UserError: what is to be changed, each problem a line of it, before the first stage where it can be
            known by then.
    """
    with undisturbed():
        chain, found = Preflight().look(_configuration(overrides))
        found.refuse()
        assert chain is not None  # else there was a problem
        result = chain.run()
        if "report" not in result.stages:
            chain.report()
            result = chain.result()
    return FinishedRun(result.name, result.fingerprint, result.stages, result.config, found.warnings)


def _configuration(overrides: Sequence[str]) -> RunConfig:
    try:
        return compose(as_they_stand(overrides))
    except (HydraException, OmegaConfBaseException) as error:
        raise UserError(explain(error)) from error


@dataclass(frozen=True, repr=False)
class FinishedRun:
    """A finished run: its configuration, the folders of its stages, and their content as tables, read when
    they are asked for.
    """

    name: str
    """A name a person can read: pool, rater, selection, budget, model, seed."""
    fingerprint: str
    """16 hex digits, of the run's last stage."""
    stages: Mapping[str, StageResult]
    """Stage -> its folder (`path`), whether it was computed or reused (`status`), its record."""
    _config: RunConfig | Mapping[str, Any] | None
    """As it was composed, or as the last stage's record keeps it."""
    _found: tuple[str, ...] = ()

    @property
    def config(self) -> RunConfig:
        """All that was chosen. Raises UserError where this version of DS2 cannot read what was kept of it."""
        if self._config is None:
            raise UserError(f"{self.name}: the store does not say with what configuration it was made")
        return restore(self._config) if isinstance(self._config, Mapping) else self._config

    @property
    def _result(self) -> RunResult:
        return RunResult(self.config, self.name, self.fingerprint, self.stages)

    def path(self, stage: str) -> Path:
        """The folder of a stage. Raises MissingInput where the run has no such stage."""
        if stage not in self.stages:
            raise MissingInput(f"this run has no stage {stage}; it has: {', '.join(self.stages)}")
        return self.stages[stage].path

    @property
    def subset(self) -> pd.DataFrame:
        """Selected samples in order of choice: id, source, row in the pool, scores, reason."""
        return subset.read_subset(self.path("select"))

    @property
    def subset_file(self) -> Path:
        """JSONL of the selected conversations."""
        return subset.conversations(self.path("select"))

    @property
    def ratings(self) -> pd.DataFrame:
        """Scores of every sample of the pool, a row each."""
        return ratings.read_ratings(self.path("rate"))

    @property
    def curation(self) -> pd.DataFrame:
        """Curated scores, confidence and long-tail score of every sample, a row each."""
        return curation.read_curation(self.path("curate"))

    @property
    def scores(self) -> pd.DataFrame:
        """What is known of every sample, a row each in pool order: the curation's columns, or the rater's
        where nothing was curated, and `rank`, its place in the subset from 0, null where it was not chosen.
        """
        known = self.curation if "curate" in self.stages else self.ratings
        if "select" in self.stages:
            chosen = subset.read_subset(self.path("select"), "id", "rank").set_index("id")["rank"]
            known["rank"] = known["id"].map(chosen).astype("Int64")
        return known

    @property
    def transition(self) -> facts.Transition | None:
        """How the rater errs, P(rated | true), and the shares of the true scores; None where it was not
        estimated. A panel has none.
        """
        matrices = facts.transitions_of(self.path("curate"))
        return matrices[0] if len(matrices) == 1 else None

    @property
    def diagnostics(self) -> Diagnostics:
        """What curation measured, and how far to trust it."""
        return curation.RaterErrors.read(self.path("curate")).diagnostics

    @property
    def records(self) -> pd.DataFrame:
        """A row a stage: version, fingerprint, when it was finished, seconds it took, bytes, folder."""
        import pandas as pd

        rows = [
            {
                "stage": name, "version": stage.record["version"], "fingerprint": stage.fingerprint,
                "finished": pd.Timestamp(stage.record["finished"]), "seconds": stage.record["wall_seconds"],
                "bytes": sum(file["bytes"] for file in stage.record["files"].values()),
                "path": str(stage.path),
            }
            for name, stage in self.stages.items()
        ]  # fmt: skip
        return pd.DataFrame(rows)

    @property
    def results(self) -> pd.DataFrame:
        """Scores of the evaluation: task, metric, value, stderr, number of questions."""
        import pandas as pd

        return pd.DataFrame([vars(result) for result in Evaluation.read(self.path("evaluate")).results])

    @property
    def learning_curve(self) -> pd.DataFrame | None:
        """Loss and learning rate by optimiser step; None where there was no step."""
        return training.read_curve(self.path("finetune"))

    @property
    def adapter(self) -> Path:
        """Folder of the PEFT adapter."""
        return adapter.weights(self.path("finetune"))

    @property
    def report(self) -> Path:
        """The run's page."""
        return page.html(self.path("report"))

    @property
    def verdict(self) -> str | None:
        """What was done with the scores and on what evidence, what it cannot tell, what would."""
        return facts.verdict(self._result)

    @property
    def warnings(self) -> tuple[str, ...]:
        """Those of the checks before the run and of its stages."""
        of_stages = (f"{name}: {line}" for name, stage in self.stages.items() for line in _warnings(stage))
        return (*self._found, *of_stages)

    def __repr__(self) -> str:
        return f"FinishedRun({self.name}: {', '.join(self.stages)})"

    def _repr_html_(self) -> str:
        rows = [
            (name, stage.status.value, counted(stage.record["counts"], _COUNTS_SHOWN), shown(stage.path))
            for name, stage in self.stages.items()
        ]
        return (
            f"<p><b>{html.escape(self.name)}</b></p>{self._said()}"
            + notebook.table(("stage", "", "counts", "folder"), rows)
            + (self.results.to_html(index=False) if "evaluate" in self.stages else "")
        )

    def _said(self) -> str:
        try:
            return notebook.prose(self.verdict or "")
        except UserError as error:  # shown in its place: an older store is looked at all the same
            return notebook.prose(str(error))


def _warnings(stage: StageResult) -> Sequence[Any]:
    return stage.record["warnings"]
