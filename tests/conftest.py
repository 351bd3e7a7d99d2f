"""Shared by all tests: no network, and a planted pool small enough to run the chain in a second."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")

TOPICS = [f"{stem}{i}" for i in range(12) for stem in ("alba", "bero", "cile", "dora")]


def planted_rows(count: int, levels: int, seed: int = 0) -> list[dict]:
    """Rows whose topic decides their true score, so that neighbours share it."""
    rng = np.random.default_rng(seed)
    rows = []
    for i in range(count):
        topic = int(rng.integers(12))
        words = [TOPICS[4 * topic + j] for j in rng.integers(0, 4, 6)]
        turns = [
            {"role": "user", "content": " ".join(words)},
            {"role": "assistant", "content": f"answer {words[0]} {i}"},
        ]
        rows.append(
            {"id": f"p{i}", "source": f"s{topic % 3}", "messages": turns, "true_score": topic % levels}
        )
    return rows


@pytest.fixture
def planted_pool(tmp_path: Path) -> Path:
    """A pool of 240 samples with `true_score` 0..5."""
    path = tmp_path / "planted.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in planted_rows(240, 6)))
    return path


@pytest.fixture
def shared_data() -> Path:
    """Folder of real data that is not part of the repository."""
    folder = Path(os.environ.get("DS2_DATA", Path(__file__).parent.parent.parent / "shared"))
    if not (folder / "pools").is_dir():
        pytest.skip(f"no real data in {folder} (set DS2_DATA)")
    return folder


@pytest.fixture(scope="session")
def browser() -> Iterator[Any]:
    """The system's Chromium, headless, one for all tests."""
    playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    chromium = shutil.which("chromium")
    if chromium is None:
        pytest.skip("chromium is not installed")
    with playwright.sync_playwright() as driver:
        opened = driver.chromium.launch(
            executable_path=chromium,
            args=["--no-sandbox", "--disable-gpu", "--disable-background-networking"],
        )
        yield opened
        opened.close()


@pytest.fixture(scope="session")
def tiny_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of the random Llama with a byte tokenizer."""
    from ds2.models.tiny import build

    directory = tmp_path_factory.mktemp("tiny")
    build(directory, seed=0)
    return directory
