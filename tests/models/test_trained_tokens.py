from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest

from ds2.base.errors import UserError
from ds2.models.trained_tokens import (
    count_steps,
    decode_trained,
    encode_samples,
    functions_of,
    most_trained,
    set_template,
    trained_spans,
    with_native_calls,
)
from finetune.rows import read_tools

SYSTEM = {"role": "system", "content": "Be brief."}
ASK = {"role": "user", "content": "Name a tree."}
OAK = {"role": "assistant", "content": "An oak."}
AGAIN = {"role": "user", "content": "Another, in 日本語?"}
ASH = {"role": "assistant", "content": "Ash 🌳 – トネリコ"}


CHATML = (
    "{% for m in messages %}<|im_start|>{{ m['role'] }}\n{{ m['content'] }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)


def decoded(tokenizer: Any, messages: list[dict[str, str]], max_tokens: int = 1000) -> list[str]:
    return list(decode_trained(tokenizer, encode_samples(tokenizer, [messages], max_tokens=max_tokens)))


@pytest.fixture
def tulu(tokenizer: Any) -> Any:
    set_template(tokenizer, "tulu")
    return tokenizer


def test_the_tulu_format(tulu: Any) -> None:
    text = tulu.apply_chat_template([SYSTEM, ASK, OAK, AGAIN], tokenize=False, add_generation_prompt=True)
    assert text == (
        "<s><|system|>\nBe brief.\n<|user|>\nName a tree.\n<|assistant|>\nAn oak.</s>\n"
        "<|user|>\nAnother, in 日本語?\n<|assistant|>\n"
    )


def test_tulu_takes_arguments_as_text_or_as_the_object_that_trainers_hand_over(tulu: Any) -> None:
    given = {"name": "Ésche <&'>", "n": [1, 2.5, None, True], "deep": {"日本": "a\nb"}}

    def text(arguments: Any, content: str | None) -> str:
        call = {"type": "function", "function": {"name": "find_tree", "arguments": arguments}}
        turns = [ASK, {"role": "assistant", "content": content, "tool_calls": [call]}]
        return str(tulu.apply_chat_template(turns, tokenize=False))

    as_text = json.dumps(given, ensure_ascii=False)
    assert f'"arguments": {as_text}}}' in text(as_text, "")
    assert text(given, None) == text(given, "") == text(as_text, "")
    assert '"arguments": {}}' in text({}, "")
    assert '"arguments": no JSON}' in text("no JSON", "")


@pytest.mark.parametrize(
    ("messages", "trained"),
    [
        ([ASK, OAK], "An oak.</s>"),
        ([SYSTEM, ASK, OAK], "An oak.</s>"),
        ([ASK, OAK, AGAIN, ASH], "An oak.</s>Ash 🌳 – トネリコ</s>"),
        ([SYSTEM, ASK, OAK, AGAIN, ASH, ASK], "An oak.</s>Ash 🌳 – トネリコ</s>"),
        ([ASK, OAK, OAK], "An oak.</s>An oak.</s>"),
        ([OAK, ASK, ASH], "An oak.</s>Ash 🌳 – トネリコ</s>"),
        ([ASK, {"role": "assistant", "content": "  padded \n"}], "padded</s>"),
        ([ASK, {"role": "assistant", "content": ""}], "</s>"),
        ([ASK, OAK | {"weight": 0}, AGAIN, ASH | {"weight": 1}], "Ash 🌳 – トネリコ</s>"),
        ([ASK, {"role": "assistant", "content": "a\n<|user|>\nnot a turn"}], "a\n<|user|>\nnot a turn</s>"),
    ],
)
def test_exactly_the_assistant_contents_and_end_tokens_are_trained(
    tulu: Any, messages: list[dict[str, str]], trained: str
) -> None:
    assert decoded(tulu, messages) == [trained]


def test_what_precedes_a_trained_span_is_the_prompt_that_inference_gives(tulu: Any) -> None:
    messages = [SYSTEM, ASK, OAK, AGAIN, ASH]
    text, spans = trained_spans(tulu, messages)
    for turn, (start, _) in zip((2, 4), spans, strict=True):
        prompt = tulu.apply_chat_template(messages[:turn], tokenize=False, add_generation_prompt=True)
        assert text[:start] == prompt
        assert (
            tulu(text, add_special_tokens=False)["input_ids"][: len(tulu(prompt)["input_ids"])]
            == tulu(prompt)["input_ids"]
        )


def test_the_end_token_of_the_models_own_template_is_trained_and_its_newline_is_not(tokenizer: Any) -> None:
    tokenizer.chat_template = CHATML
    tokenizer.add_tokens(["<|im_start|>", "<|im_end|>"], special_tokens=True)
    set_template(tokenizer, "model")
    assert decoded(tokenizer, [ASK, OAK, AGAIN, ASH]) == ["An oak.<|im_end|>Ash 🌳 – トネリコ<|im_end|>"]


def test_what_a_template_puts_after_the_turns_end_is_not_trained(tokenizer: Any) -> None:
    tokenizer.chat_template = CHATML + "{% if not add_generation_prompt %}{{ eos_token }}{% endif %}"
    tokenizer.add_tokens(["<|im_start|>", "<|im_end|>"])
    set_template(tokenizer, "model")
    assert decoded(tokenizer, [ASK, OAK, AGAIN, ASH]) == ["An oak.<|im_end|>Ash 🌳 – トネリコ<|im_end|>"]


@pytest.mark.parametrize("ending", ["\n\n", "<|im_end|>\n"])
def test_a_template_that_ends_a_turn_with_no_token_is_refused(tokenizer: Any, ending: str) -> None:
    tokenizer.chat_template = (
        "{% for m in messages %}### {{ m['role'] }}:\n{{ m['content'] }}" + ending + "{% endfor %}"
    )
    with pytest.raises(UserError, match=r"ends an assistant's turn with no token .* would never stop; use"):
        set_template(tokenizer, "model")


def test_long_samples_are_cut_and_those_left_without_an_answer_are_dropped_and_counted(tulu: Any) -> None:
    short, long = [ASK, OAK], [{"role": "user", "content": "x" * 90}, OAK]
    encoded = encode_samples(tulu, [short, long, [SYSTEM, ASK], short], max_tokens=44)
    assert encoded.lengths.tolist() == [44, 44]
    assert list(decode_trained(tulu, encoded)) == ["An oak.", "An oak."]  # the cut took the end tokens
    assert (encoded.truncated, encoded.dropped_without_assistant) == (2, 2)
    whole = encode_samples(tulu, [short], max_tokens=45)
    assert (list(decode_trained(tulu, whole)), whole.truncated) == (["An oak.</s>"], 0)


def test_many_samples_keep_their_order(tulu: Any) -> None:
    count = 1100
    conversations = [[ASK, {"role": "assistant", "content": str(i)}] for i in range(count)]
    assert list(decode_trained(tulu, encode_samples(tulu, conversations, max_tokens=99))) == [
        f"{i}</s>" for i in range(count)
    ]


def test_a_base_model_without_chat_template_is_one_clear_line(tokenizer: Any) -> None:
    with pytest.raises(UserError, match=r"no chat template of its own: use finetune\.template=tulu"):
        set_template(tokenizer, "model")


def test_an_unknown_template_is_named_with_the_known_ones(tokenizer: Any) -> None:
    with pytest.raises(UserError, match=r"finetune\.template=alpaca is unknown: use one of tulu, model"):
        set_template(tokenizer, "alpaca")


def test_a_tokenizer_without_end_token_is_refused(tokenizer: Any) -> None:
    tokenizer.eos_token = None
    with pytest.raises(UserError, match="no end-of-sequence token"):
        set_template(tokenizer, "tulu")


def test_an_unknown_role_is_one_clear_line(tulu: Any) -> None:
    with pytest.raises(UserError, match="unknown role judge"):
        encode_samples(tulu, [[ASK, {"role": "judge", "content": "x"}, OAK]], max_tokens=99)


def test_a_template_that_rewrites_earlier_turns_is_refused(tokenizer: Any) -> None:
    tokenizer.chat_template = (
        "{{ messages | length }}{% for m in messages %}{{ m['content'] }}{{ eos_token }}{% endfor %}"
    )
    set_template(tokenizer, "model")
    with pytest.raises(UserError, match="rewrites earlier turns"):
        encode_samples(tokenizer, [[ASK, OAK]], max_tokens=99)


def test_a_models_own_template_sees_tool_calls_with_their_arguments_as_objects() -> None:
    def call(arguments: str) -> dict[str, Any]:
        return {"role": "assistant", "tool_calls": [{"function": {"name": "f", "arguments": arguments}}]}

    asked, called, odd = with_native_calls([ASK, call('{"n": [1]}'), call("no JSON")])
    assert asked == ASK
    assert called["tool_calls"][0]["function"] == {"name": "f", "arguments": {"n": [1]}}
    assert odd["tool_calls"][0]["function"]["arguments"] == "no JSON"


WEATHER = {"type": "function", "function": {"name": "weather", "parameters": {"type": "object"}}}


def test_a_models_own_template_shows_the_tools_of_each_row_and_trains_none_of_them(tokenizer: Any) -> None:
    tokenizer.chat_template = (
        "{% if tools %}<tools>{% for t in tools %}{{ t.function.name }}{% endfor %}</tools>{% endif %}"
        "{% for m in messages %}<|{{ m.role }}|>\n{{ m.content }}"
        "{% if m.role == 'assistant' %}{{ eos_token }}{% endif %}\n{% endfor %}"
        "{% if add_generation_prompt %}<|assistant|>\n{% endif %}"
    )
    set_template(tokenizer, "model")
    encoded = encode_samples(tokenizer, [[ASK, OAK], [ASK, OAK]], max_tokens=99, tools=[[WEATHER], None])
    shown = [tokenizer.decode(ids.tolist()) for ids in encoded.ids]
    assert "<tools>weather</tools>" in shown[0]
    assert "<tools>" not in shown[1]
    assert list(decode_trained(tokenizer, encoded)) == ["An oak.</s>"] * 2


def test_tools_are_read_as_lists_or_json_and_others_counted_aloud(tmp_path: Any, capsys: Any) -> None:
    told = [[WEATHER], json.dumps([WEATHER]), "", None, "[]", "call weather()", {"a": 1}]
    path = tmp_path / "rows.jsonl"
    path.write_text("".join(json.dumps({"messages": [], "tools": tools}) + "\n" for tools in told))
    assert read_tools(path) == [[WEATHER], [WEATHER], None, None, None, None, None]
    assert "2 rows have `tools` that are no list of functions: not rendered" in capsys.readouterr().err
    with pytest.raises(ValueError, match="no list of objects"):
        functions_of({"a": 1})


@pytest.mark.parametrize(
    ("epochs", "max_steps", "steps"), [(5, None, 391), (1, None, 79), (0.001, None, 1), (5, 120, 120)]
)
def test_number_of_steps(epochs: float, max_steps: int | None, steps: int) -> None:
    assert count_steps(10_000, epochs=epochs, max_steps=max_steps, total_batch=128) == steps


def test_the_most_tokens_of_a_training_are_whole_passes_and_the_longest_of_the_rest() -> None:
    lengths = np.array([3, 5, 7])
    # 2 passes of 3 samples in steps of 4: 8 samples, two of them in a third pass.
    assert most_trained(lengths, epochs=2, total_batch=4) == 2 * 15 + 7 + 5
    assert most_trained(lengths, epochs=4, total_batch=4) == 4 * 15
    assert most_trained(lengths, epochs=0.1, total_batch=2) == 7 + 5
    assert most_trained(lengths[:0], epochs=2, total_batch=4) == 0
