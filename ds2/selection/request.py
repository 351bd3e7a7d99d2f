"""What a selection strategy is given and what it returns."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, cast

import numpy as np
from numpy.typing import NDArray

from ds2.config import SelectionConfig
from ds2.errors import UserError

if TYPE_CHECKING:
    import pandas as pd

    from ds2.knn import KnnGraph
    from ds2.pool import Pool

_GIVEN_BY = {
    "pool": "the pool",
    "scores": "stage rate (rater=NAME)",
    "embeddings": "stage embed (embedder=NAME)",
    "graph": "stage knn (knn=exact)",
    "curation": "stage curate (curation=NAME)",
    "values": "stage measure (model=NAME)",
}


class Inputs:
    """Artifacts that a strategy may read, each loaded when it is first asked for.

    Args:
        loaders: name -> a function without arguments that reads it. Names: pool, scores, embeddings, graph, curation, values.
    """

    def __init__(self, **loaders: Callable[[], Any]) -> None:
        unknown = sorted(set(loaders) - set(_GIVEN_BY))
        if unknown:
            raise TypeError(f"no such input: {unknown[0]}")
        self._loaders = loaders
        self._loaded: dict[str, Any] = {}

    def read(self, name: str, wanted_by: str) -> Any:
        """One input. Raises UserError, naming what would give it, where this run has none."""
        if name not in self._loaded:
            if name not in self._loaders:
                raise UserError(
                    f"selection={wanted_by} reads {name}, which {_GIVEN_BY[name]} gives and this run lacks"
                )
            self._loaded[name] = self._loaders[name]()
        return self._loaded[name]


@dataclass(frozen=True)
class Request:
    config: SelectionConfig
    pool_size: int
    """N."""
    budget: float
    """Samples to select, or, below 1, a share of the pool."""
    seed: int
    inputs: Inputs = field(default_factory=Inputs)

    def _read(self, name: str) -> Any:
        return self.inputs.read(name, self.config.name)

    @property
    def pool(self) -> Pool:
        """Conversations, sources, columns."""
        return cast("Pool", self._read("pool"))

    @property
    def scores(self) -> NDArray[np.int64]:
        """(N,) scores as the rater gave them; -1: unrated."""
        return cast("NDArray[np.int64]", self._read("scores"))

    @property
    def embeddings(self) -> NDArray[np.float32]:
        """(N, d) unit rows."""
        return cast("NDArray[np.float32]", self._read("embeddings"))

    @property
    def graph(self) -> KnnGraph:
        """Each sample's nearest neighbours."""
        return cast("KnnGraph", self._read("graph"))

    @property
    def curation(self) -> pd.DataFrame:
        """The curation artifact's table, N rows."""
        return cast("pd.DataFrame", self._read("curation"))

    @property
    def values(self) -> NDArray[np.float64]:
        """What the `measure` stage found for each sample, (N,) or (N, Q)."""
        return cast("NDArray[np.float64]", self._read("values"))


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


def check_budget(budget: float) -> None:
    """Raises UserError for a budget that no pool could meet: zero, negative, or neither whole nor a share."""
    if not math.isfinite(budget) or budget <= 0:
        raise UserError(f"budget.samples={budget:g} must be a number of samples, or a share between 0 and 1")
    if budget >= 1 and budget != int(budget):
        raise UserError(f"budget.samples={budget:g} is neither a whole number nor a share below 1")


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
