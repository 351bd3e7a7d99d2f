"""What each stage leaves on disk, and the run that holds them together.

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

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ds2.config import RunConfig

if TYPE_CHECKING:
    from ds2.curation.result import CurationResult, Uncertainty
    from ds2.knn import KnnGraph
    from ds2.pool import Pool
    from ds2.rating.raters import Ratings
    from ds2.rating.report import ModelRatings
    from ds2.selection import Choice


STAGES = ("model", "rate", "embed", "knn", "curate", "measure", "select", "finetune", "evaluate", "report")
"""Every stage, in chain order."""


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
        return read_json(self.path / name)


@dataclass(frozen=True)
class RunResult:
    """All finished stages of a run, in chain order."""

    config: RunConfig
    name: str
    """A name a person can read: pool, rater, selection, budget, model, seed."""
    fingerprint: str
    """Of the run's last stage."""
    stages: Mapping[str, StageResult]


def write_json(path: Path, value: Any) -> None:
    """JSON with NaN refused, readable by a person."""
    path.write_text(json.dumps(value, indent=2, ensure_ascii=False, allow_nan=False), encoding="utf-8")


def read_json(path: Path) -> Any:
    return json.loads(path.read_text(encoding="utf-8"))


def _identity_columns(pool: Pool) -> dict[str, Sequence[Any]]:
    return {"id": pool.ids, "row": pool.rows, "source": pool.sources}


def write_ratings(folder: Path, pool: Pool, ratings: Ratings) -> None:
    table = pd.DataFrame({**_identity_columns(pool), "score": ratings.scores, "rating": ratings.ratings})
    if ratings.by_rater is not None:
        for r, own in enumerate(ratings.by_rater.T):
            table[f"score_{r}"] = own
    if ratings.details is not None:
        _add_details(folder, pool, table, ratings.details)
    table.to_parquet(folder / "ratings.parquet", index=False)


def _add_details(folder: Path, pool: Pool, table: pd.DataFrame, details: ModelRatings) -> None:
    known = np.isfinite(details.criteria)
    count = known.sum(axis=1)
    mean = np.where(known, details.criteria, 0.0).sum(axis=1) / np.maximum(count, 1)
    for c, criterion in enumerate(("rarity", "complexity", "informativeness")):
        table[criterion] = np.where(count[:, c] > 0, mean[:, c], np.nan)
    table["outcome"] = details.outcomes
    if details.criteria.shape[1] > 1:
        for r, own in enumerate(details.criteria[:, :, -1].T):
            table[f"rating_{r}"] = own
    write_json(folder / "rating_report.json", details.report.to_dict())
    with (folder / "unrated.jsonl").open("w", encoding="utf-8") as lines:
        for one in details.unrated:
            sample = pool.samples[one.position]
            row = {"id": sample.id, "row": sample.row, "source": sample.source}
            told = {"outcome": one.outcome.value, "reason": one.reason, "text": one.text}
            lines.write(json.dumps(row | told, ensure_ascii=False) + "\n")
    if details.distribution is not None:
        np.save(folder / "distribution.npy", details.distribution)


def read_scores(folder: Path) -> NDArray[np.int16]:
    """(N,) scores of a `rate` artifact; -1: unrated."""
    return pd.read_parquet(folder / "ratings.parquet", columns=["score"])["score"].to_numpy(dtype=np.int16)


def read_rater_scores(folder: Path) -> NDArray[np.int16]:
    """(N, R) scores of several raters where the artifact holds them, else (N,); -1: unrated."""
    table = pd.read_parquet(folder / "ratings.parquet")
    own = [name for name in table.columns if name.startswith("score_")]
    return table[own or "score"].to_numpy(dtype=np.int16)


def write_embeddings(folder: Path, vectors: NDArray[np.float32]) -> None:
    np.save(folder / "embeddings.npy", vectors)


def read_embeddings(folder: Path) -> NDArray[np.float32]:
    """(N, d) unit rows, mapped from disk."""
    vectors: NDArray[np.float32] = np.load(folder / "embeddings.npy", mmap_mode="r", allow_pickle=False)
    return vectors


