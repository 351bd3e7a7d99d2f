"""One finding of a check, and what a check is given."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

from ds2.artifacts.store import open_store
from ds2.config import RunConfig
from ds2.pool import Pool
from ds2.runs.pools import pool_of


@dataclass(frozen=True)
class Finding:
    """One line for a person, which names the option and the remedy."""

    line: str
    warning: bool = False


def problem(line: str) -> Finding:
    return Finding(line)


def warning(line: str) -> Finding:
    return Finding(line, warning=True)


@dataclass(frozen=True)
class Run:
    """A run as checks see it."""

    config: RunConfig
    pending: frozenset[str]
    """Stages that are still to be computed."""
    model_known: bool = True
    """Whether the base model could be found: its fit to the recipe can be looked at."""

    @cached_property
    def pool(self) -> Pool:
        """The samples. Raises UserError where they cannot be had."""
        return pool_of(self.config, open_store(self.config.paths.artifacts)).load()
