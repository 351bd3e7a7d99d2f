"""`benchmarks/scale.py`: a planted law is found again and carried on; at toy size every stage is measured."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

from ds2.base.load import load_module
from ds2.base.paths import project_root

FOLDER = project_root() / "benchmarks"


@pytest.fixture
def needs(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(str(FOLDER))
    return load_module("scale_needs")


def rows(seconds: float, exponent: float, sizes: tuple[int, ...]) -> dict[int, dict[str, float]]:
    return {
        n: {"seconds": seconds * n**exponent, "memory": 1e8 + 2_000.0 * n, "disk": 700.0 * n} for n in sizes
    }


def test_a_planted_law_is_found_and_carried_on(needs: ModuleType) -> None:
    found = needs.fit("embed", rows(1e-4, 1.2, (1_000, 4_000, 16_000)))
    assert found.b == pytest.approx(1.2)
    assert found.residual == pytest.approx(1)
    assert found.held_out == pytest.approx(1)
    assert found.seconds_for(1e8) == pytest.approx(1e-4 * 1e8**1.2)
    assert found.memory_for(1e8) == pytest.approx(1e8 + 2_000 * 1e8)
    assert found.row_disk == pytest.approx(700)
    assert found.seconds_for(found.rows_in(3600)) == pytest.approx(3600)
    assert found.memory_for(found.rows_within(2**40)) == pytest.approx(2**40)


def test_no_stage_is_carried_on_below_its_law(needs: ModuleType) -> None:
    """Comparing every pair is quadratic, however flat small sizes look."""
    found = needs.fit("knn, exact", rows(1e-4, 1.2, (1_000, 4_000, 16_000)))
    assert found.seconds_for(160_000) == pytest.approx(found.seconds * 100)


def test_a_law_that_does_not_hold_shows_in_its_residuals(needs: ModuleType) -> None:
    bent = rows(1e-4, 1.0, (1_000, 4_000, 16_000))
    bent[16_000]["seconds"] *= 3
    found = needs.fit("embed", bent)
    assert found.residual > 1.2
    assert found.held_out == pytest.approx(1 / 3)


def test_what_does_not_fit_is_said(needs: ModuleType) -> None:
    measured = {stage: rows(1e-4, 1.0, (1_000, 4_000, 16_000)) for stage in ("embed", "knn, exact")}
    told = needs.account(measured, FOLDER / "results")
    limits = {(r["rows"], r["stage"]): r["limit"] for r in told["needs"]}
    assert limits[10**6, "embed"] == limits[10**8, "embed"] == ""
    assert limits[10**10, "embed"] == "no: more memory than one machine"
    assert limits[10**10, "knn, exact"] == "no: a graph's row numbers have 32 bits"
    hours = {(r["rows"], r["stage"]): r["hours"] for r in told["needs"]}
    whole, student = (hours[10**8, s] for s in ("rate, vLLM, 8 B model", "rate 1 %, student predicts"))
    assert student == pytest.approx(whole / 100)


@pytest.mark.slow
def test_every_stage_is_measured_at_toy_size(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, str(FOLDER / "scale.py"), "--toy", "--out", str(tmp_path)],
        capture_output=True, text=True, timeout=280,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    measured = json.loads((tmp_path / "scale.json").read_text())["measured"]
    assert set(measured) == {
        "pool", "rate", "embed", "knn, exact", "knn, approximate", "curate, refine", "curate, rank",
        "curate, posterior", "curate, refine, 1 % rated", "select",
    }  # fmt: skip
    # The graph holds 96 neighbours of 8 bytes a row, and a little beside.
    assert measured["knn, exact"]["1200"]["disk"] == pytest.approx(1200 * 96 * 8, rel=0.01)
    assert "says nothing about anything" in (tmp_path / "scale.md").read_text()
