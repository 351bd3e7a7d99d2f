"""Which store a run's paths name, and which they cannot."""

from __future__ import annotations

import pytest

from ds2.artifacts.shared import SharedStore
from ds2.base.errors import UserError
from ds2.config.compose import compose
from ds2.runs.stores import store_of

pytest.importorskip("fsspec")


def store(*overrides: str):
    return store_of(compose(["pool=mini", "model=tiny", *overrides]))


@pytest.mark.parametrize(
    ("artifacts", "second"),
    [
        ("a", "a"),
        ("a", "a/second"),
        ("second/a", "second"),
        ("a", "{here}/link"),
        ("link", "a"),
        ("a", "{here}/link/second"),
        ("a", "file://{here}/a"),
        ("a", "file://{here}/link/"),
        ("a", "local://{here}/a/b"),
        ("a", "a/../a"),
    ],
)
def test_a_second_level_that_shares_a_folder_with_the_first_is_refused(
    tmp_path, monkeypatch, artifacts, second
):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "link").symlink_to(tmp_path / "a", target_is_directory=True)
    with pytest.raises(UserError, match=r"paths\.store=.* lie.* folders apart"):
        store(f"paths.artifacts={artifacts}", f"paths.store='{second.format(here=tmp_path)}'")
    assert [path.name for path in tmp_path.iterdir()] == ["link"]


@pytest.mark.parametrize("second", ["ab", "{here}/b", "file://{here}/b", "memory://a"])
def test_a_second_level_beside_the_first_is_taken(tmp_path, monkeypatch, second):
    monkeypatch.chdir(tmp_path)
    taken = store("paths.artifacts=a", f"paths.store='{second.format(here=tmp_path)}'")
    assert isinstance(taken, SharedStore)


@pytest.mark.parametrize(
    "second", ["", " ", "s3://", "gs://", "s3:///folder", "file://", "file:///", "s3:///"]
)
def test_a_second_level_without_a_place_is_refused(tmp_path, monkeypatch, second):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UserError, match=r"paths\.store=.* names no"):
        store("paths.artifacts=a", f"paths.store='{second}'")
    assert not list(tmp_path.iterdir())
