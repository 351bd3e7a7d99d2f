"""The page of many runs: one set of filters for all of it, every number with its record, samples of all
subsets in one table.
"""

from __future__ import annotations

import re
from dataclasses import replace

import pytest
from helpers.browsing import open_page
from helpers.synthetic_run import HOSTILE, make_run

from ds2.artifacts.subset import conversations
from ds2.report import render_many

RUNS = (("gpt", 60, 0), ("gpt", 60, 1), ("gpt", 120, 0), ("llama", 60, 0))
"""Rater, budget, seed; each seed has a pool of its own."""


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    root = tmp_path_factory.mktemp("runs")
    return [
        make_run(root / f"{r}{b}{s}", rater=r, budget=b, seed=s, name=f"{r} {b} seed {s}") for r, b, s in RUNS
    ]


@pytest.fixture(scope="module")
def html(runs):
    return render_many(runs, title="Two raters", notes=["read this first"])


@pytest.fixture
def page(browser, html, tmp_path):
    opened, problems = open_page(browser, html, tmp_path)
    opened.wait_for_selector("html[data-samples=ready]", state="attached")
    yield opened
    opened.close()
    assert problems == []


def shown(page, selector: str) -> int:
    return page.locator(f"{selector}:not([hidden])").count()


def test_the_page_has_every_section_and_its_notes_come_first(html):
    sections = re.findall(r'<section id="([\w-]+)"', html)
    assert sections == ["results", "compare", "raters", "samples", "training", "times", "runs"]
    assert html.index("read this first") < html.index("<table")


def test_cells_are_means_over_seeds_and_carry_the_records_of_all_of_them(html):
    row = next(row for row in re.findall(r"<tr data-runs.*?</tr>", html, flags=re.S) if "± 0.7" in row)
    assert "72.5 ± 0.7" in row  # of .72 and .73
    assert 'data-runs="0 1"' in row
    values = re.search(r'data-values="([^"]*)">72\.5', row)
    assert values is not None
    assert "seed 42: 72.00" in values[1]
    assert "seed 43: 73.00" in values[1]


def test_a_run_given_twice_is_one(runs):
    assert "1 runs" in render_many([runs[0], runs[0]], title="Twice")


def test_a_warning_that_the_notes_tell_is_told_once(runs):
    (warning,) = runs[0].stages["model"].record["warnings"]
    assert render_many(runs, title="Known", notes=[warning]).count(warning) == 1
    assert render_many(runs, title="Unknown").count(warning) == 1


def test_text_of_the_pool_is_never_markup(html, runs):
    assert HOSTILE in conversations(runs[0].stages["select"].path).read_text()
    assert HOSTILE not in html


def test_links_are_relative_to_the_folder_where_the_page_stands(runs, tmp_path):
    html = render_many(runs, title="Here", folder=tmp_path)
    assert runs[0].stages["evaluate"].path.as_uri() not in html
    links = re.findall(r'"href":"(.*?)"', html)
    assert len(links) == sum(len(run.stages) for run in runs)
    assert all((tmp_path / link).resolve().is_file() for link in links)


def test_a_filter_acts_on_all_of_the_page(page):
    from playwright.sync_api import expect

    page.wait_for_selector("#chart-results .main-svg", state="attached")
    assert shown(page, "#result-table tbody tr") == 3
    page.check("#facets [name=rater][value=llama]")
    assert page.locator(".runs-shown").first.inner_text() == "1 of 4 runs"
    for selector in ("#result-table tbody tr", "#run-table tbody tr", "#raters figure[data-runs]"):
        assert shown(page, selector) == 1, selector
    expect(page.locator("#chart-results .point")).to_have_count(1)
    page.locator("#chart-scores-rank").scroll_into_view_if_needed()
    expect(page.locator("#chart-scores-rank .trace")).to_have_count(1)
    assert page.locator("#filters [name=of] option:not([hidden])").count() == 2  # any, and llama's
    expect(page.locator("#count")).to_have_text("380 of 700")  # the pool of the other seed is out
    page.click("#facets [type=reset]")
    expect(page.locator(".runs-shown").first).to_have_text("4 of 4 runs")
    assert shown(page, "#result-table tbody tr") == 3


