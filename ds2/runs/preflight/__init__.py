"""What can be known of a run before its first stage: all of it, at once.

A check is a generator of findings about one stage or about the machine; it names the groups of the
configuration that it reads, so that the runs of a sweep that agree there are looked at once. A stage that is
in the store already is not checked. `Preflight.look` gives every finding; a problem stops the run, a warning
does not (`on_warning=fail`: it does).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from ds2.artifacts.step import Step
from ds2.base import extras
from ds2.base.dataclass_json import to_plain
from ds2.base.errors import UserError
from ds2.base.hashes import canonical_json
from ds2.config import RunConfig
from ds2.config.run import OnWarning
from ds2.config.stages import stages_of
from ds2.runs.chain import Chain
from ds2.runs.preflight import compute, disk, machine, plugins, stages, versions
from ds2.runs.preflight.finding import Finding, Run, problem


@dataclass(frozen=True)
class Findings:
    """What was found of one run."""

    problems: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()

    def refuse(self) -> None:
        """Raises UserError with every problem, a line each."""
        if self.problems:
            raise UserError(*self.problems)


@dataclass(frozen=True)
class Check:
    """One thing to look at."""

    look: Callable[[Run], Iterator[Finding]]
    reads: tuple[str, ...]
    """Groups of the configuration."""
    stages: tuple[str, ...] = ()
    """Looked at where one of these is still to be computed; none: always."""


CHECKS = (
    Check(stages.budget, ("pool", "budget", "selection", "scale"), ("select",)),
    Check(
        compute.budget,
        ("pool", "budget", "selection", "rater", "embedder", "scale", "model", "finetune", "paths"),
        ("select",),
    ),
    Check(stages.rate, ("pool", "rater", "scale", "curation", "plan", "paths"), ("rate",)),
    Check(stages.embed, ("pool", "embedder", "scale"), ("embed",)),
    Check(stages.knn, ("knn",), ("knn",)),
    Check(stages.curate, ("curation", "scale", "knn"), ("curate",)),
    Check(stages.select, ("selection", "knn"), ("select", "measure")),
    Check(stages.finetune, ("finetune", "model", "pool", "scale"), ("finetune",)),
    Check(stages.evaluate, ("eval",), ("evaluate",)),
    Check(stages.prompts, ("eval", "model", "finetune", "selection"), ("evaluate",)),
    Check(stages.isolate, ("runtime",), ("finetune", "evaluate")),
    Check(machine.packages, ("rater", "embedder", "selection", "finetune", "eval", "model", "engine")),
    Check(machine.engine, ("engine",)),
    Check(
        disk.room, ("pool", "rater", "embedder", "knn", "selection", "budget", "finetune", "model", "paths")
    ),
    Check(machine.tracking, ("tracking",)),
    Check(plugins.requirements, ("plugins",)),
)


class Preflight:
    """The checks of one command."""

    def __init__(self) -> None:
        self._known: dict[bytes, tuple[Finding, ...]] = {}
        self._newer_of: dict[str, tuple[Finding, ...]] = {}

    def look(self, config: RunConfig) -> tuple[Chain | None, Findings]:
        """The chain (None where it cannot be built) and everything that was found of it."""
        try:
            chain = Chain(config)
            missing = [step for step in chain.steps if chain.store.find(step) is None]
            pending = {step.stage for step in missing}
            found = [*plugins.reused(chain.store, chain.steps), *self._newer(chain, missing)]
        except UserError as error:
            chain, pending = None, set(stages_of(config))
            found = [problem(line) for line in error.lines]
        run = Run(config, frozenset(pending), chain is not None)
        for check in CHECKS:
            if not check.stages or pending & set(check.stages):
                found += self._look(check, run)
        return chain, _sorted(found, fail=config.on_warning is OnWarning.fail)

    def _newer(self, chain: Chain, missing: list[Step]) -> tuple[Finding, ...]:
        for step in missing:
            if step.fingerprint not in self._newer_of:
                self._newer_of[step.fingerprint] = tuple(versions.newer(chain.store, [step]))
        return tuple(each for step in missing for each in self._newer_of[step.fingerprint])

    def _look(self, check: Check, run: Run) -> tuple[Finding, ...]:
        values: list[Any] = [to_plain(getattr(run.config, name)) for name in check.reads]
        key = canonical_json([check.look.__name__, sorted(run.pending), run.model_known, values])
        if key not in self._known:
            self._known[key] = tuple(_findings(check, run))
        return self._known[key]


def _findings(check: Check, run: Run) -> Iterator[Finding]:
    """A check's findings; what it refuses or cannot import is one of them."""
    try:
        yield from check.look(run)
    except UserError as error:
        yield from (problem(line) for line in error.lines)
    except ModuleNotFoundError as error:
        line = extras.advice(error)
        if line is None:
            raise
        yield problem(line)


def _sorted(found: list[Finding], *, fail: bool) -> Findings:
    problems = dict.fromkeys(each.line for each in found if not each.warning)
    warnings = dict.fromkeys(each.line for each in found if each.warning)
    if fail:
        problems |= dict.fromkeys(f"{line} (on_warning=fail)" for line in warnings)
    return Findings(tuple(problems), () if fail else tuple(warnings))


__all__ = ["CHECKS", "Check", "Findings", "Preflight"]
