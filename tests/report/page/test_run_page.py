"""The page of one run: complete, self-contained, and safe with hostile text."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
from helpers.browsing import open_page
from helpers.planted_panel import make_panel_run
from helpers.synthetic_run import HOSTILE, make_run

from ds2.artifacts.curation import RaterErrors
from ds2.artifacts.evaluation import Evaluation
from ds2.artifacts.ratings import write_report as write_rating_report
from ds2.artifacts.subset import conversations, read_report, write_report
from ds2.artifacts.subset_text import worth_in_words
from ds2.config.compose import compose
from ds2.rating.outcomes import RatingReport
from ds2.report import facts, panel_facts, render
from ds2.report.page import run_page
from ds2.report.page.html import pack, script_safe_json

SECTIONS = (
    "summary",
    "evaluation",
    "scores",
    "rater",
    "selection",
    "price",
    "samples",
    "training",
    "stages",
    "config",
)


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    return make_run(tmp_path_factory.mktemp("run"))


def sections(html: str) -> set[str]:
    return set(re.findall(r'<section id="([\w-]+)"', html))


def test_a_whole_run_has_every_section(run):
    assert sections(render(run)) >= set(SECTIONS)


@pytest.mark.parametrize(
    ("stages", "absent"),
    [
        (("rate", "embed", "knn", "curate", "select"), {"evaluation", "training"}),
        (("rate",), {"evaluation", "training", "selection", "samples", "rater"}),
    ],
)
def test_sections_appear_where_their_stage_is(tmp_path, stages, absent):
    html = render(make_run(tmp_path, stages=stages))
    assert not sections(html) & absent
    assert "scores" in sections(html)


@pytest.mark.parametrize(("truncated", "dropped", "said"), [(3, 1, None), (3, 2, "5 of its 81 samples (6%)")])
def test_the_verdict_says_that_a_fine_tune_saw_samples_cut(tmp_path, truncated, dropped, said):
    run = make_run(tmp_path, stages=("select", "model", "finetune"))
    counts = {"samples": 81 - dropped, "truncated": truncated, "dropped_without_assistant": dropped}
    stage = replace(run.stages["finetune"], record={**run.stages["finetune"].record, "counts": counts})
    cut = replace(run, stages={**run.stages, "finetune": stage})
    assert facts.verdict(cut) is None if said is None else said in facts.verdict(cut)
    assert ("The fine-tune did not see all of" in render(cut)) == (said is not None)


def test_a_missing_standard_error_is_not_charted_as_zero(tmp_path):
    run = make_run(tmp_path)
    found = Evaluation.read(run.stages["evaluate"].path)
    results = [replace(result, stderr=None) for result in found.results]
    replace(found, results=results).write(run.stages["evaluate"].path)
    charts = []
    run_page._evaluation(run, charts)
    assert {point["error"] for point in charts[0]["points"]} == {None}


def test_choices_without_a_say_are_not_shown(tmp_path):
    run = make_run(tmp_path, stages=("select", "model", "finetune", "evaluate"), rater="silent_rater")
    selection = compose(["experiment=mini", "selection=random"]).selection
    html = render(replace(run, config=replace(run.config, selection=selection)))
    summary = html.split('<section id="config"')[0]
    assert "silent_rater" not in summary.split("<dl class=")[0].split('class="chips"')[1]
    assert "Sources of the subset" in summary


def test_the_page_asks_nothing_of_a_network(run):
    html = render(run)
    shell = re.sub(r'<script type="text/plain".*?</script>', "", html, flags=re.S)
    assert not re.findall(r"""(?:src|href)=["']?(?:https?:)?//""", shell)
    assert "default-src 'none'" in shell
    assert len(html) < 4_000_000


def test_warnings_come_before_everything_else(run):
    html = render(run)
    assert html.index("near-equal optima") < html.index('id="evaluation"')
    assert html.index("wall-clock cap") < html.index('id="evaluation"')


def test_text_of_the_pool_is_never_markup(tmp_path):
    run = make_run(tmp_path)
    assert HOSTILE in conversations(run.stages["select"].path).read_text()
    assert HOSTILE not in render(run)
    assert "</script>" not in script_safe_json(["</script>"])


def test_numbers_on_the_page_are_those_of_the_stages(run):
    html = render(run)
    for value in Evaluation.read(run.stages["evaluate"].path).scores.values():
        assert f"{value:.4f}" in html
    transition = RaterErrors.read(run.stages["curate"].path).transition
    assert transition is not None
    for row in transition:
        assert all(f"{value:.2f}" in html for value in row)


def test_the_page_says_what_length_and_diversity_have_to_do_with_the_subset(run):
    html = render(run)
    report = facts.subset_report(run)
    assert f"being chosen {report.length.selection:+.2f}" in html
    assert "chart-length" in html
    assert "chart-price-variety" in html
    assert "chart-price-kinds" in html
    assert worth_in_words(report.worth) in html


def test_a_subset_from_before_these_were_measured_is_shown_without_them(tmp_path):
    run = make_run(tmp_path)
    folder = run.stages["select"].path
    write_report(folder, replace(read_report(folder), price=[], worth=None, length=None))
    assert "price" not in sections(render(run))
    assert "chart-length" not in render(run)
    assert facts.length_numbers(run) == {}