def test_filters_that_exclude_each_other_leave_a_word(page):
    from playwright.sync_api import expect

    page.check("#facets [name=rater][value=llama]")
    page.check("#facets [name=budget][value='120']")
    assert page.locator("#no-run").is_visible()
    page.locator("#compare").scroll_into_view_if_needed()
    for name in ("results", "budgets"):
        expect(page.locator(f"#chart-{name}")).to_be_hidden()
        expect(page.locator(f"#chart-{name} + .note")).to_have_text(re.compile("^Nothing to draw"))
    page.click("#facets [type=reset]")
    page.wait_for_selector("#chart-results .point")
    assert page.locator("#chart-results + .note").is_hidden()


def test_the_count_of_runs_is_of_those_that_filters_and_search_leave(page):
    from playwright.sync_api import expect

    expect(page.locator("#run-count")).to_have_text("4 of 4 runs")
    page.fill("#run-query", "gpt")
    expect(page.locator("#run-count")).to_have_text("3 of 4 runs")
    page.check("#facets [name=budget][value='60']")
    expect(page.locator("#run-count")).to_have_text("2 of 4 runs")
    assert shown(page, "#run-table tbody tr") == 2
    expect(page.locator("#facets .runs-shown")).to_have_text("3 of 4 runs")  # the search is of the list alone


def test_methods_of_one_rater_are_told_apart_by_dash_symbol_and_legend(browser, runs, tmp_path):
    def by(method, budget, place):
        run = make_run(tmp_path / f"{method}{budget}", rater="gpt", budget=budget, seed=place)
        selection = replace(run.config.selection, name=method)
        return replace(run, config=replace(run.config, selection=selection, seed=7))

    methods = ("ds2_posterior", "ds2_without_curation")
    more = [by(m, b, 2 + i) for i, (m, b) in enumerate((m, b) for m in methods for b in (60, 120))]
    page, problems = open_page(browser, render_many([*runs, *more], title="Methods"), tmp_path)
    page.locator("#chart-budgets").scroll_into_view_if_needed()
    page.wait_for_selector("#chart-budgets .legendtext")
    looks = page.evaluate(
        "document.getElementById('chart-budgets').data.map(({ name, line, marker }) => [name, line.color, "
        "line.dash, marker.symbol])"
    )
    names = page.locator("#chart-budgets .legendtext").all_text_contents()
    assert sorted(names) == sorted(name for name, *_ in looks)
    gpt = [look for look in looks if "gpt" in look[0]]
    assert len(gpt) == 3
    assert len({colour for _, colour, _, _ in gpt}) == 1
    assert len({dash for _, _, dash, _ in gpt}) == len({symbol for *_, symbol in gpt}) == 3
    same = [look[2:] for look in looks if "ds2 (rank)" in look[0]]
    assert len(same) == 2
    assert same[0] == same[1]  # a method looks alike whoever rated
    assert problems == []


def test_every_chart_is_printed_in_light_colours_and_then_as_before(browser, html, tmp_path):
    page, problems = open_page(browser, html, tmp_path, color_scheme="dark")
    page.wait_for_selector("#chart-results .main-svg", state="attached")
    count = page.locator(".chart").count()
    assert page.locator(".chart:has(.main-svg)").count() < count
    ink = "getComputedStyle(document.querySelector('#chart-results .xtick text')).fill"
    width = "document.querySelector('#chart-results .main-svg').clientWidth"
    dark, wide = page.evaluate(ink), page.evaluate(width)
    page.emulate_media(media="print")
    page.evaluate("dispatchEvent(new Event('beforeprint'))")
    assert page.locator(".chart:has(.main-svg)").count() == count
    assert page.evaluate(ink) != dark
    assert max(svg.bounding_box()["width"] for svg in page.locator(".chart .main-svg").all()) < 665  # 17.5 cm
    page.emulate_media(media="screen")
    page.evaluate("dispatchEvent(new Event('afterprint'))")
    assert (page.evaluate(ink), page.evaluate(width)) == (dark, wide)
    assert problems == []


@pytest.mark.parametrize("width", [1280, 390])
def test_a_dagger_has_room_beside_its_number(browser, html, tmp_path, width):
    page, problems = open_page(browser, html, tmp_path, viewport={"width": width, "height": 844})
    needed, room = page.evaluate("""() => {
        const cell = document.querySelector("#result-table td.n");
        cell.classList.add("tied");
        const dagger = getComputedStyle(cell.querySelector(".cite"), "::after");
        const room = parseFloat(getComputedStyle(cell).paddingRight);
        return [parseFloat(dagger.width) + parseFloat(dagger.marginLeft), room];
    }""")
    assert 4 < needed < room - 3
    assert problems == []


