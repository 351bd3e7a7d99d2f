"""`ds2.load_run` and `ds2.load_sweep`: what the store holds of finished runs, without computing anything."""

from __future__ import annotations

import html
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hydra.errors import HydraException
from omegaconf.errors import OmegaConfBaseException

from ds2.artifacts import subset
from ds2.artifacts.lineage import PAGE, lineage, locate, page_of
from ds2.artifacts.record import Record
from ds2.artifacts.step import StageResult, Status
from ds2.base import notebook
from ds2.base.errors import UserError
from ds2.base.undisturbed import undisturbed
from ds2.config import RunConfig, plugins
from ds2.config.command_line import CommandLine, parse
from ds2.config.compose import artifacts_root
from ds2.config.hydra_errors import explain
from ds2.config.kept import restore
from ds2.config.stages import CHOICES, STAGES, key_of, run_name, stages_of
from ds2.config.sweep import Sweep, combinations
from ds2.config.sweep import load_sweep as read_sweep
from ds2.report.recipes import joined
from ds2.runs.expected import ExpectedRun, count, look, tables_of
from ds2.runs.expected import explain as explain_states
from ds2.runs.library import FinishedRun

if TYPE_CHECKING:
    import pandas as pd

    from ds2.report.table import ResultTable


def load_run(run: Path | str, *, artifacts: Path | str | None = None) -> FinishedRun:
    """A finished run, from its artifacts. Tables are read when they are asked for; files are not held
    against their checksums (`ds2 doctor` does that).

    Args:
        run: its name, as the command prints it; its page; or an artifact that it ended with (folder,
            fingerprint, the first digits of that). An artifact in the middle of a run is that run so far.
        artifacts: the store's folder; None: where `ds2` looks, `artifacts` in the working folder.

    Raises:
        UserError: none or several are meant.
        DamagedArtifact: a record is not what was written.
    """
    root = artifacts_root([]) if artifacts is None else Path(artifacts)
    artifact = locate(root, str(run))
    stages = _stages(artifact if artifact.parent.name == PAGE else page_of(artifact) or artifact)
    last = list(stages.values())[-1]
    config = _configuration(last.record.get("run"))
    if isinstance(config, RunConfig) and last.name == PAGE and PAGE not in stages_of(config):
        last = list(stages.values())[-2]  # a page of a run that ended earlier is no stage of it
    name = run_name(config) if isinstance(config, RunConfig) else last.record["slug"]
    return FinishedRun(f"{name}-{last.fingerprint[:6]}", last.fingerprint, stages, config)


def _configuration(kept: Mapping[str, Any] | None) -> RunConfig | Mapping[str, Any] | None:
    """What a record keeps of the configuration; as it stands where this version cannot read it: the run says
    so when it is asked for it, and its tables can be read all the same.
    """
    try:
        return None if kept is None else restore(kept)
    except UserError:
        return kept


def _stages(last: Path) -> dict[str, StageResult]:
    """What an artifact was made from, and itself, in chain order; of a panel each rater's, `rate.NAME`."""
    found = {
        name: _result(name, path, record)
        for name, (path, record) in lineage(last).items()
        if name.partition(".")[0] in STAGES
    }
    return dict(
        sorted(found.items(), key=lambda item: (STAGES.index(item[0].partition(".")[0]), -len(item[0])))
    )


def _result(name: str, path: Path, record: Record) -> StageResult:
    return StageResult(name, record["fingerprint"], path, Status.reused, 0.0, record)


def load_sweep(overrides: Sequence[str]) -> FinishedSweep:
    """The runs of a sweep, as far as the store holds them; nothing is computed.

    overrides: as on the command line. `["sweep=mini_table", ...]` is a named grid, `["rater=a,b",
    "budget=1k,5k", ...]` what `ds2 -m` makes of these choices.

    Raises:
        UserError: an unknown sweep or choice, or choices that contradict each other.
    """
    with undisturbed():
        try:
            sweep, runs = _expanded(parse(["--multirun", *overrides]))
            return FinishedSweep(sweep, tuple(look(runs, artifacts_root(runs[0]))))
        except (HydraException, OmegaConfBaseException) as error:
            raise UserError(explain(error)) from error


