"""What the stages that train leave: base model and adapter."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from ds2.artifacts import adapter, base_model, training
from ds2.base.errors import DamagedArtifact


def test_a_curve_comes_back_with_whole_steps(tmp_path: Path) -> None:
    adapter.write_curve(tmp_path, {"step": [1, 2], "loss": [2.5, 2.0], "learning_rate": [0.1, 0.0]})
    curve = adapter.read_curve(tmp_path)
    assert curve is not None
    assert curve.to_dict("list") == {"step": [1, 2], "loss": [2.5, 2.0], "learning_rate": [0.1, 0.0]}
    assert (curve["step"].dtype, curve["loss"].dtype) == (np.int64, np.float64)


def test_a_base_model_leaves_its_metrics_and_where_it_was_trained_its_curve(tmp_path: Path) -> None:
    base_model.write(
        tmp_path, {"steps": 4, "exact_match": {"chat": {"all": 0.5}}}, [{"step": 4, "loss": 1.0}]
    )
    assert training.read_metrics(tmp_path) == {"steps": 4, "exact_match": {"chat": {"all": 0.5}}}
    curve = training.read_curve(tmp_path)
    assert curve is not None
    assert curve.to_numpy().tolist() == [[4, 1.0]]
    tiny = tmp_path / "tiny"
    tiny.mkdir()
    base_model.write(tiny, {"parameters": 3})
    assert training.read_curve(tiny) is None


def test_a_damaged_curve_or_metrics_are_named(tmp_path: Path) -> None:
    with pytest.raises(DamagedArtifact, match=r"metrics\.json is damaged: there is no such file"):
        training.read_metrics(tmp_path)
    (tmp_path / "metrics.json").write_text('{"steps": ')
    with pytest.raises(DamagedArtifact, match=r"metrics\.json is damaged: "):
        training.read_metrics(tmp_path)
    pd.DataFrame({"step": [1]}).to_parquet(tmp_path / "curve.parquet")
    with pytest.raises(DamagedArtifact, match=r"curve\.parquet is damaged: no column loss"):
        training.read_curve(tmp_path)


def test_the_mark_of_the_base_model_lies_among_the_adapter_s_files(tmp_path: Path) -> None:
    weights = adapter.weights(tmp_path)
    weights.mkdir()
    assert adapter.BaseMark.read(weights) is None
    mark = adapter.BaseMark("a/model", "0123456789abcdef")
    mark.write(weights)
    assert adapter.BaseMark.read(weights) == mark
    (file,) = weights.iterdir()
    file.write_text(json.dumps({"name": "a/model"}))
    with pytest.raises(DamagedArtifact, match=r"base\.json is damaged: BaseMark\.digest: missing"):
        adapter.BaseMark.read(weights)
