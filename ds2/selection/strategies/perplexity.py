"""By perplexity of the answers under a given model: the paper's baseline `Perplexity` (section 5).

    value_n = exp nll(A | Q)        the sample's answers given what stands before them (ds2/models/reader.py)

`band`: `high` takes the largest, `low` the smallest, `middle` those whose log is nearest to the pool's
median. Ties by row.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from ds2.config.measured_selection import Band, PerplexitySelectionConfig
from ds2.models import parts, reader
from ds2.pool import Pool, Sample
from ds2.selection.request import Choice, Request
from ds2.selection.top import choose_top
from ds2.selection.workspace import Workspace


def measure(
    config: PerplexitySelectionConfig,
    pool: Pool,
    *,
    model: str,
    revision: str | None,
    workspace: Workspace,
    progress: bool,
) -> NDArray[np.float64]:
    """(N,) perplexities; NaN where no answer token lies within `max_tokens`."""

    def make() -> reader.Compute:
        lm = reader.load(model, revision, config)

        def part(samples: Sequence[Sample]) -> parts.Part:
            texts = [lm.conversation(sample) for sample in samples]
            return lm.part(lm.mean_nll(texts), texts)

        return part

    nll = parts.in_parts(
        pool.samples, make, workspace.parts, progress=progress, what="perplexity", meter=workspace.meter,
        engine=workspace.engine,
    )  # fmt: skip
    return np.asarray(np.exp(np.concatenate(list(nll))))


def choose(request: Request[PerplexitySelectionConfig]) -> Choice:
    """The `budget` samples of the band."""
    band, values = request.config.band, request.values
    known = np.isfinite(values)
    if band is Band.high:
        rank = values
    elif band is Band.low:
        rank = -values
    else:
        rank = -np.abs(np.log(values) - np.median(np.log(values[known])))
    choice = choose_top(request, rank, lambda _: "", allowed=known, that="that have an answer to measure")
    perplexities = values[choice.positions]
    return Choice(
        choice.positions,
        [f"perplexity {v:.4g}, {band.value}" for v in perplexities],
        perplexities,
        choice.next_in_line,
    )
