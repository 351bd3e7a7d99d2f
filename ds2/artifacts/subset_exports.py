"""The subset in the forms that training frameworks read.

dataset/             a folder for `datasets.load_dataset(FOLDER)`: train.parquet and a dataset card
exports/             messages.jsonl, sharegpt.jsonl, and what each framework wants beside them:
                     dataset_info.json (LLaMA-Factory), axolotl.yaml (Axolotl), README.md (all of them)
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from ds2.artifacts.written_samples import Layout, layout
from ds2.base.json_files import write_json_lines
from ds2.pool import Message, Pool, Sample

_SHAREGPT = {"user": "human", "assistant": "gpt", "system": "system", "tool": "observation"}
_SIZES = ((1_000, "n<1K"), (10_000, "1K<n<10K"), (100_000, "10K<n<100K"), (1_000_000, "100K<n<1M"))
"""The hub's names of sizes."""


def write_exports(folder: Path, name: str, pool: Pool, rows: Sequence[Mapping[str, Any]], card: str) -> None:
    """Write `dataset/` and `exports/` below `folder`.

    Args:
        name: what the subset is called in the frameworks' own files.
        rows: one a chosen sample, best first: `position` in the pool, and the columns that the data set
            keeps.
        card: the card's text, Markdown.
    """
    dataset, exports = folder / "dataset", folder / "exports"
    dataset.mkdir()
    exports.mkdir()
    chosen = [pool.samples[row["position"]] for row in rows]
    form = layout(chosen)
    write_json_lines(exports / "messages.jsonl", (_messages_row(sample, form) for sample in chosen))
    _write_dataset(dataset, chosen, form, rows, card)
    write_json_lines(exports / "sharegpt.jsonl", (_sharegpt_row(sample, form) for sample in chosen))
    info = json.dumps(_llama_factory(name), indent=2)
    (exports / "dataset_info.json").write_text(info + "\n", encoding="utf-8")
    (exports / "axolotl.yaml").write_text(_AXOLOTL, encoding="utf-8")
    (exports / "README.md").write_text(_README.format(name=name), encoding="utf-8")


def _write_dataset(
    folder: Path, chosen: Sequence[Sample], form: Layout, rows: Sequence[Mapping[str, Any]], card: str
) -> None:
    import pandas as pd

    table = pd.DataFrame([{k: v for k, v in row.items() if k != "position"} for row in rows])
    table.insert(1, "messages", [form.messages(sample, typed=True) for sample in chosen])
    for key in form.row_keys:
        table[key] = [form.fields(sample)[key] for sample in chosen]
    table.to_parquet(folder / "train.parquet", index=False)
    size = next((label for limit, label in _SIZES if len(rows) < limit), "n>1M")
    front = (
        "---\ntask_categories: [text-generation]\ntags: [instruction-tuning, data-selection, ds2]\n"
        f"size_categories: ['{size}']\n"
        "configs:\n- config_name: default\n  data_files:\n  - {split: train, path: train.parquet}\n---\n\n"
    )
    (folder / "README.md").write_text(front + card, encoding="utf-8")


def _messages_row(sample: Sample, form: Layout) -> dict[str, Any]:
    row = {"id": sample.id, "dataset": sample.source, "messages": form.messages(sample)}
    return row | form.fields(sample)


def _sharegpt_row(sample: Sample, form: Layout) -> dict[str, Any]:
    tools = {"tools": form.fields(sample)["tools"]} if "tools" in form.row_keys else {}
    turns = [turn for message in sample.messages for turn in _sharegpt_turns(message)]
    return {"id": sample.id, "conversations": turns, **tools}


def _sharegpt_turns(message: Message) -> Iterator[dict[str, str]]:
    """One turn, or, of a message that calls tools, one for its text and one for its calls."""
    calls = message.fields.get("tool_calls")
    if message.content or not calls:
        yield {"from": _SHAREGPT[message.role], "value": message.content}
    if calls:
        told = [{"name": c["function"]["name"], "arguments": c["function"]["arguments"]} for c in calls]
        value = json.dumps(told if len(told) > 1 else told[0], ensure_ascii=False)
        yield {"from": "function_call", "value": value}


def _llama_factory(name: str) -> dict[str, Any]:
    tags = {
        "role_tag": "role", "content_tag": "content", "user_tag": "user", "assistant_tag": "assistant",
        "system_tag": "system",
    }  # fmt: skip
    return {
        name: {
            "file_name": "messages.jsonl",
            "formatting": "sharegpt",
            "columns": {"messages": "messages"},
            "tags": tags,
        },
        f"{name}_sharegpt": {
            "file_name": "sharegpt.jsonl",
            "formatting": "sharegpt",
            "columns": {"messages": "conversations"},
        },
    }


_AXOLOTL = """\
# Part of an Axolotl configuration; run it from this folder, or make the path absolute.
datasets:
  - path: messages.jsonl
    ds_type: json
    type: chat_template
    field_messages: messages
    message_property_mappings:
      role: role
      content: content
"""

_README = """\
# {name}, for training frameworks

| framework | how |
|---|---|
| LLaMA-Factory | `dataset_dir: THIS_FOLDER`, `dataset: {name}` \
(`dataset_info.json` is here; `{name}_sharegpt` is the other form) |
| Axolotl | the `datasets:` part of `axolotl.yaml` |
| TRL | `SFTTrainer(train_dataset=load_dataset("json", data_files="messages.jsonl", split="train"), ...)` |
| open-instruct | `--dataset_mixer_list messages.jsonl 1.0` |
| datasets | `load_dataset("../dataset")` |

`messages.jsonl`: id, dataset (the source), messages (role, content). \
`sharegpt.jsonl`: id, conversations (from, value).

Where the pool has more, turns also hold `weight` (0: not to be trained), `name`, `tool_calls`, \
`tool_call_id`, `reasoning_content`, and rows `tools` and `extra`: the source row's other fields as one JSON \
string. All rows have the same keys, an empty text where there is nothing. `tool_calls` are a JSON string \
here, and lists, as chat templates want them, in `../dataset`.
"""
