"""Choices in words: on pages, in tables, wherever a person reads them."""

from __future__ import annotations

from dataclasses import replace

import pytest
from helpers.synthetic_run import make_run

from ds2.config.compose import compose
from ds2.report import render
from ds2.report.choices import in_words, word


@pytest.mark.parametrize(
    ("value", "text"), [("0.1", "10 %"), (0.125, "12.5 %"), ("10000", "10,000"), (None, "none")]
)
def test_a_budget_is_a_share_or_so_many_samples(value, text):
    assert word("budget", value) == text


def test_other_choices_are_their_own_words():
    assert in_words({"rater": "truth", "method": "ds2 (rank)", "seed": 3, "curation": None}) == {
        "rater": "truth", "method": "ds2 (rank)", "seed": "3", "curation": "none",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("selection", "said", "unsaid"),
    [
        (
            "ds2",
            ["rater", "embedder", "curation", "selection", "budget", "base model", "finetune", "eval"],
            [],
        ),
        ("full", ["selection", "base model", "finetune"], ["rater", "curation", "budget"]),
        ("base", ["selection", "base model", "eval"], ["rater", "budget", "finetune"]),
    ],
)
def test_a_page_tells_the_choices_that_had_a_say(tmp_path, selection, said, unsaid):
    run = make_run(tmp_path)
    chosen = compose(["experiment=mini", f"selection={selection}"]).selection
    html = render(replace(run, config=replace(run.config, selection=chosen)))
    chips = html.split('class="chips"')[1].split("</ul>")[0]
    assert [name for name in said if f"<span>{name}</span>" not in chips] == []
    assert [name for name in unsaid if f"<span>{name}</span>" in chips] == []
