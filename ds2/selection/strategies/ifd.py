"""Instruction-following difficulty (arXiv 2308.12032; with a small model: Superfiltering, arXiv 2402.00530).

    IFD_n = exp(nll(A | Q) - nll(A))        perplexity of the answer with its question over that without

Near 1: the question hardly helps, the sample is hard. Above 1 the question makes the answer less likely:
such samples are misaligned and left out, as in the paper. The largest first; ties by row. Conversations of
several turns count all answers.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import numpy as np
from numpy.typing import NDArray

from ds2.config.measured_selection import IfdSelectionConfig
from ds2.models import parts, reader
from ds2.pool import Pool, Sample
from ds2.selection.request import Choice, Request
from ds2.selection.top import choose_top
from ds2.selection.workspace import Workspace


def measure(
    config: IfdSelectionConfig,
    pool: Pool,
    *,
    model: str,
    revision: str | None,
    workspace: Workspace,
    progress: bool,
) -> NDArray[np.float64]:
    """(N,) IFD; NaN where no answer token lies within `max_tokens`."""
    ratios = parts.in_parts(
        pool.samples, partial(_log_ratio, model, revision, config), workspace.parts, progress=progress,
        what="ifd", meter=workspace.meter, engine=workspace.engine,
    )  # fmt: skip
    return np.asarray(np.exp(np.concatenate(list(ratios))))


def _log_ratio(model: str, revision: str | None, config: IfdSelectionConfig) -> reader.Compute:
    """The model, loaded, as what gives log IFD."""
    lm = reader.load(model, revision, config)

    def log_ratio(samples: Sequence[Sample]) -> parts.Part:
        together, alone = [], []
        for sample in samples:
            asked, answers = lm.conversation(sample), lm.answers(sample)
            count = int(asked.answer.sum())  # the same tokens on both sides, where the conversation was cut
            keep = int(np.searchsorted(np.cumsum(answers.answer), count, side="right")) if count else 0
            together.append(asked)
            alone.append(reader.Encoded(answers.ids[:keep], answers.answer[:keep]))
        return lm.part(lm.mean_nll(together) - lm.mean_nll(alone), together, alone)

    return log_ratio


def choose(request: Request[IfdSelectionConfig]) -> Choice:
    """The `budget` largest IFD below 1."""
    values = request.values
    below = np.isfinite(values) & (values < 1)
    return choose_top(
        request,
        values,
        lambda v: f"IFD {v:.4f}",
        allowed=below,
        that="whose IFD is below 1 (the others are misaligned)",
    )
