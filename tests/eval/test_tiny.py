"""The tiny model, which the tests of both leaves stand on."""

from __future__ import annotations

from pathlib import Path

import pytest

from ds2.models.tiny import build


def test_equal_seeds_give_equal_bytes_and_another_seed_others(tmp_path: Path) -> None:
    for name, seed in (("first", 0), ("again", 0), ("other", 1)):
        build(tmp_path / name, seed)
    first, again, other = (
        (tmp_path / n / "model.safetensors").read_bytes() for n in ("first", "again", "other")
    )
    assert first == again != other


def test_building_leaves_the_global_random_state_alone(tmp_path: Path) -> None:
    import torch

    before = torch.random.get_rng_state()
    build(tmp_path, seed=5)
    assert torch.equal(before, torch.random.get_rng_state())


@pytest.mark.parametrize("text", ["plain", "日本語 – 🌳\n\ttabs", "</s> spelled out", "\x00\xff"])
def test_every_string_comes_back(tiny_model: Path, text: str) -> None:
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(tiny_model)
    assert tokenizer.decode(tokenizer(text)["input_ids"]) == text


def test_the_model_is_small_and_its_tokenizer_is_complete(tiny_model: Path) -> None:
    from transformers import AutoConfig, AutoTokenizer

    tokenizer, config = AutoTokenizer.from_pretrained(tiny_model), AutoConfig.from_pretrained(tiny_model)
    assert (tokenizer.bos_token, tokenizer.eos_token, tokenizer.pad_token) == ("<s>", "</s>", "<pad>")
    assert len({tokenizer.bos_token_id, tokenizer.eos_token_id, tokenizer.pad_token_id}) == 3
    assert tokenizer.chat_template is None
    assert config.hidden_size // config.num_attention_heads >= 32
    assert sum(path.stat().st_size for path in tiny_model.iterdir()) < 4_000_000


def test_a_base_models_mark_survives_its_dtype(tiny_model: Path) -> None:
    import torch
    from transformers import AutoModelForCausalLM

    from ds2.models.digest import base_digest

    marks = {
        base_digest(AutoModelForCausalLM.from_pretrained(tiny_model, dtype=d))
        for d in (torch.float32, torch.bfloat16)
    }
    assert len(marks) == 1


@pytest.mark.parametrize("shard", ["5GB", "20KB"])
def test_a_base_models_mark_can_be_read_off_its_files(tiny_model: Path, tmp_path: Path, shard: str) -> None:
    from transformers import AutoModelForCausalLM

    from ds2.models.digest import base_digest, stored_digest

    model = AutoModelForCausalLM.from_pretrained(tiny_model)
    model.save_pretrained(tmp_path, max_shard_size=shard)
    assert (len(list(tmp_path.glob("*.safetensors"))) > 1) is (shard == "20KB")
    assert stored_digest(str(tmp_path), None) == base_digest(model)
    for path in tmp_path.glob("*.safetensors"):
        path.unlink()
    assert stored_digest(str(tmp_path), None) is None
