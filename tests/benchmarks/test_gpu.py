"""`benchmarks/gpu.py` at toy size, on a CPU: its parts run, and what cannot run is told."""

from __future__ import annotations

import importlib
import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

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
    assert done.stdout.count("skipped") == 10
    assert "no CUDA device (--toy works without)" in done.stdout
    assert not list(tmp_path.iterdir())


@pytest.mark.slow
def test_each_part_runs_at_toy_size(tmp_path: Path) -> None:
    done = ran("--toy", "--only", "graph", "curation", "lengths", "lora", "liger", "four_bit",
               "--out", str(tmp_path))  # fmt: skip
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
    assert results["four_bit"]["tokens a row"] == results["lora"]["tokens a row"]
    assert results["liger"] == {"skipped": "no CUDA device"}
    (page,) = tmp_path.glob("gpu-*.md")
    assert "says nothing about speed" in page.read_text()


@pytest.mark.slow
def test_two_processes_share_the_weights_of_a_toy_out_on_a_cpu(tmp_path: Path) -> None:
    done = ran("--toy", "--only", "fsdp", "--out", str(tmp_path))
    assert done.returncode == 0, done.stderr
    (figures,) = tmp_path.glob("gpu-*.json")
    told = json.loads(figures.read_text())["results"]["fsdp"]
    assert (told["devices"], told["parallelism"]) == (2, "FSDP")
    assert 3000 < told["tokens a row"] < 4100


@pytest.mark.slow
def test_ratings_are_told_with_the_length_of_a_prompt_and_for_the_published_length(tmp_path: Path) -> None:
    done = ran("--toy", "--only", "rating_transformers", "--out", str(tmp_path))
    assert done.returncode == 0, done.stderr
    (figures,) = tmp_path.glob("gpu-*.json")
    told = json.loads(figures.read_text())["results"]["rating_transformers"]
    assert told["tokens a prompt"] == round(told["prompt tokens"] / told["ratings"]) > 568
    (normalised,) = (value for key, value in told.items() if "568 tokens" in key)
    assert normalised == pytest.approx(told["ratings a second"] * told["tokens a prompt"] / 568, rel=0.01)


@pytest.fixture
def loaded(monkeypatch: pytest.MonkeyPatch) -> Callable[[str], Any]:
    """Imports a module of benchmarks/, which is no package."""
    monkeypatch.syspath_prepend(str(SCRIPT.parent))
    return importlib.import_module


def test_one_card_skips_fsdp_with_a_line(
    loaded: Callable[[str], Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    gpu = loaded("gpu")
    monkeypatch.setattr(gpu, "device", lambda: "cuda")
    monkeypatch.setattr(gpu, "cards", lambda: 1)
    assert gpu.why_not("fsdp", toy=False) == "one card: two processes share the weights out over two"
    monkeypatch.setattr(gpu, "cards", lambda: 2)
    assert gpu.why_not("fsdp", toy=False) is None


def test_a_second_call_keeps_what_the_first_measured(loaded: Callable[[str], Any], tmp_path: Path) -> None:
    results = loaded("gpu_results")
    setting = {"card": "NVIDIA H100", "torch": "2.11", "date": "2026-11-26"}
    first = {"lora": {"tokens/s": 1.0}, "graph": {"seconds": 2.0}, "rating": {"skipped": "no vllm"}}
    results.write(tmp_path, setting, first, toy=False)
    later = setting | {"torch": "2.13", "date": "2026-12-01"}
    second = {
        "rating": {"ratings a second": 3.0},
        "graph": {"failed": "exit code 1"},
        "fsdp": {"skipped": "x"},
    }
    results.write(tmp_path, later, second, toy=False)
    kept = json.loads((tmp_path / "gpu-nvidia-h100.json").read_text())
    assert kept["results"] == {
        "lora": {"tokens/s": 1.0}, "graph": {"seconds": 2.0}, "rating": {"ratings a second": 3.0},
        "fsdp": {"skipped": "x"},
    }  # fmt: skip
    assert kept["machines"] == {"lora": setting, "graph": setting, "rating": later, "fsdp": later}
    page = (tmp_path / "gpu-nvidia-h100.md").read_text()
    assert page.count("Of an earlier call: torch 2.11, date 2026-11-26.") == 2


def test_toy_sizes_do_not_mix_with_what_was_measured(loaded: Callable[[str], Any], tmp_path: Path) -> None:
    results, setting = loaded("gpu_results"), {"card": "NVIDIA H100"}
    results.write(tmp_path, setting, {"lora": {"tokens/s": 1.0}}, toy=True)
    results.write(tmp_path, setting, {"graph": {"seconds": 2.0}}, toy=False)
    assert list(json.loads((tmp_path / "gpu-nvidia-h100.json").read_text())["results"]) == ["graph"]
