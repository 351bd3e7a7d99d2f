"""Rows for a comparison on a real small model, and what its table may say."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from helpers.evaluated import evaluated

from ds2.artifacts.evaluation import RESPONSE_LOSS
from ds2.base.errors import MissingInput, UserError
from ds2.config.sweep import load_sweep
from ds2.report.table import ResultTable
from experiments import small_real, small_real_data
from experiments.__main__ import main


def rows_of(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def scored(number: int, scores: tuple[int, int, int], length: int) -> dict[str, Any]:
    turns = [{"role": "user", "content": "q"}, {"role": "assistant", "content": "a" * length}]
    return {"id": f"r{number}", "messages": turns, "scores": dict(zip("abc", scores, strict=True))}


@pytest.fixture
def data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """60 rows, of which 20 have three scores of 4, two of these with long responses; sizes cut to them."""
    monkeypatch.setattr(small_real_data, "POOL", 30)
    monkeypatch.setattr(small_real_data, "HELD_OUT", 10)
    monkeypatch.setattr(small_real_data, "GSM8K", 5)
    rows = [scored(i, (4, 4, 4), 900 if i < 2 else 10 + i) for i in range(20)]
    rows += [scored(i, (5, 5, 3), 10) for i in range(20, 60)]
    for name, written in (("ds2_67k", rows), ("gsm8k_7k", rows[:8])):
        path = tmp_path / "data" / "pools" / f"{name}.jsonl.gz"
        path.parent.mkdir(parents=True, exist_ok=True)
        with gzip.open(path, "wt", encoding="utf-8") as lines:
            lines.writelines(json.dumps(row) + "\n" for row in written)
    return tmp_path / "data"


def test_rows_kept_apart_are_of_high_agreement_not_the_longest_and_not_in_the_pool(
    data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    command = ["small_real", "--prepare", f"paths.data={data}", f"paths.artifacts={tmp_path}/store"]
    assert main(command) == 0
    assert "30 rows" in capsys.readouterr().out
    folder = tmp_path / "store" / "small_real"
    apart, pool = rows_of(folder / "high_agreement.jsonl"), rows_of(folder / "pool.jsonl")
    assert (len(apart), len(pool), len(rows_of(folder / "gsm8k_train.jsonl"))) == (10, 30, 5)
    assert all(min(row["scores"].values()) == 4 for row in apart)
    assert not {"r0", "r1"} & {row["id"] for row in apart}  # the longest tenth
    assert not {row["id"] for row in apart} & {row["id"] for row in pool}
    assert any(min(row["scores"].values()) == 4 for row in pool)  # it is not robbed of its best
    before = (folder / "pool.jsonl").read_bytes()
    assert main(command) == 0
    assert (folder / "pool.jsonl").read_bytes() == before


def test_what_is_missing_is_named(data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(MissingInput, match="give paths.data"):
        small_real_data.prepare(tmp_path / "nowhere", tmp_path)
    (data / "pools" / "gsm8k_7k.jsonl.gz").write_bytes(gzip.compress(b'{"messages": []}\n'))
    with pytest.raises(UserError, match="needs 5 rows of GSM8K; there are 1"):
        small_real_data.prepare(data, tmp_path)
    assert main(["ablations", "--prepare"]) == 2
    assert "leave --prepare out" in capsys.readouterr().err


def test_there_is_no_verdict_where_the_interval_holds_zero(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    rows, runs = rng.normal(2.0, 0.5, size=80), []
    for method, shift, noise in (
        ("random", 0, 0.0),
        ("length", -0.3, 0.01),
        ("knn", 0, 0.05),
        ("full", 0.2, 0.01),
    ):
        for seed in (1, 2, 3):
            losses = (rows + shift + rng.normal(0, noise, size=80)).tolist() if noise else rows.tolist()
            runs.append(
                evaluated(
                    tmp_path, {"apart": float(np.mean(losses))}, f"selection={method}", seed=seed,
                    questions={"apart": losses}, metric=RESPONSE_LOSS,
                )
            )  # fmt: skip
    (line,) = small_real.verdicts(ResultTable(runs))
    assert line == (
        "apart: less loss than random: length; more: full; no verdict (the interval holds 0): knn."
    )


def test_what_is_said_of_the_sweep_holds_for_every_command_line() -> None:
    sweep = load_sweep("small_real")
    said = f"{sweep.title} {sweep.note} {small_real.CAPTION}"
    for changeable in ("15,000", "SmolLM2", "4,000", "LoRA", "seed 42"):
        assert changeable not in said


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["small_real", "--prepare", "--launch", "--mini"], "leave --mini and --launch out"),
        (["small_real", "--prepare", "--plan"], "leave --plan and --export out"),
        (["small_real", "--mini"], "small_real has no miniature"),
        (["small_real", "--plan", "--out", "x"], "leave --out out"),
        (["clusterability", "--launch"], "leave --launch out"),
    ],
)
def test_an_option_that_would_have_no_say_is_refused(
    arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(arguments) == 2
    assert message in capsys.readouterr().err
