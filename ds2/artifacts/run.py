"""A run: its finished stages, and what each leaves on disk. The modules beside this one alone spell these names.

| stage    | files                                                                                              |
|----------|----------------------------------------------------------------------------------------------------|
| model    | `model/` (weights, tokenizer), `curve.parquet` (step, loss), `metrics.json`                         |
| rate     | `ratings.parquet`: id, row, source, score (-1: unrated), rating (raw, null where there is none);    |
|          | of several raters the lower median and mean, and `score_0`, `score_1`, ...                         |
|          | of a language model also rarity, complexity, informativeness, outcome, of repeats `rating_0`, ...; |
|          | `rating_report.json`: outcomes by source, reasons, tokens; `unrated.jsonl`: id, row, source,       |
|          | outcome, reason, text; with `rater.reading=expected` `distribution.npy` (N, 9) of the ratings 1..9 |
| embed    | `embeddings.npy` (N, d) float32, unit rows                                                          |
| knn      | `neighbors.npy` (N, k) int32, `distances.npy` (N, k) float32, self excluded, ascending              |
| curate   | `curation.parquet`: id, row, source, score, curated, confidence, flagged, long_tail, posterior_mean;|
|          | `transition.json`: transition (K x K or null), transitions (R x K x K, several raters), prior,      |
|          | num_scores, diagnostics; `posterior.npy`                                                            |
|          | with `curation.bootstrap`: `uncertainty.json`, `error_probability.npy`                              |
| measure  | `values.npy` (N,) or (N, Q) float64: what a language model says of each sample, NaN where nothing;    |
|          | of LESS also `warm_up/`, `directions/` (safetensors)                                                |
| select   | `subset.jsonl`, `subset.parquet`: rank, id, row, source, score, curated, long_tail, value (what it   |
|          | was ranked by), reason; `subset_report.json`, `.md`; `dataset/` (for `datasets`); `exports/`        |
| finetune | `adapter/` (PEFT, tokenizer), `curve.parquet`: step, epoch, loss, learning_rate, tokens_per_second; |
|          | `metrics.json`                                                                                      |
| evaluate | `results.json`: results [{task, metric, value, stderr, n, num_fewshot, version}], average,          |
|          | harness_version, missing; `samples.parquet`                                                         |
| report   | `report.html`                                                                                       |

Beside them, written last, `record.json`: a folder without one is not an artifact.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from ds2.artifacts.store import StageResult
from ds2.config import RunConfig


@dataclass(frozen=True)
class RunResult:
    """All finished stages of a run, in chain order."""

    config: RunConfig
    name: str
    """A name a person can read: pool, rater, selection, budget, model, seed."""
    fingerprint: str
    """Of the run's last stage."""
    stages: Mapping[str, StageResult]
