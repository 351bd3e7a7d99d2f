"""How ratings came about, in the page of a run."""

from __future__ import annotations

import json

from helpers.synthetic_run import make_run

from ds2.report import render
from ds2.report.rating_facts import rating_facts


def with_report(tmp_path, sources: int):
    run = make_run(tmp_path, stages=("rate",))
    by_source = {
        f"source {i}<b>": {"parsed": 100 - i, "repaired": i, "refused": 0, "truncated": 0,
        "unreadable": i % 2,
                           "undelivered": 0}
        for i in range(sources)
    }  # fmt: skip
    report = {
        "by_source": by_source,
        "reasons": {"unreadable: empty": 3},
        "models": {"m-1": 700},
        "answers": 700,
    }
    (run.stages["rate"].path / "rating_report.json").write_text(json.dumps(report))
    return run


def test_small_sources_are_one_row_and_outcomes_that_never_occurred_are_left_out(tmp_path):
    found = rating_facts(with_report(tmp_path, 20))
    assert found is not None
    assert found.header == ["source", "parsed", "repaired", "unreadable"]
    assert len(found.rows) == 14
    assert found.rows[-1][0] == "7 other sources"
    assert found.total == ["all", *(sum(row[c] for row in found.rows) for c in (1, 2, 3))]


def test_the_page_shows_the_outcomes_and_runs_no_name(tmp_path):
    page = render(with_report(tmp_path, 3))
    assert "How the ratings came about" in page
    assert "unreadable: empty" in page
    assert "&lt;b&gt;" in page
    assert "source 1<b>" not in page


def test_a_rater_that_asks_no_model_has_no_such_section(tmp_path):
    assert "How the ratings came about" not in render(make_run(tmp_path, stages=("rate",)))
