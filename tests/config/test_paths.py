"""Paths are resolved once, where configurations are made, and `paths` can be asked for alone."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pytest

from ds2.base.errors import UserError
from ds2.base.paths import project_root
from ds2.config.command_line import parse
from ds2.config.compose import compose, paths_of
from ds2.config.paths import resolve_paths
from ds2.config.rating import RaterConfig


def test_every_path_is_absolute_and_a_hub_s_name_stays(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    (tmp_path / "weights").mkdir()
    config = compose(
        ["pool=jsonl", "pool.path='~/p.jsonl'", "model=local", "model.path=weights", "embedder=bge_large",
         "eval.data_dir=bench", "paths.artifacts=a", "selection=less", "selection.target=../t.jsonl"]
    )  # fmt: skip
    assert config.pool.path == str(tmp_path / "home" / "p.jsonl")
    assert config.model.path == str(tmp_path / "weights")
    assert config.embedder.model == "BAAI/bge-large-en-v1.5"
    assert config.eval.data_dir == str(tmp_path / "bench")
    assert Path(config.selection.target).resolve() == tmp_path.parent / "t.jsonl"
    assert config.paths.artifacts == str(tmp_path / "a")


def test_a_served_model_s_name_is_no_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "m").mkdir()
    assert compose(["rater=openai_compatible", "rater.model=m"]).rater.model == "m"
    assert compose(["rater=llama_3_1_8b", "rater.model=m"]).rater.model == str(tmp_path / "m")


def test_a_plugin_s_files_are_paths(tmp_path, monkeypatch):
    @dataclass
    class Mine(RaterConfig):
        table: str = "t.csv"
        files = ("table",)

    monkeypatch.chdir(tmp_path)
    assert resolve_paths(Mine(name="mine")).table == str(tmp_path / "t.csv")


def test_the_store_s_folder_is_the_same_asked_for_alone_or_composed(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MYROOT", str(tmp_path / "r"))
    for overrides in (
        [], ["paths.artifacts=x"], ["paths.artifacts=${oc.env:MYROOT}/a", "paths.wandb=${paths.artifacts}/w"],
        ["paths.artifacts=run_${seed}", "seed=3"],
    ):  # fmt: skip
        assert paths_of(overrides) == compose(overrides).paths


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("paths.artefacts=x", r"paths\.artefacts: no such key \(did you mean artifacts\?\)"),
        ("paths.artifacts=${oc.env:NO_SUCH_VARIABLE}", "NO_SUCH_VARIABLE"),
        ("paths.artifacts=a,b", "a command has one folder"),
    ],
)
def test_paths_that_cannot_be_known_are_one_line(override, message):
    with pytest.raises(UserError, match=message) as caught:
        paths_of([override])
    assert len(str(caught.value).splitlines()) == 1


def test_ds2_s_own_yaml_leaves_paths_alone():
    """`paths_of` reads the command line only, unless YAML comes from outside."""
    for file in (project_root() / "conf").rglob("*.yaml"):
        assert "\npaths:" not in file.read_text(), file


def test_a_pool_s_paths_may_be_many_standard_input_or_an_address(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for given, expected in (
        ("mine.jsonl", str(tmp_path / "mine.jsonl")),
        ("['a, b.jsonl',/c]", [str(tmp_path / "a, b.jsonl"), "/c"]),
        ("[0-9]*.jsonl", str(tmp_path / "[0-9]*.jsonl")),
        ("-", "-"),
        ("hf://org/name@v1/config/test", "hf://org/name@v1/config/test"),
    ):
        overrides = parse(["pool=jsonl", f"pool.path={given}"]).overrides
        assert compose(overrides).pool.path == expected
