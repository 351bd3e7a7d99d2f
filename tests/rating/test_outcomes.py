"""How ratings came about, in the page of a run."""

from __future__ import annotations

from collections import Counter

import pytest
from helpers.synthetic_run import make_run

from ds2.artifacts.ratings import read_report, write_report
from ds2.models.chat import Answer
from ds2.rating.outcomes import RatingReport
from ds2.report import render
from ds2.report.rating_facts import rating_facts


def with_report(tmp_path, sources: int):
    run = make_run(tmp_path, stages=("rate",))
    outcomes = {
        f"source {i}<b>": Counter(parsed=100 - i, repaired=i, unreadable=i % 2) for i in range(sources)
    }
    report = RatingReport(
        outcomes, Counter({"unreadable: empty": 3}), answers=700, models=Counter({"m-1": 700})
    )
    write_report(run.stages["rate"].path, report)
    return run


def test_small_sources_are_one_row_and_outcomes_that_never_occurred_are_left_out(tmp_path):
    table = rating_facts(with_report(tmp_path, 20))
    assert table is not None
    assert table.header == ["source", "parsed", "repaired", "unreadable"]
    assert len(table.rows) == 14
    assert table.rows[-1][0] == "7 other sources"
    assert table.total == ["all", *(sum(row[c] for row in table.rows) for c in (1, 2, 3))]


def test_the_page_shows_the_outcomes_and_runs_no_name(tmp_path):
    page = render(with_report(tmp_path, 3))
    assert "How the ratings came about" in page
    assert "unreadable: empty" in page
    assert "&lt;b&gt;" in page
    assert "source 1<b>" not in page


def test_a_rater_that_asks_no_model_has_no_such_section(tmp_path):
    assert "How the ratings came about" not in render(make_run(tmp_path, stages=("rate",)))


@pytest.mark.parametrize(
    ("told", "shown", "untold"),
    [([True, True], 200, 0), ([False, False], "not told", 2), ([True, False], 100, 1)],
)
def test_tokens_that_the_server_does_not_tell_are_not_zero(tmp_path, told, shown, untold):
    run, report = make_run(tmp_path, stages=("rate",)), RatingReport({"s": Counter(parsed=2)})
    for i, known in enumerate(told):
        tokens = {"prompt_tokens": 100, "completion_tokens": 20} if known else {}
        report.count_answer(Answer(str(i), "3", **tokens), replayed=False)
    write_report(run.stages["rate"].path, report)
    assert read_report(run.stages["rate"].path) == report
    measures = rating_facts(run).measures
    assert measures["Prompt tokens"] == shown
    assert measures["Answers whose tokens the server did not tell"] == untold
    assert (report.counts()["prompt_tokens"] is None) == (shown == "not told")
