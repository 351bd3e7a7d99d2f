"""`ds2 help`: what can be chosen, and what of it can be set."""

from __future__ import annotations

import pytest

from ds2.cli.main import run


def test_a_group_lists_its_choices_with_what_they_are(capsys):
    assert run(["help", "curation"]) == 0
    out = capsys.readouterr().out
    assert "refine" in out
    assert "The given score decides" in out


def test_a_choice_shows_its_fields_with_what_its_file_sets(capsys):
    assert run(["help", "selection=deita"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert any("selection.similarity" in line and " 0.9 " in line for line in lines)
    assert any(line.startswith("example: ds2 selection=deita") for line in lines)


@pytest.mark.parametrize(
    ("topic", "said"),
    [
        (["raters"], "there is no group raters; the groups are: pool, rater"),
        (["rater=gpt"], "rater=gpt is no choice; there are: azure_openai"),
        (["rater", "pool"], "ds2 help takes one group"),
    ],
)
def test_what_is_not_there_is_one_line(capsys, topic, said):
    assert run(["help", *topic]) == 2
    assert said in capsys.readouterr().err
