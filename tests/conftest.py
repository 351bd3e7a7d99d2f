"""Shared by all tests: no network, and a planted pool small enough to run the chain in a second."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from helpers.planted import planted_rows

os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")


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


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    """The system's Chromium, headless; its driver's event loop runs in the thread of the tests meanwhile."""
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
    for module in ("torch", "transformers"):
        pytest.importorskip(module)
    from ds2.models.tiny import build

    directory = tmp_path_factory.mktemp("tiny")
    build(directory, seed=0)
    return directory


@pytest.fixture
def tokenizer(tiny_model: Path) -> Any:
    """The random Llama's."""
    from ds2.models.trained_tokens import load_tokenizer

    return load_tokenizer(str(tiny_model), None)
