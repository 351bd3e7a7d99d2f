from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from finetune import merge
from finetune.spec import FinetuneSpec
from finetune.train import train


def test_the_merged_model_has_the_logits_of_base_and_adapter(make_spec: Callable[..., FinetuneSpec]) -> None:
    from peft import AutoPeftModelForCausalLM
    from transformers import AutoModelForCausalLM, AutoTokenizer

    spec = make_spec(merge=True)
    metrics = train(spec)
    output = Path(spec.output_dir)
    merged, base = (
        AutoModelForCausalLM.from_pretrained(path) for path in (output / "merged", spec.base_model)
    )
    tuned = AutoPeftModelForCausalLM.from_pretrained(output / "adapter")
    ids = torch.arange(3, 40)[None]
    torch.testing.assert_close(merged(ids).logits, tuned(ids).logits, rtol=1e-4, atol=1e-4)
    assert (merged(ids).logits - base(ids).logits).abs().max() > 0.1
    assert metrics["merge_max_logit_error"] < 1e-3
    settings = json.loads((output / "merged" / "generation_config.json").read_text())
    assert settings["eos_token_id"] == [2]  # </s>, which ends a turn of the Tulu template
    assert "<|assistant|>" in AutoTokenizer.from_pretrained(output / "merged").chat_template


def test_a_merged_model_stops_where_its_template_ends_a_turn(
    make_spec: Callable[..., FinetuneSpec], tmp_path: Path
) -> None:
    from transformers import AutoTokenizer

    spec = make_spec(merge=True, max_steps=1, template="model", target_modules=["v_proj", "q_proj"])
    base = tmp_path / "chatml"
    shutil.copytree(spec.base_model, base)
    tokenizer = AutoTokenizer.from_pretrained(base)
    tokenizer.chat_template = (
        "{% for m in messages %}<pad>{{ m['role'] }}\n{{ m['content'] }}<pad>\n{% endfor %}"
        "{% if add_generation_prompt %}<pad>assistant\n{% endif %}"
    )
    tokenizer.save_pretrained(base)
    spec.base_model = str(base)
    train(spec)
    merged = Path(spec.output_dir) / "merged"
    settings = json.loads((merged / "generation_config.json").read_text())
    assert settings["eos_token_id"] == [tokenizer.pad_token_id, tokenizer.eos_token_id]


def test_a_merged_model_with_other_logits_is_refused(
    make_spec: Callable[..., FinetuneSpec], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(merge.TOLERANCE, "float32", -1.0)
    with pytest.raises(RuntimeError, match="logits differ"):
        train(make_spec(merge=True, max_steps=1))
