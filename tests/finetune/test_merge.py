from __future__ import annotations

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
    assert "<|assistant|>" in AutoTokenizer.from_pretrained(output / "merged").chat_template


def test_a_merged_model_with_other_logits_is_refused(
    make_spec: Callable[..., FinetuneSpec], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(merge.TOLERANCE, "float32", -1.0)
    with pytest.raises(RuntimeError, match="logits differ"):
        train(make_spec(merge=True, max_steps=1))
