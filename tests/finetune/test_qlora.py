from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from ds2.base.errors import MissingInput
from ds2.config import Quantization
from finetune.base import load_base
from finetune.spec import FinetuneSpec
from finetune.train import train

MakeSpec = Callable[..., FinetuneSpec]


def test_the_base_weights_are_four_bit_and_the_fine_tune_learns(make_spec: MakeSpec) -> None:
    bitsandbytes = pytest.importorskip("bitsandbytes")
    from peft import AutoPeftModelForCausalLM

    spec = make_spec(quantization=Quantization.nf4)
    base = load_base(spec.base_model, None, spec.config)
    layer = base.model.layers[0].mlp.up_proj
    assert isinstance(layer, bitsandbytes.nn.Linear4bit)
    assert layer.weight.quant_type == "nf4"
    train(spec)
    metrics = json.loads((Path(spec.output_dir) / "metrics.json").read_text())
    assert metrics["final_loss"] < metrics["train_loss"] - 0.4
    tuned = AutoPeftModelForCausalLM.from_pretrained(
        Path(spec.output_dir) / "adapter"
    )  # on the full base weights
    assert any((p != 0).any() for name, p in tuned.named_parameters() if "lora_B" in name)


def test_without_bitsandbytes_one_line_says_what_to_install(
    make_spec: MakeSpec, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "bitsandbytes", None)
    with pytest.raises(MissingInput, match=r"pip install 'ds2\[qlora\]'"):
        train(make_spec(quantization=Quantization.nf4))
