"""What a person types, as Hydra is told it: options anywhere, files' names as they stand."""

from __future__ import annotations

from pathlib import Path

import pytest
from hydra.core.override_parser.overrides_parser import OverridesParser

from ds2.base.errors import UserError
from ds2.config.command_line import CommandLine, as_they_stand, as_typed, parse

NAMES = ["my file.jsonl",
         "é.jsonl", "[x].jsonl", "a=b.jsonl", "#1.jsonl", "it's.jsonl", 'say "so".jsonl', "1e3",
         "x{1}.jsonl", "50%(new).jsonl", "a:b.jsonl", "plain.jsonl", "back\\slash.jsonl"]  # fmt: skip


def value(override: str) -> object:
    """What Hydra reads."""
    return OverridesParser.create().parse_override(override).value()


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("many", [False, True])
def test_a_file_s_name_is_taken_as_it_stands(name, many):
    (override,) = as_they_stand([f"pool.path={name}"], many=many)
    assert value(override) == name


def test_the_home_folder_is_expanded_quoted_or_not(monkeypatch):
    monkeypatch.setenv("HOME", "/somewhere/else")
    for written in ("paths.artifacts=~/a b", "paths.artifacts='~/a b'"):
        assert value(as_they_stand([written])[0]) == "/somewhere/else/a b"


def test_a_comma_sweeps_in_a_multirun_unless_a_file_has_it_in_its_name(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (swept,) = as_they_stand(["pool.path=my a.jsonl,my b.jsonl"], many=True)
    read = OverridesParser.create().parse_override(swept)
    assert [part.text for part in read.sweep_iterator()] == ["my a.jsonl", "my b.jsonl"]
    Path("a,b.jsonl").touch()
    assert value(as_they_stand(["pool.path=a,b.jsonl"], many=True)[0]) == "a,b.jsonl"


def test_words_with_signs_that_hydra_cannot_read_are_quoted_and_the_rest_is_left_alone():
    assert value(as_they_stand(["tracking.group=a#b"])[0]) == "a#b"
    for override in ("seed=1,2", "eval.tasks=[a,b]", "pool.path=${oc.env:X}/a", "pool.path=null", "+x.y=3"):
        assert as_they_stand([override], many=True) == [override]


def test_options_may_stand_anywhere():
    command = parse(["a=b", "-m", "seed=1,2", "--info", "--cfg", "job", "--fail-fast", "sweep=demo", "word"])
    assert command == CommandLine(
        ["word"], ["a=b", "seed=1,2"], ["--info=all", "--cfg=job"], "demo", many=True, fail_fast=True
    )
    assert command.only_shows


def test_folders_of_configuration_join_the_search_path(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    command = parse(["--config-dir", "mine", "hydra.searchpath=[pkg://theirs]", "-cd=/other"])
    assert value(command.overrides[0]) == ["pkg://theirs", f"file://{tmp_path}/mine", "file:///other"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--multrun"], r"--multrun: no such option \(did you mean --multirun\?\)"),
        (["--cfg"], "--cfg needs a value"),
        (["sweep=a", "sweep=b"], "give one sweep=NAME"),
    ],
)
def test_a_wrong_option_is_named(arguments, message):
    with pytest.raises(UserError, match=message):
        parse(arguments)


@pytest.mark.parametrize("typed", ["pool.path=my file (1).jsonl", "pool.path=a.jsonl", "seed=3"])
def test_a_command_that_is_shown_can_be_typed_without_quotes_in_quotes(typed):
    (override,) = as_they_stand([typed])
    assert as_typed(override) == typed


def test_no_choice_of_a_group_is_refused_in_a_line_and_no_experiment_is_none():
    assert parse(["experiment=null", "seed=1"]).overrides == ["seed=1"]
    assert parse(["rater.name=null"]).overrides == ["rater.name=null"]
    with pytest.raises(UserError, match="rater=null: choose one; `ds2 list choices rater` names them"):
        parse(["rater=null"])


@pytest.mark.parametrize(
    ("value", "said"),
    [
        ("9" * 5000, "a number of more than 4,300 digits"),
        (f"[{'9' * 5000}]", "a number of more than 4,300 digits"),
        ("[" * 2000 + "]" * 2000, "nested too deeply"),
    ],
)
def test_a_value_beyond_what_python_reads_is_a_short_line(value, said):
    with pytest.raises(UserError, match=f"^seed: {said}$"):
        parse([f"seed={value}"])
