"""The longest first: the paper's baseline `Completion Length` (section 5).

    value_n = characters of the assistant's answers (or of all messages)

Ties by row.
"""

from __future__ import annotations

import numpy as np

from ds2.config.selection import LengthOf, LengthSelectionConfig
from ds2.pool import Sample
from ds2.selection.request import Choice, Request
from ds2.selection.top import choose_top


def choose(request: Request[LengthSelectionConfig]) -> Choice:
    """The `budget` longest samples."""
    of = request.config.of
    lengths = np.array([_characters(sample, of) for sample in request.pool.samples], dtype=np.float64)
    return choose_top(request, lengths, lambda value: f"{value:.0f} characters")


def _characters(sample: Sample, of: LengthOf) -> int:
    return sum(len(m.text) for m in sample.messages if of is LengthOf.conversation or m.is_answer)