@pytest.mark.parametrize(
    ("choices", "said"),
    [
        (["rater.runtime.price.input=1", "rater.runtime.price.output=5"], "30% of the pool for about $3.50"),
        (["rater.model=somebody-s-own"], "This run rated 30% of the pool. "),
    ],
)
def test_a_run_that_asked_a_language_model_shows_what_a_rated_share_buys(tmp_path, choices, said):
    run = make_run(tmp_path, stages=("rate",))
    assert "chart-rated-share" not in render(run)
    rate = run.stages["rate"]
    outcomes = {"orchard": Counter(parsed=180, not_asked=420)}
    write_rating_report(rate.path, RatingReport(outcomes, models=Counter(m=180), answers=180))
    rate.record["counts"] |= {"asked": 180, "samples": 600, "prompt_tokens": 3_000_000,
                              "completion_tokens": 100_000, "cached_tokens": 0}  # fmt: skip
    rater = compose(["rater=gpt_4o_mini", *choices]).rater
    html = render(replace(run, config=replace(run.config, rater=rater)))
    assert said in html
    assert "chart-rated-share" in html


def test_each_of_several_raters_has_its_matrix(tmp_path):
    run = make_run(tmp_path)
    folder = run.stages["curate"].path
    errors = RaterErrors.read(folder)
    one = errors.transition
    assert one is not None
    replace(errors, transition=None, transitions=np.stack([one, one[::-1]])).write(folder)
    assert [shown.matrix for shown in facts.transitions(run)] == [one.tolist(), one[::-1].tolist()]


def test_a_panel_is_told_rater_by_rater_with_what_leaving_one_out_saves(tmp_path, browser):
    run = make_panel_run(tmp_path)
    html = render(run)
    assert "panel" in sections(html)
    account = panel_facts.panel_account(run)
    assert account is not None
    words = re.sub(r"\s+", " ", re.sub(r"<[^>]+>", "", html))
    assert f"4 raters are worth {account.independent_raters:.1f} independent ones" in words
    assert "Leaving out noise costs at most .005 of it and saves $1.40." in words
    for rater in account.raters:
        assert f"{rater.loading:.2f}" in html
    assert account.residuals[1][2] is not None
    assert f"{account.residuals[1][2]:+.2f}" in html
    page, errors = open_page(browser, html, tmp_path)
    page.locator("#panel").scroll_into_view_if_needed()
    page.locator("#chart-panel-growth .scatterlayer .trace").wait_for(state="attached")
    page.locator("#chart-panel-loadings .scatterlayer .trace").wait_for(state="attached")
    page.locator("[data-chart=chart-panel-growth] summary").click()
    rows = page.locator("[data-chart=chart-panel-growth] tbody tr")
    rows.last.wait_for(state="attached")  # the table is made when it is opened
    assert rows.count() == 4
    assert not errors


def test_a_pool_that_is_gone_is_said(tmp_path):
    html = render(make_run(tmp_path, pool_file=False))
    assert "samples" in sections(html)
    assert "no such file" in html


def test_equal_texts_pack_to_equal_bytes():
    assert pack("x" * 1000) == pack("x" * 1000)


def test_it_opens_from_disk_filters_searches_and_runs_no_text(run, browser, tmp_path):
    page, errors = open_page(browser, render(run), tmp_path)
    from playwright.sync_api import expect

    count = page.locator("#count")
    expect(count).to_have_text("570 of 570")
    page.fill("#filters [name=query]", "document.title")
    expect(count).to_have_text("1 of 570")
    assert "<script>" in page.inner_text("#rows")
    assert page.title() != "owned"
    page.fill("#filters [name=query]", "")
    page.select_option("#filters [name=status]", "out")
    expect(count).to_have_text("500 of 570")
    page.select_option("#filters [name=status]", "next")
    expect(count).to_have_text("10 of 570")
    page.click("#theme")
    page.locator("#chart-scores").scroll_into_view_if_needed()
    page.wait_for_selector("#chart-scores svg", state="attached")
    assert errors == []


def test_a_row_opens_to_its_whole_text_and_columns_sort(run, browser, tmp_path):
    page, errors = open_page(browser, render(run), tmp_path)
    from playwright.sync_api import expect

    rows = page.locator(".view .row")
    page.fill("#filters [name=query]", "document.title")
    expect(rows).to_have_count(1)
    page.click(".view .row")
    assert HOSTILE in page.inner_text("#sample")
    page.keyboard.press("Escape")
    page.fill("#filters [name=query]", "")
    expect(rows).not_to_have_count(1)
    page.click(".head .tail button")
    tails = [float(text) for text in page.locator(".view .row .tail").all_inner_texts()]
    assert tails == sorted(tails, reverse=True)
    assert errors == []


def test_nothing_is_wider_than_a_phone(run, browser, tmp_path):
    page, errors = open_page(browser, render(run), tmp_path)
    page.set_viewport_size({"width": 390, "height": 844})
    page.locator("#chart-eval").scroll_into_view_if_needed()
    page.wait_for_selector("#chart-eval .main-svg", state="attached")
    assert page.evaluate("document.documentElement.scrollWidth") == 390
    assert errors == []
