"""Nearest to a target set in the hidden states of a model: RDS+ (Ivison et al., arXiv 2503.01807).

    h_n = sum over t of t x_nt / sum over t of t     x: last hidden states; t = 1, 2, ...: later positions
                                                     weigh more
    value_nq = cos(h_n, h_q)                         q: a conversation of the target set

Round robin: the queries take turns, in the file's order; each takes the sample nearest to it that nobody
took. So every query is served, and no easy one fills the budget. Ties by row.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ds2.base.errors import MissingInput, UserError
from ds2.config import FilesPoolConfig
from ds2.config.measured_selection import RdsPlusSelectionConfig
from ds2.models import parts, reader
from ds2.pool import Pool, PoolSource, Sample
from ds2.selection.filters import Eligible
from ds2.selection.request import Choice, Request
from ds2.selection.workspace import Workspace


def measure(
    config: RdsPlusSelectionConfig,
    pool: Pool,
    *,
    model: str,
    revision: str | None,
    workspace: Workspace,
    progress: bool,
) -> NDArray[np.float64]:
    """(N, Q) similarities of every sample to every query."""
    queries = read_target(config.target)

    def make() -> reader.Compute:
        lm = reader.load(model, revision, config)
        wanted = [lm.conversation(query) for query in queries]
        target = _unit(lm.weighted_states(wanted))

        def part(samples: Sequence[Sample]) -> parts.Part:
            texts = [lm.conversation(sample) for sample in samples]
            similarity = _unit(lm.weighted_states(texts)) @ target.T
            return lm.part(similarity, texts, shared=reader.tokens_of(wanted))

        return part

    similarities = parts.in_parts(
        pool.samples, make, workspace.parts, progress=progress, what="hidden states", meter=workspace.meter,
        engine=workspace.engine,
    )  # fmt: skip
    return np.concatenate(list(similarities))


def read_target(path: str) -> Sequence[Sample]:
    """The conversations of a target set.

    Raises:
        MissingInput: no such file. UserError: zero rows, or a bad one.
    """
    file = Path(path).expanduser()
    if not file.exists():
        raise MissingInput(f"selection.target={path}: no such file")
    if file.is_file() and not file.read_bytes().strip():
        raise UserError(f"selection.target={path} has zero rows: there is nothing to be near to")
    return PoolSource(FilesPoolConfig(name="target", path=path), num_scores=2).load().samples


def choose(request: Request[RdsPlusSelectionConfig]) -> Choice:
    """The `budget` samples that the queries take in turn."""
    values = request.values
    eligible = Eligible(request, np.asarray(np.isfinite(values).all(axis=1)), "that have a hidden state")
    candidates = np.flatnonzero(eligible.mask)
    wanted = [iter(_nearest(values[candidates, q], candidates, eligible)) for q in range(values.shape[1])]
    taken = np.zeros(request.pool_size, dtype=np.bool_)
    positions: list[int] = []
    by: list[int] = []
    while len(positions) < eligible.count:
        before = len(positions)
        for q, nearest in enumerate(wanted):
            if len(positions) == eligible.count:
                break
            free = next((n for n in nearest if not taken[n] and _admits(eligible, n)), None)
            if free is not None:
                taken[free] = True
                positions.append(free)
                by.append(q)
        if len(positions) == before:
            eligible.check_full(before)
            break
    chosen = np.array(positions, dtype=np.int64)
    similarity = values[chosen, by]
    reasons = [
        f"taken by target {q} at similarity {value:.4f}" for q, value in zip(by, similarity, strict=True)
    ]
    return Choice(chosen, reasons, similarity)


def _nearest(column: NDArray[np.float64], candidates: NDArray[np.int64], eligible: Eligible) -> list[int]:
    """One query's candidates, nearest first: as many as it could need."""
    count = len(candidates) if eligible.limits else min(eligible.count, len(candidates))
    if count < len(candidates):
        least = np.partition(column, len(column) - count)[len(column) - count]
        kept = np.flatnonzero(column >= least)
    else:
        kept = np.arange(len(candidates))
    order: list[int] = candidates[kept[np.argsort(-column[kept], kind="stable")]].tolist()
    return order


def _admits(eligible: Eligible, n: int) -> bool:
    return eligible.limits is None or eligible.limits.admit(n)


def _unit(rows: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.asarray(rows / np.linalg.norm(rows, axis=1, keepdims=True))
