"""What a selection strategy is given and what it returns."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Generic, TypeVar

import numpy as np
from numpy.typing import NDArray

from ds2.base.errors import UserError
from ds2.config import SelectionConfig
from ds2.config.stages import check_budget

if TYPE_CHECKING:
    import pandas as pd

    from ds2.method.knn import KnnGraph
    from ds2.pool import Pool

C = TypeVar("C", bound=SelectionConfig, covariant=True)
T = TypeVar("T")


@dataclass(frozen=True)
class Readers:
    """Readers of the artifacts that a strategy may read, each called when it is first asked for; None: this
    run has none.
    """

    pool: Callable[[], Pool] | None = None
    scores: Callable[[], NDArray[np.int16]] | None = None
    embeddings: Callable[[], NDArray[np.float32]] | None = None
    graph: Callable[[], KnnGraph] | None = None
    curation: Callable[[], pd.DataFrame] | None = None
    values: Callable[[], NDArray[np.float64]] | None = None


@dataclass(frozen=True)
class Request(Generic[C]):
    """What a strategy is asked: `config`, how many of N samples, and the artifacts to go by."""

    config: C
    pool_size: int
    """N."""
    budget: float
    """Samples to select, or, below 1, a share of the pool."""
    seed: int
    readers: Readers = field(default_factory=Readers)

    @cached_property
    def pool(self) -> Pool:
        """Conversations, sources, columns."""
        return self._read("pool", "the pool", self.readers.pool)

    @cached_property
    def scores(self) -> NDArray[np.int16]:
        """(N,) scores as the rater gave them; -1: unrated."""
        return self._read("scores", "stage rate (rater=NAME)", self.readers.scores)

    @cached_property
    def embeddings(self) -> NDArray[np.float32]:
        """(N, d) unit rows."""
        return self._read("embeddings", "stage embed (embedder=NAME)", self.readers.embeddings)

    @cached_property
    def graph(self) -> KnnGraph:
        """Each sample's nearest neighbours."""
        return self._read("graph", "stage knn (knn=exact)", self.readers.graph)

    @cached_property
    def curation(self) -> pd.DataFrame:
        """The curation artifact's table, N rows."""
        return self._read("curation", "stage curate (curation=NAME)", self.readers.curation)

    @cached_property
    def values(self) -> NDArray[np.float64]:
        """What the `measure` stage found for each sample, (N,) or (N, Q)."""
        return self._read("values", "stage measure (model=NAME)", self.readers.values)

    def _read(self, name: str, given_by: str, reader: Callable[[], T] | None) -> T:
        """One input. Raises UserError, naming what would give it, where this run has none."""
        if reader is None:
            raise UserError(
                f"selection={self.config.name} reads {name}, which {given_by} gives and this run lacks"
            )
        return reader()


@dataclass(frozen=True)
class Choice:
    positions: NDArray[np.int64]
    """Positions in the pool, best first."""
    reasons: Sequence[str]
    """Why each was chosen, in a few words."""
    values: NDArray[np.float64] | None = None
    """The number each was ranked by, where there is one."""
    next_in_line: NDArray[np.int64] = field(default_factory=lambda: np.zeros(0, dtype=np.int64))
    """The first samples that were left out, best first, where the strategy ranks."""
    warnings: tuple[str, ...] = ()


def resolve_budget(budget: float, available: int, *, pool_size: int, that: str = "that have a score") -> int:
    """Number of samples to select.

    Args:
        budget: a whole number of samples, or a share of the pool in (0, 1).
        available: samples that can be chosen.
        that: what distinguishes those from the rest of the pool, for the refusal.

    Raises:
        UserError: a budget that no pool could meet, or more than is available.
    """
    check_budget(budget)
    count = max(1, round(budget * pool_size)) if budget < 1 else int(budget)
    if count > available:
        of = (
            f"the pool's {pool_size} samples"
            if available == pool_size
            else f"the {available} of {pool_size} {that}"
        )
        raise UserError(f"budget.samples={count} is more than {of}; lower it")
    return count
