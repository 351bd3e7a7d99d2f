"""A planted model: whatever it is asked, it says `ok`, the end of its turn, and goes on with X."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from ds2.config import EvalConfig, EvalRuntime
from ds2.models.tiny import byte_tokenizer
from eval.engines import load_engine
from eval.judge.answer import write_answers
from eval.judge.spec import AnswerSpec
from eval.spec import EvalSpec

CHATML = (
    "{% for m in messages %}<|im_start|>{{ m['role'] }}\n{{ m['content'] }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
SETTINGS = EvalConfig(name="t", tasks=["mini_new"], dtype="float32", runtime=EvalRuntime(device="cpu"))


def scripted_model(folder: Path, *, special: bool, context: int = 256) -> Path:
    """A LLaMA of one layer whose next token follows from the last one alone."""
    import torch
    from transformers import LlamaConfig, LlamaForCausalLM

    tokenizer = byte_tokenizer()
    tokenizer.add_tokens(["<|im_start|>", "<|im_end|>"], special_tokens=special)
    tokenizer.chat_template = CHATML
    size = len(tokenizer)
    config = LlamaConfig(
        vocab_size=size, hidden_size=size + size % 2, intermediate_size=8, num_hidden_layers=1,
        num_attention_heads=1, max_position_embeddings=context, pad_token_id=tokenizer.pad_token_id,
        bos_token_id=tokenizer.bos_token_id, eos_token_id=tokenizer.eos_token_id, tie_word_embeddings=False,
    )  # fmt: skip
    model = LlamaForCausalLM(config)
    newline, o, k, end, x = (
        tokenizer.encode(token, add_special_tokens=False)[0] for token in ("\n", "o", "k", "<|im_end|>", "X")
    )
    follows = {newline: o, o: k, k: end, end: x}
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.zero_()
        model.model.norm.weight.fill_(1.0)
        model.model.embed_tokens.weight[:, :size] = torch.eye(size)
        for last in range(size):
            model.lm_head.weight[follows.get(last, x), last] = 1.0
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


@pytest.mark.parametrize("special", [True, False])
def test_an_answer_ends_where_the_template_ends_a_turn(tmp_path: Path, special: bool) -> None:
    from lm_eval.api.instance import Instance

    model = scripted_model(tmp_path / "model", special=special)
    lm = load_engine(EvalSpec(str(model), None, None, str(tmp_path), 0, SETTINGS, progress=False))
    calls = count_forward_passes(lm)
    prompt = lm.apply_chat_template([{"role": "user", "content": "say ok"}])
    options = {"until": "Q:", "max_gen_toks": 40, "do_sample": False, "temperature": 0.0}
    requests = [Instance("generate_until", {}, (prompt, options), i) for i in range(2)]
    assert lm.generate_until(requests) == ["ok", "ok"]
    assert calls == [1] * 3  # o, k, the end: none of the 37 other tokens
    assert requests[0].args[1]["until"] == "Q:"


def test_the_judges_answers_end_there_too(tmp_path: Path) -> None:
    model = scripted_model(tmp_path / "model", special=True)
    (tmp_path / "prompts.jsonl").write_text('{"id": 1, "turns": ["say ok", "again"]}\n')
    spec = AnswerSpec(str(model), None, None, str(tmp_path / "prompts.jsonl"), str(tmp_path / "a.jsonl"), 0,
                      SETTINGS, max_new_tokens=40, progress=False)  # fmt: skip
    assert [row["answers"] for row in write_answers(spec)] == [["ok", "ok"]]


def count_forward_passes(lm: Any) -> list[int]:
    calls: list[int] = []
    lm.model.register_forward_hook(lambda *_: calls.append(1))
    return calls
