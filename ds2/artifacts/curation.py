"""Curation: `curation.parquet`, `transition.json`, and where there are any, posterior and uncertainty."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ds2.artifacts.samples import identity_columns
from ds2.base.json_files import write_json
from ds2.method.curation.result import CurationResult, Uncertainty
from ds2.pool import Pool


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
    pd.DataFrame({**identity_columns(pool), **columns}).to_parquet(folder / "curation.parquet", index=False)
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
