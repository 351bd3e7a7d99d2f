"""`ds2 look FILE` says in one screen what a run would do with it."""

from __future__ import annotations

import json

import pytest
from helpers.row_shapes import CALL, A, U

from ds2.cli.main import run


def test_look_says_shapes_scores_faults_and_shows_rows(tmp_path, capsys):
    path = tmp_path / "数据 (1), a=b.jsonl"
    rows = [
        {"id": i, "messages": [U, A], "score": i % 6, "tags": ["t"], "rating": 1 + i % 10} for i in range(20)
    ]
    rows += [{"instruction": "Say so.", "output": "So.", "tags": ["u"], "score": 2, "rating": 1}]
    rows += [{"messages": [U, {"role": "assistant", "tool_calls": [CALL]}], "score": 1, "rating": 2}]
    rows += [{"messages": [U, A | {"weight": 0}, U, A | {"content": "learnt"}], "score": 1, "rating": 2}]
    rows += [{"messages": [U]}, {"messages": [U]}]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows) + '{"cut', encoding="utf-8")
    assert run(["look", str(path)]) == 0
    told = capsys.readouterr().out
    for line in (
        "26 rows, 23 samples",
        "messages 22, alpaca 1",
        "20 given, 3 made from content",
        "score, 0 to 5: rater=from_column rater.column=score",
        "rating, 1 to 10: rater=from_column rater.column=rating rater.unit=ratings",
        "tags (91.3 %)",
        "3 would stop a run",
        "2 no assistant turn; the first: ",
        "row 24, field messages: no assistant turn",
        "row 26, field (line): not JSON",
        "1 samples have turns that are not to be trained",
        "### user: q",
        "⟦a</s>⟧",
        "⟦learnt</s>⟧",
    ):
        assert line in told
    assert "⟦q" not in told
    assert told.count("as the rater sees it") == 5


def test_look_takes_the_pools_options_and_refuses_others(tmp_path, capsys):
    path = tmp_path / "p.jsonl"
    path.write_text('{"frage": "q", "antwort": "a"}\n')
    assert run(["look", str(path)]) == 2
    assert "no usable row" in capsys.readouterr().err
    assert run(["look", str(path), "pool.columns={user: frage, assistant: antwort}"]) == 0
    assert "### user: q" in capsys.readouterr().out
    assert run(["look"]) == 2
    assert "ds2 look takes a file" in capsys.readouterr().err


@pytest.mark.parametrize("path", ["nowhere.jsonl", "hf://org/name"])
def test_look_names_what_is_not_there(path, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    assert run(["look", path]) == 2
    assert "is not known on this machine" in (error := capsys.readouterr().err) or "no such file" in error


def test_look_reads_several_files_and_takes_no_option_of_a_run(tmp_path, capsys):
    paths = [tmp_path / "a=1.jsonl", tmp_path / "b, c.jsonl"]
    for i, path in enumerate(paths):
        path.write_text(json.dumps({"id": i, "messages": [U, A]}) + "\n")
    assert run(["look", *map(str, paths)]) == 0
    assert "2 rows, 2 samples (2 files" in capsys.readouterr().out
    assert run(["look", str(paths[0]), "--hepl"]) == 2
    assert "--hepl: no such option" in capsys.readouterr().err
    assert run(["look", str(paths[0]), "rater=truth"]) == 2
    assert "ds2 look takes no rater=truth" in capsys.readouterr().err


def test_look_lists_evaluation_questions_and_repeated_samples(tmp_path, capsys):
    asked = "How many legs have seven dogs and eleven birds if none of them has lost any?"
    rows = [
        {"id": "held", "messages": [{"role": "user", "content": asked}, A]},
        {"id": "first", "messages": [{"role": "user", "content": "Name a river."}, A]},
        {"id": "again", "messages": [{"role": "user", "content": "name a river"}, A]},
    ]
    (tmp_path / "p.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    (tmp_path / "asked.txt").write_text(asked)
    options = [f"pool.decontaminate={tmp_path / 'asked.txt'}", "pool.near_duplicates=1"]
    assert run(["look", str(tmp_path / "p.jsonl"), *options]) == 0
    told = capsys.readouterr().out
    assert "1 sample holds 1 of 1 questions of asked.txt" in told
    assert f"'held' ({tmp_path / 'p.jsonl'}, row 1): {asked[:80]!r}" in told
    assert "1 samples repeat one of 1 earlier ones" in told
    assert f"'first' ({tmp_path / 'p.jsonl'}, row 2) stays for 'again'" in told
