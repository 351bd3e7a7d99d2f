"""The expected runs of a sweep, and what became of each: done, running, failed, missing, or not to be known
here.

A run is found by its fingerprint, so the answer is about exactly the run that the command would compute: an
artifact of an older stage version or of other settings is not it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from enum import Enum
from pathlib import Path
from typing import Any

from ds2.artifacts.run import RunResult
from ds2.artifacts.step import Step
from ds2.artifacts.store import ArtifactStore
from ds2.base.errors import DamagedArtifact, NotKnownOffline, UserError
from ds2.base.garbage import gc_paused
from ds2.base.hashes import fingerprint
from ds2.base.words import number_of
from ds2.config import RunConfig
from ds2.config.compose_cache import compose_all
from ds2.config.stages import check, key_of, run_name, stages_of
from ds2.report.table import ResultTable
from ds2.report.table_rows import apart
from ds2.runs.chain import Chain
from ds2.runs.job_files import Ledger, ledger


class State(Enum):
    done = "done"
    running = "running"
    failed = "failed"
    missing = "missing"
    unknown = "unknown"
    """Its fingerprint depends on something that this machine does not have."""


@dataclass(frozen=True)
class ExpectedRun:
    """One expected run."""

    overrides: Sequence[str]
    config: RunConfig
    state: State
    reason: str = ""
    """Why it failed, cannot be known, or what there is instead."""
    run: RunResult | None = None
    """Where it is done."""
    fingerprint: str | None = None
    """None: its state is unknown."""
    evaluation: str | None = None
    """That of its evaluation; None where it has none, too."""
    complete: bool = False
    """Whether another launch would find nothing to do."""

    @property
    def to_launch(self) -> bool:
        return not self.complete and self.state is not State.running


@gc_paused()
def look(
    runs: Sequence[Sequence[str]], artifacts: Path | str, *, remembers: bool = True
) -> list[ExpectedRun]:
    """What became of each run, in order; runs that are one are there once.

    Args:
        artifacts: root of the store that remembers configurations and jobs; a run's own is in its overrides.
        remembers: whether the store is to remember these configurations too; it is made where there is none.

    Raises:
        UserError: choices that contradict each other.
    """
    records, expected, offline = ledger(artifacts), [], False
    memory = Path(artifacts) if remembers else None
    for overrides, config in zip(runs, compose_all(runs, memory=memory), strict=True):
        check(config)
        if not stages_of(config):
            continue  # the base model, asked for its subset: there is nothing to make
        # One answer is enough to know that the hub cannot be reached.
        asked = replace(config, runtime=replace(config.runtime, offline=True)) if offline else config
        try:
            chain = Chain(asked)
        except UserError as error:
            offline = offline or isinstance(error, NotKnownOffline)
            expected.append(ExpectedRun(overrides, config, State.unknown, str(error)))
            continue
        if chain.lost:  # it has the smaller panel's fingerprint and is not that run
            reasons = "; ".join(f"{rater}: {reason}" for rater, reason in chain.lost.items())
            expected.append(ExpectedRun(overrides, config, State.unknown, f"of its panel, {reasons}"))
        else:
            found = _look(overrides, config, chain, records)
            evaluation = next((s.fingerprint for s in chain.steps if s.stage == "evaluate"), None)
            expected.append(replace(found, fingerprint=chain.fingerprint, evaluation=evaluation))
    return _distinct(expected)


def _distinct(expected: Sequence[ExpectedRun]) -> list[ExpectedRun]:
    """Each run once: grids fall together where what tells them apart has no say."""
    first: dict[object, ExpectedRun] = {}
    for each in expected:
        first.setdefault(each.fingerprint or tuple(sorted(each.overrides)), each)
    return list(first.values())


def _look(overrides: Sequence[str], config: RunConfig, chain: Chain, records: Ledger) -> ExpectedRun:
    if chain.fingerprint in records.running:
        return ExpectedRun(overrides, config, State.running)
    try:
        run = chain.load()
    except DamagedArtifact as error:
        return ExpectedRun(overrides, config, State.failed, str(error))
    if run is not None:
        evaluation = run.stages.get("evaluate")
        if evaluation is not None and evaluation.record["warnings"]:
            line = f"{evaluation.record['warnings'][0]}; delete {evaluation.path} to evaluate again"
            return ExpectedRun(overrides, config, State.failed, line, run)
        return ExpectedRun(overrides, config, State.done, run=run, complete=chain.finished)
    if chain.fingerprint in records.failures:
        return ExpectedRun(overrides, config, State.failed, records.failures[chain.fingerprint])
    return ExpectedRun(overrides, config, State.missing, older_version(chain))


def older_version(chain: Chain) -> str:
    """Which older stage versions made this run; empty where none did."""
    steps = chain.steps[:-1] if chain.steps[-1].stage == "report" else chain.steps
    versions = _made_with(chain.store, steps, {}) or [step.version for step in steps]
    changed = [
        f"{step.stage} {version} (now {step.version})"
        for step, version in zip(steps, versions, strict=True)
        if version != step.version
    ]
    return f"done with an older version of {', '.join(changed)}; not counted" if changed else ""


def _made_with(store: ArtifactStore, steps: Sequence[Step], old: Mapping[str, str]) -> list[int] | None:
    """The newest versions with which all these steps are in the store; None where they are with none.

    A step is only looked for after those before it were found: of a run that was never made a few names are
    hashed, and not each combination of versions.

    Args:
        old: fingerprints of the steps before, as they are and as their versions made them.
    """
    if not steps:
        return []
    step, rest = steps[0], steps[1:]
    inputs = {name: old.get(value, value) for name, value in step.inputs.items()}
    for version in range(step.version, 0, -1):
        made = fingerprint(
            {"stage": step.stage, "version": version, "identity": step.identity, "inputs": inputs}
        )
        if store.holds(step.stage, made):
            after = _made_with(store, rest, {**old, step.fingerprint: made})
            if after is not None:
                return [version, *after]
    return None


def by_recipe(recipes: Sequence[str], expected: Sequence[ExpectedRun]) -> dict[str, list[ExpectedRun]]:
    """The runs of each recipe of fine-tuning, by what is said of these keys on the command line."""
    groups: dict[str, list[ExpectedRun]] = {}
    for each in expected:
        given = dict(override.partition("=")[::2] for override in each.overrides)
        said = " ".join(f"{key}={given[key]}" for key in recipes if key in given)
        groups.setdefault(said, []).append(each)
    return groups


def check_cells(recipes: Sequence[str], expected: Sequence[ExpectedRun]) -> None:
    """Refuse runs that could end in no table, before they are computed: `ds2 -m` makes runs without one.

    Raises:
        UserError: two different runs would claim one cell of the table of their recipe.
    """
    for runs in by_recipe(recipes, expected).values():
        cells: dict[object, ExpectedRun] = {}
        for each in (run for run in runs if run.evaluation is not None):
            there = cells.setdefault((key_of(each.config), each.config.seed), each)
            if there.evaluation != each.evaluation:
                differ = apart(there.config, each.config)
                raise UserError(
                    f"two runs would claim one cell of the table, {run_name(each.config)}: they differ in "
                    f"{differ}; leave one out, name the key among the `recipes:` of a sweep of your own, or "
                    "make the runs without a table (ds2 -m)"
                )


def count(expected: Sequence[ExpectedRun]) -> str:
    """`12 runs: 10 done, 1 failed, 1 missing`."""
    states = Counter(each.state for each in expected)
    shown = [f"{states[state]} {state.value}" for state in State if states[state] or state is State.done]
    return f"{number_of(len(expected), 'run')}: {', '.join(shown)}"


def explain(expected: Sequence[ExpectedRun]) -> list[str]:
    """A line for each run that failed, and one for each reason why others cannot be known or count as
    missing.
    """
    common = set.intersection(*(set(each.overrides) for each in expected)) if len(expected) > 1 else set()
    lines = []
    for each in expected:
        if each.state is State.failed:
            words = " ".join(o for o in each.overrides if o not in common)
            lines.append(f"failed: {words}: {each.reason}")
    unknown = _by_reason(expected, State.unknown)
    lines += [f"cannot be known here ({number_of(n, 'run')}): {reason}" for reason, n in unknown]
    return [
        *lines,
        *(f"missing ({number_of(n, 'run')}): {reason}" for reason, n in _by_reason(expected, State.missing)),
    ]


def _by_reason(expected: Sequence[ExpectedRun], state: State) -> list[tuple[str, int]]:
    """Each reason once, as first worded: in brackets it may say how the hub failed, which later ones did
    not try.
    """
    by_reason: dict[str, list[str]] = {}
    for each in expected:
        if each.state is state and each.reason:
            by_reason.setdefault(each.reason.partition(" (")[0], []).append(each.reason)
    return [(reasons[0], len(reasons)) for reasons in by_reason.values()]


def table_of(expected: Sequence[ExpectedRun], **options: Any) -> ResultTable:
    """The table of expected runs; see `ResultTable` for the options."""
    done = [each.run for each in expected if each.run is not None and "evaluate" in each.run.stages]
    states = {State.unknown: State.missing}  # why it cannot be known is said beside the table
    waiting = [
        (each.config, states.get(each.state, each.state).value) for each in expected if each.run is None
    ]
    return ResultTable(done, waiting, **options)


def tables_of(
    recipes: Sequence[str], expected: Sequence[ExpectedRun], **options: Any
) -> dict[str, ResultTable]:
    """The table of each recipe; one, of no name, where there are no recipes."""
    groups = by_recipe(recipes, expected) or {"": []}
    return {recipe: table_of(runs, **options) for recipe, runs in groups.items()}
