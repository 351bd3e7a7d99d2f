"""Computing what is in the store once more, and comparing.

Each stage is computed from its inputs as the store holds them, so that a difference is named where it
arises; where every stage of a run comes out equal, so does the run. Equal means: the same bytes, but for what
tells of the machine and of the moment. Other numbers are accepted only where there is a reason for them (a
GPU, other packages, another machine), up to `TOLERANCE`, and are never called equal.
"""

from __future__ import annotations

import shutil
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from enum import Enum
from pathlib import Path

from ds2.artifacts.comparison import FileDifference, differences
from ds2.artifacts.lineage import PAGE, locate, means_run
from ds2.artifacts.locks import held
from ds2.artifacts.provenance import provenance
from ds2.artifacts.record import Record, read_record
from ds2.artifacts.step import Step
from ds2.artifacts.store import open_store
from ds2.base.errors import UserError
from ds2.base.paths import shown
from ds2.base.words import number_of
from ds2.config import RunConfig
from ds2.config.kept import restore
from ds2.runs.chain import Chain

TOLERANCE = 1e-3
"""Standard deviations that a number may lie from what is stored, where there is a reason."""


class State(Enum):
    """What became of the comparison of one artifact."""

    equal = "equal"
    close = "close"
    differs = "differs"
    left_out = "left out"


@dataclass(frozen=True)
class Verified:
    """One artifact, computed once more."""

    stage: str
    path: Path
    state: State
    seconds: float
    text: str = ""
    """Why it is not equal."""


def verify(root: Path, name: str, *, whole: bool = False) -> Iterator[Verified]:
    """Compute an artifact of a store once more, or all of its run, a stage at a time.

    Args:
        name: as `ds2.artifacts.lineage.locate` takes it; a run's means all its stages.
        whole: of an artifact, also all that it was made from.

    Raises:
        UserError: no such artifact, or it cannot be computed from what is here now.
        DamagedArtifact: it, or an input of it, is not what its record says.
    """
    artifact = locate(root, name)
    store = open_store(artifact.parents[1])
    record = store.verify(artifact)
    chain = Chain(_configuration(artifact, record))
    if means_run(artifact, name):
        wanted = chain.steps
    else:
        own = _step_of(chain, artifact, record)
        wanted = _ancestors(chain, own) if whole else [own]
    for step in wanted:
        stored = chain.store.find(step)
        if stored is None:
            raise UserError(_why_absent(chain, step, record))
        yield _verified(chain, step, stored)


def _configuration(artifact: Path, record: Record) -> RunConfig:
    kept = record.get("run")
    if kept is None:
        raise UserError(
            f"{shown(artifact)} was computed before records kept the configuration of their run; delete it, "
            "run again and verify that"
        )
    config = restore(kept)
    paths = replace(config.paths, artifacts=str(artifact.parents[1]))
    return replace(config, paths=paths, plan=False, prepare=False)


def _step_of(chain: Chain, artifact: Path, record: Record) -> Step:
    for step in chain.steps:
        if step.fingerprint == record["fingerprint"]:
            return step
    same = next((step for step in chain.steps if step.stage == record["stage"]), None)
    raise UserError(f"{shown(artifact)} cannot be computed again: {_moved(same, record)}")


def _why_absent(chain: Chain, step: Step, of: Record) -> str:
    """The step of today's chain is not in the store: say what moved since the run was made."""
    before = of["inputs"].get(step.name)
    if before is None:
        return f"stage {step.name} ({step.fingerprint}) is not in the store"
    stored = next(chain.store.root.glob(f"{step.stage}/*-{before}"), None)
    moved = "it is gone from the store" if stored is None else _moved(step, read_record(stored))
    return f"stage {step.name} cannot be computed again: {moved}"


def _moved(step: Step | None, record: Record) -> str:
    """Why today's step is another one than the record's."""
    if step is None:
        return "its run has no such stage now"
    if step.version != record["version"]:
        return (
            f"this DS2 computes version {step.version} of the stage, and this is version {record['version']}"
        )
    inputs = [name for name, value in record["inputs"].items() if step.inputs.get(name) != value]
    if inputs:
        return f"its input {', '.join(inputs)} is another one now (an edited file, or another version)"
    keys = [key for key, value in record["config"].items() if step.identity.get(key) != value]
    return f"its settings are other ones now: {', '.join(keys) or 'a setting is new'}"


def _ancestors(chain: Chain, last: Step) -> list[Step]:
    wanted = {last.fingerprint, *last.inputs.values()}
    for step in reversed(chain.steps):
        if step.fingerprint in wanted:
            wanted |= set(step.inputs.values())
    return [step for step in chain.steps if step.fingerprint in wanted]


def _verified(chain: Chain, step: Step, stored: Path) -> Verified:
    began = time.perf_counter()
    record = chain.store.verify(stored)

    def ended(state: State, text: str = "") -> Verified:
        return Verified(step.name, stored, state, time.perf_counter() - began, text)

    if step.stage == PAGE:
        return ended(State.left_out, "the page is a view of the others, with their times and places")
    unasked = chain.unasked(step)
    if unasked:
        return ended(
            State.left_out, f"{number_of(unasked, 'answer')} of the model not kept, and asking is not free"
        )
    found = _differences(chain, step, stored, record)
    if not found:
        return ended(State.equal, number_of(len(record["files"]), "file"))
    return ended(*_judged(found, _reasons(record, step)))


def _differences(chain: Chain, step: Step, stored: Path, record: Record) -> Sequence[FileDifference]:
    """Of the files computed anew; `ds2 gc` leaves their folder alone meanwhile, another verify waits."""
    made = stored.parent / f".verify-{step.fingerprint}"
    with held(made.parents[1], made):
        shutil.rmtree(made, ignore_errors=True)
        made.mkdir()
        try:
            chain.recompute(step, made)
            for name in step.scratch:
                shutil.rmtree(made / name, ignore_errors=True)
            return differences(stored, made, record["files"])
        finally:
            shutil.rmtree(made, ignore_errors=True)


def _judged(found: Sequence[FileDifference], reasons: Sequence[str]) -> tuple[State, str]:
    told = "; ".join(f"{each.name}: {each.text}" for each in found)
    apart = [each.apart for each in found if each.apart is not None]
    because = f" ({'; '.join(reasons)})" if reasons else ""
    if len(apart) < len(found):
        return State.differs, told + because
    furthest = f"; at most {max(apart):.1e} standard deviations apart"
    close = bool(reasons) and max(apart) <= TOLERANCE
    return State.close if close else State.differs, told + furthest + because


def _reasons(record: Record, step: Step) -> list[str]:
    """Why other numbers may come out here than there."""
    now, reasons = provenance(step.package), list[str]()
    torch = sys.modules.get("torch")
    if torch is not None and torch.cuda.is_available():
        reasons.append("a GPU is here, and sums in an order of its own")
    moved = [
        f"{name} {version} was {before}"
        for name, version in now["versions"].items()
        if (before := record["versions"].get(name, "absent")) != version and name != "ds2"
    ]
    reasons += moved
    if dict(record["host"]) != dict(now["host"]):
        reasons.append(f"computed on {record['host'].get('name')}, another machine")
    if record["counts"].get("clock_led_steps"):
        reasons.append("its pre-training was led by the clock")
    return reasons
