"""A run: its finished stages.

What a stage leaves on disk is told by the module of its noun, which alone spells the names:

    model -> base_model    rate -> ratings      embed -> embeddings    knn -> graph
    curate -> curation     measure -> values    select -> subset       finetune -> adapter
    evaluate -> evaluation                      report -> page

`training` has what base models and adapters share, `store` the record of every artifact.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from ds2.artifacts.step import StageResult
from ds2.config import RunConfig


@dataclass(frozen=True)
class RunResult:
    """All finished stages of a run, in chain order."""

    config: RunConfig
    name: str
    """A name a person can read: pool, rater, selection, budget, model, seed."""
    fingerprint: str
    """That of the run's last stage."""
    stages: Mapping[str, StageResult]
