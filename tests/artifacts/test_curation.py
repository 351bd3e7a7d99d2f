from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ds2.artifacts.curation import (
    RaterErrors,
    read_curation,
    read_posterior,
    read_uncertainty,
    write_curation,
)
from ds2.base.errors import DamagedArtifact
from ds2.method.curation.result import CurationResult, Diagnostics, FitSummary, Interval, Uncertainty
from ds2.pool import Message, Pool, Sample

POOL = Pool([Sample(f"s{i}", i, "here", (Message("user", "?"),), {}) for i in range(3)], 3)
SCORES = np.array([0, 1, -1], dtype=np.int16)
T = np.array([[0.9, 0.1], [0.2, 0.8]])
POSTERIOR = np.array([[1.0, 0.0], [0.25, 0.75], [0.5, 0.5]])
RESULT = CurationResult(
    transition=T,
    prior=np.array([0.5, 0.5]),
    curated=np.array([0, 1, 1]),
    confidence=np.array([1.0, 0.75, 0.5]),
    flagged=np.array([False, True, False]),
    posterior=POSTERIOR,
    long_tail=np.array([0.1, 0.2, 0.3]),
    diagnostics=Diagnostics("posterior", 3, [], FitSummary(0.1, 8, 20, 0.2, 0.5), warnings=["look twice"]),
    uncertainty=Uncertainty(
        resamples=4,
        transition=Interval(T - 0.1, T + 0.1),
        prior=Interval(np.array([0.4, 0.4]), np.array([0.6, 0.6])),
        clusterability=Interval(np.array([1.5]), np.array([2.0])),
        error_probability=np.array([0.25, 0.5, np.nan]),
        stability_budgets=np.array([1, 2]),
        stability=np.array([0.5, 1.0]),
    ),
)


def test_a_curation_comes_back_as_it_was_written(tmp_path: Path) -> None:
    write_curation(tmp_path, POOL, SCORES, RESULT, 2)
    table = read_curation(tmp_path)
    assert list(table) == [
        "id", "row", "source", "score", "curated", "confidence", "flagged", "long_tail", "posterior_mean",
    ]  # fmt: skip
    assert (table["score"].dtype, table["curated"].dtype, table["flagged"].dtype) == (
        np.int16,
        np.int64,
        bool,
    )
    assert table["posterior_mean"].tolist() == [0.0, 0.75, 0.5]
    assert list(read_curation(tmp_path, "curated")) == ["curated"]
    posterior = read_posterior(tmp_path)
    assert posterior is not None
    assert posterior.dtype == np.float32
    assert np.array_equal(posterior, POSTERIOR)
    errors = RaterErrors.read(tmp_path)
    assert errors.transition is not None
    assert errors.prior is not None
    assert np.array_equal(errors.transition, T)
    assert (errors.transitions, errors.num_scores, errors.diagnostics) == (None, 2, RESULT.diagnostics)


def test_uncertainty_comes_back_as_it_was_written(tmp_path: Path) -> None:
    write_curation(tmp_path, POOL, SCORES, RESULT, 2)
    uncertainty, written = read_uncertainty(tmp_path), RESULT.uncertainty
    assert uncertainty is not None
    assert written is not None
    assert uncertainty.resamples == 4
    for name in ("transition", "prior", "clusterability"):
        for end in ("low", "high"):
            assert np.array_equal(
                getattr(getattr(uncertainty, name), end), getattr(getattr(written, name), end)
            )
    assert np.array_equal(uncertainty.error_probability, written.error_probability, equal_nan=True)
    assert np.array_equal(uncertainty.stability_budgets, written.stability_budgets)
    assert np.array_equal(uncertainty.stability, written.stability)


def test_of_several_raters_there_is_a_matrix_each_and_no_single_one(tmp_path: Path) -> None:
    write_curation(tmp_path, POOL, SCORES, replace(RESULT, transition=np.stack([T, T.T])), 2)
    errors = RaterErrors.read(tmp_path)
    assert errors.transition is None
    assert errors.transitions is not None
    assert np.array_equal(errors.transitions, [T, T.T])


def test_without_estimate_posterior_or_bootstrap_there_is_none(tmp_path: Path) -> None:
    bare = replace(RESULT, transition=None, prior=None, posterior=None, uncertainty=None)
    write_curation(tmp_path, POOL, SCORES, bare, 2)
    errors = RaterErrors.read(tmp_path)
    assert (errors.transition, errors.transitions, errors.prior) == (None, None, None)
    assert (read_posterior(tmp_path), read_uncertainty(tmp_path)) == (None, None)
    assert read_curation(tmp_path)["posterior_mean"].isna().all()


@pytest.mark.parametrize(
    ("file", "change", "named"),
    [
        ("transition.json", {"num_scores": "2"}, "num_scores: expected int"),
        ("transition.json", {"transition": [[1.0, 0.0]]}, r"transition: shape \(1, 2\)"),
        ("transition.json", {"transition": [[1.0], [0.0, 1.0]]}, "transition: "),
        ("transition.json", {"diagnostics": {"method": "rank"}}, "diagnostics.num_samples: missing"),
        ("uncertainty.json", {"resamples": None}, "resamples: expected int"),
        ("uncertainty.json", {"prior": {"low": [0.1], "high": [0.1, 0.2]}}, "prior: low has shape"),
        ("uncertainty.json", {"stability": [{"budget": 3}]}, r"stability\[0\].expected_overlap: missing"),
    ],
)
def test_a_wrong_key_is_named_with_its_file_in_one_line(
    tmp_path: Path, file: str, change: dict[str, Any], named: str
) -> None:
    write_curation(tmp_path, POOL, SCORES, RESULT, 2)
    content = json.loads((tmp_path / file).read_text())
    (tmp_path / file).write_text(json.dumps(content | change))
    read = RaterErrors.read if file == "transition.json" else read_uncertainty
    with pytest.raises(DamagedArtifact, match=rf"{re.escape(file)} is damaged: .*{named}") as caught:
        read(tmp_path)
    assert "\n" not in str(caught.value)


def test_a_damaged_table_or_array_is_named(tmp_path: Path) -> None:
    write_curation(tmp_path, POOL, SCORES, RESULT, 2)
    with pytest.raises(DamagedArtifact, match=r"curation\.parquet is damaged: no column colour"):
        read_curation(tmp_path, "colour")
    (tmp_path / "curation.parquet").unlink()
    with pytest.raises(DamagedArtifact, match=r"curation\.parquet is damaged: there is no such file"):
        read_curation(tmp_path)
    np.save(tmp_path / "posterior.npy", POSTERIOR)
    with pytest.raises(DamagedArtifact, match=r"posterior\.npy is damaged: an array of float64"):
        read_posterior(tmp_path)
