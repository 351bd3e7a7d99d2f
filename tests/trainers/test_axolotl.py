"""Axolotl's `chat_template` strategy over its export, as its configuration is to be pasted."""

from __future__ import annotations

import yaml
from helpers.exported import KINDS, decoded

from ds2.export import export


def test_rows_roles_masks_tools_and_system_prompts_are_ours(every_kind, tokenizer, ours, tmp_path):
    from axolotl.prompt_strategies.chat_template import load
    from axolotl.utils.dict import DictDefault
    from datasets import load_dataset

    done = export(every_kind, "axolotl", tmp_path / "out")
    (entry,) = yaml.safe_load(done.stanza)["datasets"]
    kind, path = entry["ds_type"], entry["path"]  # a local file is loaded so by axolotl.utils.data.shared
    data = load_dataset(kind, data_files=path, split="train", cache_dir=str(tmp_path / "cache"))
    cfg = DictDefault({"sequence_len": 4096, "train_on_inputs": False, "chat_template": "tokenizer_default"})
    strategy = load(tokenizer, cfg, DictDefault(entry))
    rows = [strategy.tokenize_prompt(row) for row in data]
    texts = [decoded(tokenizer, row["input_ids"], row["labels"]) for row in rows]
    assert dict(zip(KINDS, texts, strict=True)) == dict(zip(KINDS, ours(every_kind), strict=True))
    assert [tool["function"]["name"] for tool in strategy._get_tools(data[4])] == ["add"]
