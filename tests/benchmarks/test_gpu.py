"""`benchmarks/gpu.py` at toy size, on a CPU: its parts run, and what cannot run is told."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from ds2.base.paths import project_root

SCRIPT = project_root() / "benchmarks" / "gpu.py"
torch = pytest.importorskip("torch")
pytestmark = pytest.mark.skipif(torch.cuda.is_available(), reason="is about a machine without a GPU")


def ran(*options: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, str(SCRIPT), *options], capture_output=True, text=True, timeout=280
    )


def test_without_a_card_nothing_is_measured_and_no_file_is_written(tmp_path: Path) -> None:
    done = ran("--out", str(tmp_path))
    assert done.returncode == 1
    assert done.stdout.count("skipped") == 7
    assert "no CUDA device (--toy works without)" in done.stdout
    assert not list(tmp_path.iterdir())


@pytest.mark.slow
def test_each_part_runs_at_toy_size(tmp_path: Path) -> None:
    done = ran("--toy", "--only", "graph", "curation", "lora", "four_bit", "--out", str(tmp_path))
    assert done.returncode == 0, done.stderr
    (figures,) = tmp_path.glob("gpu-*.json")
    results = json.loads(figures.read_text())["results"]
    assert results["graph"]["share of a CPU's neighbours"] > 0.99
    refined, given = (
        results["curation"][f"true score of the {name} top tenth"] for name in ("refined", "given")
    )
    assert refined > given
    assert 3000 < results["lora"]["tokens a row"] < 4100
    assert results["lora"]["MFU"] is None
    assert results["four_bit"] == {"skipped": "no CUDA device"}
    (page,) = tmp_path.glob("gpu-*.md")
    assert "says nothing about speed" in page.read_text()
