"""Check of the store: nothing that a run would compute is there from a later stage version."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from ds2.artifacts.step import Step
from ds2.artifacts.store import ArtifactStore
from ds2.artifacts.versions import later
from ds2.base.paths import shown
from ds2.base.version import VERSION
from ds2.runs.preflight.finding import Finding, problem


def newer(store: ArtifactStore, steps: Sequence[Step]) -> Iterator[Finding]:
    """A later DS2 made the same of the same inputs: what this code would make is superseded."""
    for step in steps:
        other = store.of_version(step, later(step.stage))
        if other is not None:
            number, path = other
            yield problem(
                f"{step.name}: {shown(path)} was made by version {number} of the stage, and ds2 "
                f"{VERSION} knows version {step.version}: upgrade ds2, take another paths.artifacts, or "
                "remove it (ds2 gc newer delete)"
            )