def write_graph(folder: Path, graph: KnnGraph) -> None:
    np.save(folder / "neighbors.npy", graph.neighbors)
    np.save(folder / "distances.npy", graph.distances)


def read_graph(folder: Path) -> KnnGraph:
    from ds2.knn import KnnGraph

    return KnnGraph(
        neighbors=np.load(folder / "neighbors.npy", mmap_mode="r", allow_pickle=False),
        distances=np.load(folder / "distances.npy", mmap_mode="r", allow_pickle=False),
    )


def write_curation(
    folder: Path, pool: Pool, scores: NDArray[np.int16], result: CurationResult, num_scores: int
) -> None:
    levels = np.arange(num_scores)
    posterior_mean = np.full(len(pool), np.nan) if result.posterior is None else result.posterior @ levels
    columns = {
        "score": scores,
        "curated": result.curated,
        "confidence": result.confidence,
        "flagged": result.flagged,
        "long_tail": result.long_tail,
        "posterior_mean": posterior_mean,
    }
    pd.DataFrame({**_identity_columns(pool), **columns}).to_parquet(folder / "curation.parquet", index=False)
    if result.posterior is not None:
        np.save(folder / "posterior.npy", result.posterior.astype(np.float32))
    if result.uncertainty is not None:
        write_json(folder / "uncertainty.json", _uncertainty(result.uncertainty))
        np.save(folder / "error_probability.npy", result.uncertainty.error_probability.astype(np.float32))
    single = result.transition is not None and result.transition.ndim == 2
    write_json(
        folder / "transition.json",
        {
            "transition": None if not single else np.asarray(result.transition).tolist(),
            "transitions": None if single or result.transition is None else result.transition.tolist(),
            "prior": None if result.prior is None else np.asarray(result.prior).tolist(),
            "num_scores": num_scores,
            "diagnostics": result.diagnostics.to_dict(),
        },
    )


def _uncertainty(found: Uncertainty) -> dict[str, Any]:
    """95 % intervals, and the share of a subset that another resample would choose too."""
    intervals = {"transition": found.transition, "prior": found.prior, "clusterability": found.clusterability}
    return {
        "resamples": found.resamples,
        **{name: {"low": i.low.tolist(), "high": i.high.tolist()} for name, i in intervals.items()},
        "stability": [
            {"budget": int(budget), "expected_overlap": float(overlap)}
            for budget, overlap in zip(found.stability_budgets, found.stability, strict=True)
        ],
    }


def read_curation(folder: Path) -> pd.DataFrame:
    """The table of a `curate` artifact, N rows in pool order."""
    return pd.read_parquet(folder / "curation.parquet")


def write_subset(
    folder: Path, pool: Pool, choice: Choice, known: Mapping[str, NDArray[Any]]
) -> list[dict[str, Any]]:
    """The chosen conversations, best first; `known` holds score, curated and long_tail of all N samples, where known.

    Returns the rows written, without their messages.
    """
    rows = []
    for rank, (position, reason) in enumerate(zip(choice.positions.tolist(), choice.reasons, strict=True)):
        sample = pool.samples[position]
        row: dict[str, Any] = {"rank": rank, "id": sample.id, "row": sample.row, "source": sample.source}
        for name in ("score", "curated", "long_tail"):
            row[name] = known[name][position].item() if name in known else None
        row["value"] = None if choice.values is None else float(choice.values[rank])
        rows.append(row | {"reason": reason})
    columns = ["rank", "id", "row", "source", "score", "curated", "long_tail", "value", "reason"]
    pd.DataFrame(rows, columns=columns).to_parquet(folder / "subset.parquet", index=False)
    with (folder / "subset.jsonl").open("w", encoding="utf-8") as lines:
        for position, row in zip(choice.positions.tolist(), rows, strict=True):
            messages = [{"role": m.role, "content": m.content} for m in pool.samples[position].messages]
            lines.write(json.dumps({"messages": messages, **row}, ensure_ascii=False) + "\n")
    return rows
