from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from ds2.config import FinetuneConfig, FinetuneRuntime
from finetune.spec import FinetuneSpec

Turns = list[tuple[str, str]]


@pytest.fixture(scope="session", autouse=True)
def one_thread() -> None:
    """Threads only wait for one another on models this small, and long where the cores are shared."""
    import torch

    torch.set_num_threads(1)


def write_rows(path: Path, conversations: list[Turns]) -> Path:
    rows = [
        {"id": str(i), "messages": [{"role": role, "content": content} for role, content in turns]}
        for i, turns in enumerate(conversations)
    ]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


QUESTIONS: list[Turns] = [
    [("user", f"say {word} {count} times"), ("assistant", " ".join([word] * count))]
    for word in ("oak", "elm", "yew", "ash")
    for count in (1, 2, 3, 5)
]


@pytest.fixture
def make_spec(tiny_model: Path, tmp_path: Path) -> Callable[..., FinetuneSpec]:
    """A spec on 16 short samples: 6 steps of 8 samples; keyword arguments replace fields of its config or
    runtime.
    """

    def make(conversations: list[Turns] | None = None, output: str = "out", **changes: Any) -> FinetuneSpec:
        (tmp_path / output).mkdir(exist_ok=True)
        rows = write_rows(tmp_path / f"{output}.jsonl", QUESTIONS if conversations is None else conversations)
        runtime = {key: changes.pop(key) for key in list(changes) if hasattr(FinetuneRuntime(), key)}
        config = FinetuneConfig(
            name="test",
            rank=4,
            dropout=0.0,
            learning_rate=1e-2,
            epochs=3,
            total_batch=8,
            max_tokens=64,
            dtype="float32",
        )
        config = replace(config, **changes, runtime=FinetuneRuntime(**runtime))
        return FinetuneSpec(
            str(tiny_model), None, str(rows), str(tmp_path / output), 7, config, progress=False
        )

    return make
