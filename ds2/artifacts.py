"""What each stage leaves on disk, and the run that holds them together.

| stage    | files                                                                                              |
|----------|----------------------------------------------------------------------------------------------------|
| model    | `model/` (weights, tokenizer), `curve.parquet` (step, loss), `metrics.json`                         |
| rate     | `ratings.parquet`: id, row, source, score (-1: unrated), rating (raw, null where there is none)     |
| embed    | `embeddings.npy` (N, d) float32, unit rows                                                          |
| knn      | `neighbors.npy` (N, k) int32, `distances.npy` (N, k) float32, self excluded, ascending              |
| curate   | `curation.parquet`: id, row, source, score, curated, confidence, flagged, long_tail, posterior_mean;|
|          | `transition.json`: transition (K x K or null), prior, num_scores, diagnostics; `posterior.npy`      |
| select   | `subset.jsonl`, `subset.parquet`: rank, id, row, source, score, curated, long_tail, reason          |
| finetune | `adapter/` (PEFT, tokenizer), `curve.parquet`: step, epoch, loss, learning_rate, tokens_per_second; |
|          | `metrics.json`                                                                                      |
| evaluate | `results.json`: results [{task, metric, value, stderr, n, num_fewshot, version}], average,          |
|          | harness_version, missing; `samples.parquet`                                                         |
| report   | `report.html`                                                                                       |

Beside them, written last, `record.json`: a folder without one is not an artifact.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import Any

from ds2.config import RunConfig


class Status(Enum):
    computed = "computed"
    reused = "reused"


@dataclass(frozen=True)
class StageResult:
    """One finished stage of a run."""

    name: str
    fingerprint: str
    path: Path
    status: Status
    seconds: float
    """Time this run spent on the stage (loading, where it was reused)."""
    record: Mapping[str, Any]
    """`record.json`: config, inputs, versions, wall_seconds, peak_memory_bytes, counts, checksums, warnings."""

    def json(self, name: str) -> Any:
        """Content of one of the stage's JSON files."""
        return json.loads((self.path / name).read_text(encoding="utf-8"))


@dataclass(frozen=True)
class RunResult:
    """All finished stages of a run, in chain order."""

    config: RunConfig
    name: str
    """A name a person can read: pool, rater, selection, budget, model, seed."""
    fingerprint: str
    """Of the run's last stage."""
    stages: Mapping[str, StageResult]
