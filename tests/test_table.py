"""The table of a sweep: grouping over seeds, honest spreads, nothing lost."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np

from ds2.artifacts import RunResult, StageResult, Status
from ds2.cli import compose
from ds2.table import ResultTable


def finished(
    folder: Path, values: dict[str, float], *overrides: str, stages: tuple[str, ...] = ("select",)
) -> RunResult:
    config = compose(["experiment=mini", *overrides])
    path = folder / "-".join([*overrides, "evaluate"]).replace("/", "_")
    path.mkdir(parents=True)
    results = [{"task": t, "metric": "em", "value": v, "stderr": 0.01, "n": 100} for t, v in values.items()]
    average = sum(values.values()) / len(values)
    (path / "results.json").write_text(json.dumps({"results": results, "scores": values, "average": average}))
    done = {s: StageResult(s, "f", path, Status.reused, 0.0, {}) for s in (*stages, "evaluate")}
    return RunResult(config, "run", "f", done)


def test_cells_are_mean_and_sample_standard_deviation_over_seeds(tmp_path):
    values = [0.50, 0.60, 0.76]
    runs = [finished(tmp_path, {"a": v}, "selection=random", f"seed={i}") for i, v in enumerate(values)]
    header, rows = ResultTable(runs).rows()
    assert header == ["method", "a", "average", "seeds"]
    assert rows == [["random", f"{np.mean(values):.3f} ± {np.std(values, ddof=1):.3f}", rows[0][2], "3"]]


def test_one_seed_shows_the_evaluation_s_own_error(tmp_path):
    table = ResultTable([finished(tmp_path, {"a": 0.5}, "selection=random")])
    assert table.rows()[1] == [["random", "0.500 ± 0.010", "0.500", "1"]]
    assert not table.several_seeds


def test_rows_are_methods_and_raters_and_columns_that_do_not_vary_are_left_out(tmp_path):
    curated = ("rate", "curate", "select")
    runs = [
        finished(tmp_path, {"a": 0.1}, "selection=base", stages=()),
        finished(tmp_path, {"a": 0.2}, "rater=simulated_mistral_7b", stages=curated),
        finished(tmp_path, {"a": 0.3}, "rater=simulated_gpt_4o_mini", stages=curated),
        finished(tmp_path, {"a": 0.4}, "selection=oracle", stages=curated),
    ]
    header, rows = ResultTable(runs).rows()
    assert "model" not in header
    labels = [
        tuple(dict(zip(header, row, strict=True))[name] for name in ("method", "rater")) for row in rows
    ]
    assert labels == [
        ("base", ""),
        ("ds2 (rank)", "simulated_mistral_7b"),
        ("ds2 (rank)", "simulated_gpt_4o_mini"),
        ("oracle", ""),
    ]


def test_a_missing_task_is_said(tmp_path):
    runs = [
        finished(tmp_path, {"a": 0.1, "b": 0.2}, "selection=random"),
        finished(tmp_path, {"a": 0.3}, "selection=full"),
    ]
    header, rows = ResultTable(runs).rows()
    assert rows[1][header.index("b")] == "missing"


def test_markdown_has_a_line_a_method(tmp_path):
    text = ResultTable([finished(tmp_path, {"a": 0.5}, "selection=random")]).markdown()
    assert text.splitlines() == [
        "| method | a | average | seeds |",
        "| --- | --- | --- | --- |",
        "| random | 0.500 ± 0.010 | 0.500 | 1 |",
    ]
