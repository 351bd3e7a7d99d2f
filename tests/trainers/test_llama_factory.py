"""LLaMA-Factory's parser, loader, converter and processor over its export."""

from __future__ import annotations

import json
from types import SimpleNamespace

import yaml
from helpers.exported import KINDS, SKIPPED, answer, decoded, finished_subset, lines, rows, user

from ds2.export import export

TRAINING = SimpleNamespace(local_process_index=0, should_log=False, predict_with_generate=False, seed=0)


def loaded(stanza: str, tokenizer, cache) -> tuple[list[dict], list[tuple[str, str]]]:
    """Its aligned rows, and each row's text with what is trained of it, in a Tulu template of its parts."""
    from llamafactory.data.formatter import FunctionFormatter, StringFormatter, ToolFormatter
    from llamafactory.data.loader import _get_merged_dataset, _get_preprocessed_dataset
    from llamafactory.data.template import TEMPLATES, register_template
    from llamafactory.hparams import DataArguments, ModelArguments

    if "ds2_tulu" not in TEMPLATES:
        register_template(
            name="ds2_tulu",
            format_user=StringFormatter(slots=["<|user|>\n{{content}}\n<|assistant|>\n"]),
            format_system=StringFormatter(slots=["<|system|>\n{{content}}\n"]),
            format_function=FunctionFormatter(slots=["{{content}}", {"eos_token"}], tool_format="qwen"),
            format_observation=StringFormatter(slots=["<|tool|>\n{{content}}\n<|assistant|>\n"]),
            format_tools=ToolFormatter(tool_format="qwen"),
        )
    given = yaml.safe_load(stanza) | {"template": "ds2_tulu"}
    data = DataArguments(**given, cutoff_len=4096, overwrite_cache=True)
    model = ModelArguments(model_name_or_path="none", cache_dir=str(cache))
    aligned = _get_merged_dataset(data.dataset, model, data, TRAINING, "sft")
    done = _get_preprocessed_dataset(aligned, data, TRAINING, "sft", TEMPLATES["ds2_tulu"], tokenizer)
    texts = [decoded(tokenizer, row["input_ids"], row["labels"]) for row in done]
    return list(aligned), texts


def test_rows_roles_masks_tools_and_system_prompts_are_ours(every_kind, tokenizer, ours, tmp_path):
    done = export(every_kind, "llama_factory", tmp_path / "out")
    ids = [row["id"] for row in lines(done.data)]
    aligned, texts = loaded(done.stanza, tokenizer, tmp_path / "cache")
    assert len(texts) == len(ids) == done.tally.rows == len(KINDS) - len(SKIPPED)
    expected = {name: told for name, (_, told) in zip(KINDS, ours(every_kind), strict=True)}
    expected["untrained"] = "wrong</s>right</s>"  # said in the tally
    expected["reasoning"] = "<think>\nbecause\n</think>\n\nso</s>"  # said too
    assert dict(zip(ids, (trained for _, trained in texts), strict=True)) == {i: expected[i] for i in ids}
    by_id = dict(zip(ids, aligned, strict=True))
    assert by_id["system"]["_system"] == "s"
    roles = [turn["role"] for turn in by_id["calls"]["_prompt"] + by_id["calls"]["_response"]]
    assert roles == ["user", "function", "observation", "assistant"]
    assert json.loads(by_id["calls"]["_tools"])[0]["function"]["name"] == "add"
    whole = dict(zip(ids, (text for text, _ in texts), strict=True))
    assert "Add one" in whole["calls"]
    assert "<|system|>\ns\n" in whole["system"]


def test_what_is_left_out_is_what_its_converter_skips(tmp_path):
    from llamafactory.data.converter import SharegptDatasetConverter
    from llamafactory.data.parser import DatasetAttr

    converter = SharegptDatasetConverter(DatasetAttr("file", "x"), SimpleNamespace(media_dir="."))
    names = {"user": "human", "assistant": "gpt", "system": "system", "tool": "observation"}
    plain = [name for name, row in KINDS.items() if "tools" not in row]
    skipped = []
    for name in plain:
        turns = [{"from": names[m["role"]], "value": m["content"]} for m in KINDS[name]["messages"]]
        if not converter({"conversations": turns})["_response"]:
            skipped.append(name)
    assert {*skipped} == {*SKIPPED, "user_last"}  # whose last turn, which trains nothing, the export cuts


def test_mask_history_trains_the_last_answer_alone(tokenizer, ours, tmp_path):
    last = [{"id": str(i), "messages": [user("one?"), answer("x", weight=0), user("two?"), answer("y")]}
            for i in range(2)]  # fmt: skip
    subset = finished_subset(tmp_path / "store", [*last, *rows(["plain"])])
    done = export(subset, "llama_factory", tmp_path / "out")
    _, texts = loaded(done.stanza, tokenizer, tmp_path / "cache")
    assert [trained for _, trained in texts] == [trained for _, trained in ours(subset)]
