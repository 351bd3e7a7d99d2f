"""Two computations of one artifact: what counts as the same, and how far apart what does not is."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from ds2.artifacts.adapter import settle, weights
from ds2.artifacts.comparison import differences
from ds2.artifacts.training import write_metrics
from ds2.base.json_files import write_json


@pytest.fixture
def folders(tmp_path: Path) -> tuple[Path, Path]:
    one, other = tmp_path / "one", tmp_path / "other"
    for folder in (one, other):
        weights(folder).mkdir(parents=True)
    return one, other


def names(folder: Path) -> list[str]:
    return [str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()]


def test_times_of_a_training_and_the_place_of_its_base_model_are_no_results(folders):
    for i, folder in enumerate(folders):
        speed = {"wall_seconds": 2.0 + i}
        speed |= {"tokens_per_second": 100.0 * i, "flops_per_second": 9.0 * i, "mfu": i}
        write_metrics(folder, {"train_loss": 1.5, **speed})
        write_json(weights(folder) / "adapter_config.json", {"r": 8, "target_modules": ["b", "a"]})
        settle(weights(folder), str(folder / "model"))
    assert differences(*folders, names(folders[0])) == []
    write_metrics(folders[1], {"train_loss": 1.6, "wall_seconds": 2.0, "tokens_per_second": 100.0})
    (found,) = differences(*folders, names(folders[0]))
    assert found.text == "1 of 1 values: train_loss"
    assert found.apart == pytest.approx(0.1 / 1.6)


def test_numbers_are_told_by_their_distance_in_standard_deviations(folders):
    values = np.linspace(0, 1, 101, dtype=np.float32)
    moved = values.copy()
    moved[3] += 0.1 * values.std()
    np.save(folders[0] / "x.npy", values)
    np.save(folders[1] / "x.npy", moved)
    (found,) = differences(*folders, ["x.npy"])
    assert found.text == "1 of 101 values"
    assert found.apart == pytest.approx(0.1, rel=1e-5)


def test_another_label_another_shape_or_another_file_is_more_than_a_number(folders):
    for folder, label in zip(folders, ("a", "b"), strict=True):
        pd.DataFrame({"id": ["p", label], "score": [0.1, np.nan]}).to_parquet(folder / "t.parquet")
        np.save(folder / "n.npy", np.zeros(3 if label == "a" else 4))
    (folders[1] / "more.txt").write_text("x")
    (folders[0] / "less.txt").write_text("x")
    found = {each.name: each for each in differences(*folders, ["t.parquet", "n.npy", "less.txt"])}
    assert found["t.parquet"].text == "id: 1 of 2 values"
    assert found["n.npy"].text == "shape (3,) is now (4,)"
    assert (found["less.txt"].text, found["more.txt"].text) == ("missing", "not there before")
    assert {each.apart for each in found.values()} == {None}
