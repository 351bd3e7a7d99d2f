"""Names that go still work for a release, and say what replaces them."""

from __future__ import annotations

import shutil
import warnings

import pytest
from packaging.version import Version

import ds2
from ds2.base import deprecated
from ds2.base.deprecated import DEPRECATED, DeprecatedName, Deprecation, modern, modern_values
from ds2.base.paths import project_root
from ds2.base.version import VERSION
from ds2.cli import main as cli

PLANTED = (
    Deprecation("curation.neighbours", "curation.k", "9.0"),
    Deprecation("pool.rows", "pool.samples", "9.0"),
    Deprecation("curation.colour", None, "9.0"),
    Deprecation("selection=greedy", "selection=top_scores", "9.0"),
    Deprecation("ds2.choose", "ds2.select", "9.0"),
    Deprecation("ds2.guess", None, "9.0"),
)


@pytest.fixture
def planted(monkeypatch) -> None:
    monkeypatch.setattr(deprecated, "DEPRECATED", PLANTED)


def test_no_release_still_knows_a_name_that_was_to_go_by_then():
    overdue = [each.old for each in DEPRECATED if Version(each.until) <= Version(VERSION)]
    assert overdue == []


@pytest.mark.parametrize(
    ("given", "today"),
    [
        ("curation.neighbours=5", ["curation.k=5"]),
        ("+curation.neighbours=5", ["+curation.k=5"]),
        ("curation.neighbours=5,7", ["curation.k=5,7"]),
        ("curation.colour=red", []),
        ("selection=greedy", ["selection=top_scores"]),
        ("selection=random,greedy", ["selection=random,top_scores"]),
    ],
)
def test_an_old_key_or_choice_becomes_todays_with_a_warning(planted, given, today):
    with pytest.warns(DeprecatedName, match=r"is deprecated and goes in 9.0: (write|it has no effect)"):
        assert modern([given]) == today


def test_names_of_today_are_left_alone_without_a_warning(planted):
    given = ["curation.neighbours_of=5", "selection=random", "rater.greedy=greedy", "pool.samples=3"]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert modern(given) == given


def test_the_command_says_it_in_one_line_and_runs(planted, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert cli.run(["pool.rows=24", "budget.samples=6", "selection=random", "until=select", "plan=true"]) == 0
    said = capsys.readouterr()
    assert said.err.splitlines() == ["warning pool.rows is deprecated and goes in 9.0: write pool.samples"]
    assert "select" in said.out


def test_the_library_warns_of_an_old_name_and_gives_todays(planted):
    with pytest.warns(DeprecatedName, match=r"ds2\.choose is deprecated and goes in 9\.0: write ds2\.select"):
        assert ds2.choose is ds2.select
    with pytest.warns(DeprecatedName, match="ds2.guess"), pytest.raises(AttributeError):
        ds2.guess  # noqa: B018
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        ds2.nothing  # noqa: B018


def test_a_kept_configuration_is_read_with_todays_keys_in_silence(planted, tmp_path):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        kept = {"curation": {"neighbours": 5, "colour": "red"}, "seed": 1}
        assert modern_values(kept) == {"curation": {"k": 5}, "seed": 1}
    assert kept["curation"] == {"neighbours": 5, "colour": "red"}  # what was given is as it was


def test_a_run_that_an_older_release_kept_under_an_old_key_is_restored(tmp_path, monkeypatch):
    """The store of 0.1.0 says `curation.k`; suppose that today's key were another's."""
    from ds2.config.kept import keep, restore

    store = shutil.copytree(project_root() / "tests/fixtures/store_0_1_0", tmp_path / "artifacts")
    (select,) = (store / "select").iterdir()
    kept = keep(ds2.load_run(select).config)
    assert kept["curation"]["k"] == 10
    kept["curation"]["neighbours"] = kept["curation"].pop("k")
    monkeypatch.setattr(deprecated, "DEPRECATED", PLANTED)
    assert restore(kept).curation.k == 10


def test_an_old_key_in_a_yaml_of_ones_own_is_refused_with_todays_name(planted):
    from ds2.config.hydra_errors import explain

    refused = ValueError("Key 'rows' not in 'JsonlPoolConfig'\n    full_key: pool.rows")
    assert explain(refused) == "pool.rows is deprecated and goes in 9.0: write pool.samples"
