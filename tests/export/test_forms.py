"""What each form holds, what it leaves out, and what it says of both.

That the trainers read it so is checked with their own code in tests/trainers (`make test-trainers`).
"""

from __future__ import annotations

import json

import pytest
from helpers.exported import (
    KINDS,
    PAGE,
    SKIPPED,
    TOOL,
    answer,
    call,
    exported,
    finished_subset,
    lines,
    page_with,
    rows,
    table,
    user,
)

from ds2.config.selection import ExportForm
from ds2.export.exporting import export, form_of

FORMS = [form.value for form in ExportForm]


@pytest.mark.parametrize("form", FORMS)
def test_a_form_has_data_a_stanza_that_names_it_and_a_readme(tmp_path, form):
    done = exported(tmp_path, form)
    assert done.data.is_file()
    assert str(tmp_path / form) in done.stanza
    in_folder = (tmp_path / form / form_of(form).STANZA).read_text()
    assert in_folder == done.stanza.replace(str(tmp_path / form), ".")
    assert in_folder.rstrip() in (tmp_path / form / "README.md").read_text()


@pytest.mark.parametrize("form", FORMS)
def test_written_and_left_out_rows_are_all_rows_and_named(tmp_path, form):
    tally = exported(tmp_path, form).tally
    assert tally.rows + tally.missing == len(KINDS)
    left_out = tmp_path / form / "left_out.jsonl"
    named = {row["id"]: row["why"] for row in lines(left_out)} if left_out.exists() else {}
    assert named == (SKIPPED if form == "llama_factory" else {})


def test_llama_factory_has_turns_in_its_order_with_calls_as_objects(tmp_path):
    done = exported(tmp_path, "llama_factory")
    by_id = {row["id"]: row for row in lines(done.data)}
    assert by_id.keys() == KINDS.keys() - SKIPPED.keys()
    assert by_id["system"]["system"] == "s"
    calls = by_id["two_calls"]["conversations"]
    assert [turn["from"] for turn in calls] == ["human", "function_call", "observation", "gpt"]
    assert calls[1]["value"] == 'let me see\n<tool_call>[{"name": "add", "arguments": {"x": 1}}, ' \
        '{"name": "add", "arguments": {"x": 2}}]</tool_call>'  # fmt: skip
    assert calls[2]["value"].split("\n</tool_response>\n<tool_response>\n") == ["2", "3"]
    assert json.loads(by_id["calls"]["tools"]) == [TOOL]
    assert [turn["from"] for turn in by_id["user_last"]["conversations"]] == ["human", "gpt"]
    (entry,) = json.loads((done.data.parent / "dataset_info.json").read_text()).values()
    assert entry["columns"] == {"messages": "conversations", "system": "system", "tools": "tools"}
    said = {what.split(":")[0]: ids for what, ids in done.tally.differs.items()}
    assert said["turns that are not to be trained are trained"] == ["untrained"]


def test_rows_that_train_their_last_answer_alone_keep_that_in_trainers_without_flags(tmp_path):
    last = [{"id": str(i), "messages": [user("one?"), answer("x", weight=0), user("two?"), answer("y")]}
            for i in range(2)]  # fmt: skip
    assert "mask_history: true" in exported(tmp_path, "llama_factory", last).stanza
    trl = exported(tmp_path, "trl", last)
    assert "completion_only_loss=True" in trl.stanza
    assert "last_turn_tulu" in exported(tmp_path, "open_instruct", last).stanza
    assert not trl.tally.differs
    mixed = [*last, {"id": "2", "messages": [user("one?"), answer("x"), user("two?"), answer("y")]}]
    assert "mask_history" not in exported(tmp_path / "mixed", "llama_factory", mixed).stanza


def test_axolotl_has_a_flag_only_where_a_turn_is_not_trained(tmp_path):
    assert "message_field_training: train" in exported(tmp_path, "axolotl").stanza
    plain = exported(tmp_path / "plain", "axolotl", rows(["plain", "turns"]))
    assert "message_field_training" not in plain.stanza