def test_one_seed_stands_for_its_siblings(page):
    seeds = page.locator("#seed option").all_inner_texts()
    assert seeds == ["42", "43"]
    assert shown(page, "#raters figure[data-runs]") == 3
    page.select_option("#seed", "43")
    assert shown(page, "#raters figure[data-runs]") == 1


def test_a_number_opens_its_records(page, runs):
    page.locator("#result-table .cite").first.click()
    stages = [runs[0].stages["evaluate"], runs[1].stages["evaluate"]]
    text = page.inner_text("#records")
    for stage in stages:
        assert stage.fingerprint in text
        assert stage.record_file.as_posix() in text
    links = [a.get_attribute("href") for a in page.locator("#records a").all()]
    assert links == [stage.record_file.as_uri() for stage in stages]
    page.keyboard.press("Escape")
    assert stages[0].fingerprint in page.locator("#result-table .cite").first.get_attribute("title")


def test_a_point_of_a_chart_opens_its_records(page, runs):
    point = page.locator("#chart-results .point").last
    point.scroll_into_view_if_needed()
    box = point.bounding_box()
    page.mouse.click(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    text = page.inner_text("#records")
    assert any(run.stages["evaluate"].fingerprint in text for run in runs)


def test_search_finds_a_script_that_is_shown_and_not_run(page):
    from playwright.sync_api import expect

    page.fill("#filters [name=query]", "document.title")
    expect(page.locator(".view .row")).to_have_count(2)  # one a pool
    page.locator(".view .row").first.click()
    assert HOSTILE in page.inner_text("#sample")
    assert page.title() == "Two raters"


def test_what_one_subset_took_and_another_did_not_can_be_read(page, runs):
    from playwright.sync_api import expect

    labels = page.locator("#filters [name=of] option").all_inner_texts()
    large, small = (next(label for label in labels if text in label) for text in ("120", "llama"))
    page.select_option("#filters [name=of]", label=large)
    page.select_option("#filters [name=status]", "selected")
    expect(page.locator("#count")).to_have_text(re.compile("^120 of"))
    page.select_option("#filters [name=without]", label=small)
    expect(page.locator("#count")).to_have_text(re.compile("^60 of"))
    assert page.locator(".view .row .rank").first.inner_text() == "61"
    page.locator(".view .row").first.click()
    told = page.inner_text("#sample .fates")
    assert "rank 61 of 120" in told
    assert "left out, number 1 in line" in told


def test_only_rows_in_view_exist(page):
    assert page.inner_text("#count") == "700 of 700"
    assert page.locator(".view .row").count() < 40
    page.locator(".view").evaluate("view => { view.scrollTop = view.scrollHeight; }")
    page.wait_for_selector(".view .row .out")
    assert page.locator(".view .row").count() < 40


def test_light_and_dark_follow_the_system_and_the_button(browser, html, tmp_path):
    background = "getComputedStyle(document.body).backgroundColor"
    tabs = [open_page(browser, html, tmp_path, color_scheme=scheme) for scheme in ("light", "dark")]
    light, dark = (page.evaluate(background) for page, _ in tabs)
    assert light != dark
    page, problems = tabs[0]
    page.wait_for_selector("#chart-results .main-svg", state="attached")
    grid = "getComputedStyle(document.querySelector('#chart-results .xgrid')).stroke"
    before = page.evaluate(grid)
    page.click("#theme")
    assert page.evaluate(background) == dark
    assert page.evaluate(grid) != before
    assert problems == []


def test_nothing_is_wider_than_a_phone_and_filters_are_at_hand(browser, html, tmp_path):
    page, problems = open_page(browser, html, tmp_path, viewport={"width": 390, "height": 844})
    page.wait_for_selector("#chart-results .main-svg", state="attached")
    page.wait_for_selector("html[data-samples=ready]", state="attached")
    assert page.evaluate("document.documentElement.scrollWidth") == 390
    average = page.locator("#result-table thead th.n").first
    assert average.inner_text() == "Average"
    box = average.bounding_box()
    assert box["x"] + box["width"] < 375
    cut = page.locator(".scroll:has(#result-table)").evaluate(
        "e => [e.scrollWidth > e.clientWidth, e.classList.contains('cut')]"
    )
    assert cut == [True, True]
    assert not page.locator("#facets").is_visible()
    page.click("#open-facets")
    page.check("#facets [name=rater][value=llama]")
    page.click("#close-facets")
    assert page.inner_text("#open-facets") == "Filters · 1"
    page.locator(".view .row").first.click()
    assert page.evaluate("document.documentElement.scrollWidth") == 390
    assert problems == []
