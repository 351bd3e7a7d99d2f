"""The benchmark against human ratings, on a made-up set: its measures by hand, its tables, its refusals."""

import csv
import gzip
import importlib
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def measures():
    sys.path.insert(0, str(ROOT / "benchmarks"))
    try:
        return importlib.import_module("truth_measures")
    finally:
        sys.path.remove(str(ROOT / "benchmarks"))


def write_set(folder, name="made_up", n=120):
    """People like texts with `good` words; one rater agrees with noise and repeats itself, one rated half
    of the texts.
    """
    rng = np.random.default_rng(0)
    quality = rng.normal(size=n)
    folder.mkdir(parents=True, exist_ok=True)
    with gzip.open(folder / f"{name}.jsonl.gz", "wt", encoding="utf-8") as out:
        for i, q in enumerate(quality):
            words = " ".join(
                rng.choice(
                    [f"good{rng.integers(9)}", f"bad{rng.integers(9)}"][:: 1 if q > rng.normal() else -1][:1]
                )
                for _ in range(rng.integers(5, 30))
            )
            rating = [int(np.clip(np.round(3 + q + rng.normal()), 1, 5)) for _ in range(2)]
            row = {
                "text": f"prompt {i // 6}\n{words}",
                "rated": words,
                "group": f"g{i // 6}",
                "llm": {"repeats": rating, "half": rating[0] if i % 2 else None},
                "human": float(q),
            }
            out.write(json.dumps(row) + "\n")
    return folder


def make_cell(measures, human, lengths=None, groups=None):
    n = len(human)
    human = measures.standardised(np.asarray(human, dtype=float))
    lengths = np.arange(1, n + 1.0) if lengths is None else lengths
    groups = np.arange(n) if groups is None else groups
    return measures.Cell(
        "s", "r", np.arange(n), np.zeros(n, int), np.zeros((n, 1)), human, human, lengths, groups
    )


def test_ties_at_the_cut_count_by_their_expectation(measures):
    cell = make_cell(measures, [4, 3, 2, 1, 0, 0, 0, 0, 0, 0])
    order = np.array([2, 1, 1, 1, 0, 0, 0, 0, 0, 0])  # top 30 %: the first, and two of three equal ones
    h = cell.human
    assert measures.measure(order, cell)[1] == pytest.approx((h[0] + 2 * h[1:4].mean()) / 3)


def test_a_draw_that_takes_every_group_once_gives_the_measure_itself(measures):
    rng = np.random.default_rng(0)
    cell = make_cell(measures, rng.normal(size=50), groups=np.arange(50) // 5)
    order = rng.integers(0, 4, 50).astype(float)
    once = measures.bootstrapped(order, cell, np.ones((2, 10)))
    assert once[0] == pytest.approx(measures.measure(order, cell))
    twice = measures.bootstrapped(order, cell, np.full((1, 10), 2.0))
    assert twice[0] == pytest.approx(once[0])


def test_weighted_measures_equal_those_of_repeated_rows(measures):
    rng = np.random.default_rng(1)
    cell, order = make_cell(measures, rng.normal(size=40)), rng.normal(size=40).round(1)
    counts = rng.integers(0, 3, 40)
    again = np.repeat(np.arange(40), counts)
    repeated = make_cell(measures, cell.human[again])
    scale = cell.human[again].std()
    shift = cell.human[again].mean()
    got = measures.weighted_measures(order, cell, counts[None].astype(float))[0]
    expected = measures.measure(order[again], repeated)
    assert got[:2] == pytest.approx(expected[:2] * scale + shift)
    assert got[2] == pytest.approx(expected[2])


def test_length_taken_out_leaves_no_length(measures, tmp_path):
    truth_set = measures.read_sets(write_set(tmp_path))[0]
    cell = truth_set.cells[0]
    assert abs(np.corrcoef(cell.human_without_length, np.log1p(cell.lengths))[0, 1]) < 1e-9


def test_many_valued_ratings_are_cut_into_six_at_their_quantiles(measures):
    cut = measures.whole_scores(np.arange(60) / 7)
    assert np.bincount(cut).tolist() == [10] * 6
    assert measures.whole_scores(np.array([1, 2.5, 2, 1])).tolist() == [0, 2, 1, 0]


def test_a_persons_own_folder_of_ratings_is_compared(tmp_path):
    sets, out = write_set(tmp_path / "sets"), tmp_path / "out"
    command = [
        sys.executable,
        str(ROOT / "benchmarks" / "human_truth.py"),
        "--sets",
        str(sets),
        "--out",
        str(out),
    ]
    subprocess.run([*command, "--draws", "20", "--workers", "1"], check=True, capture_output=True)
    with (out / "human-truth.csv").open() as file:
        rows = list(csv.DictReader(file))
    panel = {r["order"] for r in rows if r["rater"] == "2 raters"}
    assert panel == {"mean of the raters", "factor", "panel: factor, then its student"}
    rows = [r for r in rows if r["rater"] != "2 raters"]
    assert {r["rater"] for r in rows} == {"repeats", "half"}
    top = {r["order"]: float(r["top 10 %"]) for r in rows if r["rater"] == "repeats"}
    assert top["people (oracle)"] == max(top.values())
    assert {"given scores", "rank", "refine", "longest among equals"} <= set(top)
    assert all(float(r["top 10 % low"]) <= float(r["top 10 % high"]) for r in rows)
    assert "| refine |" in (out / "human-truth.md").read_text()


def test_an_empty_folder_and_a_line_without_people_are_named(measures, tmp_path):
    with pytest.raises(FileNotFoundError, match="holds no truth set"):
        measures.read_sets(tmp_path)
    (tmp_path / "bad.jsonl").write_text('{"text": "a", "llm": {"r": 1}}\n')
    with pytest.raises(ValueError, match=r"bad\.jsonl, line 1 lacks 'human'"):
        measures.read_sets(tmp_path)
