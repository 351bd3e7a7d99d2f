"""The loss in parts is the plain one, and a model for which it would not be keeps the plain one."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from peft import LoraConfig, get_peft_model
from transformers import AutoModelForCausalLM

from finetune import loss

PROBE = torch.tensor([[5, 9, 3, 7]])


@pytest.fixture
def model(tiny_model: Path) -> Any:
    base = AutoModelForCausalLM.from_pretrained(tiny_model)
    torch.manual_seed(0)
    config = LoraConfig(r=2, target_modules=["q_proj"], init_lora_weights=False, task_type="CAUSAL_LM")
    return get_peft_model(base, config)


@pytest.fixture
def parts(monkeypatch: pytest.MonkeyPatch) -> Callable[..., Any]:
    monkeypatch.setattr(loss, "ROWS", 3)

    def in_parts(model: Any, **changes: Any) -> Any:
        return loss.in_parts(
            model, **{"logits_bytes": loss.LARGE, "sharded": False, "probe": PROBE, **changes}
        )

    return in_parts


def gradients(model: Any) -> tuple[float, list[torch.Tensor]]:
    ids = torch.arange(3, 25).reshape(2, 11)
    labels = ids.clone()
    labels[:, :4] = -100
    model.zero_grad()
    found = model(input_ids=ids, labels=labels, num_items_in_batch=9).loss
    found.backward()
    return float(found.detach()), [p.grad.clone() for p in model.parameters() if p.grad is not None]


def test_loss_and_gradients_are_those_of_the_plain_loss(model: Any, parts: Callable[..., Any]) -> None:
    plain, expected = gradients(model)
    with parts(model) as used:
        assert used
        value, found = gradients(model)
    assert value == pytest.approx(plain, rel=1e-5)
    assert len(found) == len(expected) > 0
    for one, other in zip(found, expected, strict=True):
        # Where terms cancel, what is left of a sum in another order depends on the processor.
        torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-5 * float(other.abs().max()))
    assert model(input_ids=PROBE).logits.shape[-1] == model.config.vocab_size  # as it was, afterwards


def test_small_logits_and_shared_out_weights_keep_the_plain_loss(
    model: Any, parts: Callable[..., Any]
) -> None:
    for changes in ({"logits_bytes": loss.LARGE - 1}, {"sharded": True}):
        with parts(model, **changes) as used:
            assert not used
            assert model(input_ids=PROBE).logits.shape[-1] == model.config.vocab_size


def test_a_model_that_does_more_to_its_logits_keeps_the_plain_loss(
    model: Any, parts: Callable[..., Any]
) -> None:
    owner = model.get_base_model()
    usual = owner.forward

    def capped(*args: Any, labels: Any = None, **kwargs: Any) -> Any:
        output = usual(*args, **kwargs)
        output.logits = torch.tanh(output.logits)
        if labels is not None:
            size = model.config.vocab_size
            output.loss = owner.loss_function(logits=output.logits, labels=labels, vocab_size=size)
        return output

    owner.forward = capped
    with parts(model) as used:
        assert not used
        assert model(input_ids=PROBE).logits.shape[-1] == model.config.vocab_size