def _expanded(command: CommandLine) -> tuple[Sweep, list[list[str]]]:
    plugins.activate(command.overrides)
    if command.sweep is None:
        return Sweep("these choices"), combinations(command.overrides)
    sweep = read_sweep(command.sweep, command.overrides)
    return sweep, sweep.runs(command.overrides)


@dataclass(frozen=True, repr=False)
class FinishedSweep:
    """The runs of a sweep, and what they say together; runs that are not done are counted, never left out
    in silence.
    """

    _sweep: Sweep
    _expected: tuple[ExpectedRun, ...]

    @property
    def name(self) -> str:
        """The grid's."""
        return self._sweep.name

    @cached_property
    def runs(self) -> Mapping[str, FinishedRun]:
        """Those that are done, by name."""
        done = [each.run for each in self._expected if each.run is not None]
        return {run.name: FinishedRun(run.name, run.fingerprint, run.stages, run.config) for run in done}

    @property
    def states(self) -> pd.DataFrame:
        """A row a run: its choices and seed, its state (done, running, failed, missing, unknown), why, and
        its name in `runs` where it is done.
        """
        import pandas as pd

        rows = [
            {
                **dict(zip(CHOICES, key_of(each.config), strict=True)), "seed": each.config.seed,
                "state": each.state.value, "reason": each.reason, "run": each.run and each.run.name,
            }
            for each in self._expected
        ]  # fmt: skip
        return pd.DataFrame(rows)

    @property
    def results(self) -> pd.DataFrame:
        """A row a run and task: the choices, seed, run, task, metric, value (a share), stderr, n; the average
        of a run's tasks as task `average`.
        """
        return joined({recipe: table.frame() for recipe, table in self._tables.items()})

    @property
    def table(self) -> pd.DataFrame:
        """A row a cell of the printed table, in points: mean, std over seeds, the difference to the baseline
        with its 95 % interval.
        """
        return joined({recipe: table.summary() for recipe, table in self._tables.items()})

    @property
    def overlap(self) -> pd.DataFrame:
        """Jaccard index of the subsets of every two runs, by name: shared samples over samples of either."""
        import pandas as pd

        chosen = {
            name: set(subset.read_subset(run.path("select"), "id")["id"])
            for name, run in self.runs.items()
            if "select" in run.stages
        }
        values = {
            a: [len(mine & other) / len(mine | other) for other in chosen.values()]
            for a, mine in chosen.items()
        }
        return pd.DataFrame(values, index=list(chosen))

    @cached_property
    def _tables(self) -> dict[str, ResultTable]:
        return tables_of(self._sweep.recipes, self._expected, baselines=self._sweep.baselines)

    def __repr__(self) -> str:
        return f"FinishedSweep({self.name}: {count(self._expected)})"

    def _repr_html_(self) -> str:
        lines = [count(self._expected), *explain_states(self._expected)]
        evaluated = any("evaluate" in run.stages for run in self.runs.values())
        if evaluated:
            cells = "".join(
                (notebook.prose(recipe) if recipe else "") + table.table("table").text.to_html(index=False)
                for recipe, table in self._tables.items()
            )
            notes = list(dict.fromkeys(note for table in self._tables.values() for note in table.notes()))
        else:
            cells, notes = self._shown_states()
        said = "".join(map(notebook.prose, [*lines, *notes]))
        title = html.escape(self._sweep.title or self.name)
        return f"<p><b>{title}</b></p>{cells}{said}"

    def _shown_states(self) -> tuple[str, list[str]]:
        """What differs between the runs as a table, and a line of what all have in common."""
        states = self.states.drop(columns="reason")
        same = [name for name in (*CHOICES, "seed") if len(states) > 1 and states[name].nunique() < 2]
        rows = states.drop(columns=same).fillna("").itertuples(index=False)
        common = [f"{name} {states[name].iloc[0]}" for name in same if states[name].iloc[0] not in (None, "")]
        said = [f"All: {', '.join(common)}."] if common else []
        return notebook.table([str(name) for name in states if name not in same], rows), said