def test_openai_ties_results_to_calls_and_refuses_those_without(tmp_path):
    nameless = answer("", tool_calls=[{"function": call("x")["function"]}])
    tool = {"role": "tool", "content": "2"}
    given = [
        {
            "id": "made",
            "messages": [user("1+1?"), nameless, tool, answer("two")],
            "tools": [TOOL["function"]],
        },
        {"id": "lost", "messages": [user("1+1?"), tool, answer("two")]},
        {"id": "open", "messages": [user("1+1?"), nameless, user("and?"), answer("two")]},
    ]
    done = exported(tmp_path, "openai", [*given, *rows(["untrained"])])
    made, untrained = lines(done.data)
    assert made["messages"][1]["content"] is None
    assert made["messages"][1]["tool_calls"][0]["id"] == made["messages"][2]["tool_call_id"]
    assert made["tools"] == [TOOL]
    assert set(made) == {"messages", "tools"}
    assert [turn.get("weight") for turn in untrained["messages"]] == [None, 0, None, None]
    assert done.tally.left_out == {
        "a tool call without its result, or a result without its call": ["lost", "open"]
    }


def test_open_instruct_has_calls_in_the_text_as_tulu_renders_them(tmp_path):
    done = exported(tmp_path, "open_instruct")
    turns = {row["id"]: row["messages"] for row in lines(done.data)}["calls"]
    assert turns[1]["content"] == '<tool_call>\n{"name": "add", "arguments": {"x": 1}}\n</tool_call>'
    assert set(turns[1]) == {"role", "content"}


@pytest.mark.parametrize("form", ["axolotl", "trl", "hf", "llama_factory", "open_instruct"])
def test_scores_are_written_where_they_are_asked_for_and_load(tmp_path, form):
    datasets = pytest.importorskip("datasets")
    columns = {}
    for with_scores in (False, True):
        done = exported(tmp_path / str(with_scores), form, with_scores=with_scores)
        kind = "parquet" if done.data.suffix == ".parquet" else "json"
        loaded = datasets.load_dataset(
            kind, data_files=str(done.data), split="train", cache_dir=str(tmp_path / "c")
        )
        columns[with_scores] = loaded.column_names
    assert columns[True] == [*columns[False], "rank", "row", "file", "file_row", "score", "reason"]
    assert loaded["score"][:2] == [0, 1]
    assert json.loads(loaded["extra"][0]) == {"meta": {"x": 1}}


def test_a_trl_turn_has_the_keys_it_has_and_arguments_as_objects(tmp_path):
    datasets = pytest.importorskip("datasets")
    done = exported(tmp_path, "trl")
    loaded = datasets.load_dataset(
        "parquet", data_files=str(done.data), split="train", cache_dir=str(tmp_path / "c")
    )
    by_id = dict(zip(loaded["id"], loaded["messages"], strict=True))
    assert by_id["plain"] == KINDS["plain"]["messages"]
    assert by_id["calls"][1]["tool_calls"][0]["function"] == {"name": "add", "arguments": {"x": 1}}


def test_the_folder_for_datasets_loads_by_its_name_and_holds_every_field(tmp_path):
    datasets = pytest.importorskip("datasets")
    done = exported(tmp_path, "hf")
    loaded = datasets.load_dataset(str(done.data.parent), split="train", cache_dir=str(tmp_path / "c"))
    assert loaded["id"][:] == list(KINDS)
    assert [turn["weight"] for turn in loaded["messages"][3]] == [None, 0, None, 1]
    assert loaded["messages"][6][1]["reasoning_content"] == "because"


@pytest.mark.parametrize("form", ["axolotl", "trl", "openai", "llama_factory"])
def test_tools_that_are_no_list_are_left_out_and_said(tmp_path, form):
    odd = {"id": "odd", "messages": [user("what?"), answer("that")], "tools": "add(x)"}
    tally = exported(tmp_path, form, [*rows(["plain"]), odd]).tally
    assert tally.left_out == {"its tools are no JSON list of tools": ["odd"]}


def test_the_page_s_table_is_what_becomes_of_each_kind():
    assert page_with(table()) == PAGE.read_text(encoding="utf-8"), "python tests/helpers/exported.py"


def test_the_same_subset_gives_the_same_bytes(tmp_path):
    subset = finished_subset(tmp_path / "store", rows())
    for form in FORMS:
        first, second = (export(subset, form, tmp_path / name / form) for name in "ab")
        assert first.data.read_bytes() == second.data.read_bytes()
