from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from ds2.config import EvalConfig, EvalRuntime
from eval.spec import EvalSpec


@pytest.fixture(scope="session", autouse=True)
def one_thread() -> None:
    """Threads only wait for one another on models this small, and long where the cores are shared."""
    import torch

    torch.set_num_threads(1)


CHAT = (
    "{% for m in messages %}{{ '<|' + m['role'] + '|>\n' + m['content'] + '\n' }}{% endfor %}{{ "
    "'<|assistant|>\n' }}"
)


def save_adapter(base: Path, directory: Path) -> Path:
    """An adapter that changes the answers, as fine-tuning leaves it: weights, tokenizer with template,
    base's mark.
    """
    import torch
    from peft import LoraConfig, get_peft_model
    from transformers import AutoModelForCausalLM, AutoTokenizer

    from ds2.artifacts.adapter import BaseMark
    from ds2.models.digest import base_digest

    model = AutoModelForCausalLM.from_pretrained(base)
    mark = BaseMark(str(base), base_digest(model))
    torch.manual_seed(0)
    tuned = get_peft_model(
        model, LoraConfig(r=4, target_modules=["q_proj", "down_proj"], init_lora_weights=False)
    )
    tuned.save_pretrained(directory)
    tokenizer = AutoTokenizer.from_pretrained(base)
    tokenizer.chat_template = CHAT
    tokenizer.save_pretrained(directory)
    mark.write(directory)
    return directory


@pytest.fixture(scope="session")
def adapter(tiny_model: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_adapter(tiny_model, tmp_path_factory.mktemp("adapter"))


@pytest.fixture
def make_spec(tiny_model: Path, tmp_path: Path) -> Callable[..., EvalSpec]:
    """A spec over 6 generated questions; keyword arguments replace fields of its config."""

    def make(adapter: Path | None = None, output: str = "out", **changes: Any) -> EvalSpec:
        (tmp_path / output).mkdir(exist_ok=True)
        config = EvalConfig(name="test", tasks=["mini_familiar"], data_samples=6, dtype="float32")
        config = replace(config, **changes, runtime=EvalRuntime(device="cpu"))
        return EvalSpec(
            str(tiny_model),
            None,
            str(adapter) if adapter else None,
            str(tmp_path / output),
            3,
            config,
            progress=False,
        )

    return make


@pytest.fixture
def short_model(tiny_model: Path, tmp_path: Path) -> Callable[[int], str]:
    """The tiny model, whose tokens are bytes, with room for so many."""

    def make(tokens: int) -> str:
        folder = tmp_path / f"model-{tokens}"
        shutil.copytree(tiny_model, folder)
        for name, key in (
            ("config.json", "max_position_embeddings"),
            ("tokenizer_config.json", "model_max_length"),
        ):
            content = json.loads((folder / name).read_text()) | {key: tokens}
            (folder / name).write_text(json.dumps(content))
        return str(folder)

    return make
