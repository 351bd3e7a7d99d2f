"""`ds2 publish`: dry by default, never over what is there, never with a guessed licence."""

from __future__ import annotations

import pytest
from helpers.exported import finished_subset, rows
from helpers.full_disk import no_file_beyond

from ds2.base.errors import UserError
from ds2.cli.publish import run


@pytest.fixture
def subset(tmp_path):
    return str(finished_subset(tmp_path / "artifacts", rows(["plain", "calls"])))


def test_it_says_what_it_would_write_and_writes_with_yes(subset, tmp_path, capsys):
    out = tmp_path / "published"
    asked = [subset, "--to", str(out), "--licence", "cc-by-4.0"]
    assert run(asked) == 0
    said = capsys.readouterr().out
    assert "would be written" in said
    assert "license: cc-by-4.0" in said
    assert not out.exists()
    assert run([*asked, "--yes"]) == 0
    assert (out / "croissant.json").is_file()
    with pytest.raises(UserError, match="is there already"):
        run([*asked, "--yes"])


def test_a_folder_without_room_is_one_line_and_can_be_published_to_again(subset, tmp_path):
    asked = [subset, "--to", str(tmp_path / "published"), "--licence", "mit", "--yes"]
    with pytest.raises(UserError, match="cannot write to .*published: .*too large"), no_file_beyond(1000):
        run(asked)
    assert not (tmp_path / "published").exists()
    assert run(asked) == 0


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--to", "out"], "--licence ID is needed: that of the source"),
        (["--to", "out", "--licence", "my own"], "not 'my own'"),
        (["--to", "hf://mine", "--licence", "mit"], "hf://ORG/NAME"),
    ],
)
def test_what_is_wrong_is_one_line(subset, tmp_path, monkeypatch, options, said):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UserError, match=said):
        run([subset, *options])


def test_a_hub_that_refuses_is_one_line(subset, monkeypatch):
    import huggingface_hub

    def refuse(self, *args, **kwargs):
        raise ConnectionError("no network\nmore")

    monkeypatch.setattr(huggingface_hub.HfApi, "create_repo", refuse)
    with pytest.raises(UserError, match="hf://me/mine: no network; log in"):
        run([subset, "--to", "hf://me/mine", "--licence", "mit", "--yes"])
