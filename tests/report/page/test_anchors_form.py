"""The form for anchors in a browser: keys score, storage resumes, the saved file is the draw's own, text
stays text.
"""

from __future__ import annotations

import pytest
from helpers.browsing import open_page

from ds2.base.errors import UserError
from ds2.pool.anchors_file import AnswerScale, format_anchors, read_anchors
from ds2.report.page.anchors_form import AnchorItem, anchors_form, key_of

POOL = "0123456789abcdef"
NASTY = (
    '<img src=x onerror="document.title=\'run\'"></script><script>document.title="run"</script> & "quoted"'
)


def form(count=25, **settings) -> tuple[str, list[AnchorItem]]:
    items = [
        AnchorItem(
            f"id,{i}" if i % 2 else f'a "b" {i}',
            3 * i,
            1 + i / 7,
            (("user", f"question {i}"), ("assistant", NASTY)),
        )
        for i in range(count)
    ]
    settings = {"pool": POOL, "criteria": f"Judge <b>this</b>.\n{NASTY}", "low": 1, "high": 6} | settings
    return anchors_form(items, **settings), items


def saved(page, tmp_path):
    with page.expect_download() as download:
        page.click("#save")
    path = tmp_path / download.value.suggested_filename
    download.value.save_as(path)
    return path


def test_keys_score_storage_resumes_and_the_saved_file_is_the_draw_s_own(browser, tmp_path):
    html, items = form()
    page, problems = open_page(browser, html, tmp_path)
    scores = {}
    for place in range(22):
        assert f"question {place}" in page.inner_text("#sample")
        scores[items[place].row] = 1 + place % 6
        page.keyboard.press(str(1 + place % 6))
    page.reload()
    page.wait_for_load_state("load")
    assert page.inner_text("#progress") == "22 of 25 scored"
    assert page.inner_text("#heading") == "Sample 23 of 25"
    path = saved(page, tmp_path)
    ids, rows, weight = [i.id for i in items], [i.row for i in items], [i.weight for i in items]
    assert path.read_text(encoding="utf-8") == format_anchors(ids, rows, weight, POOL, scores)
    pool_ids = [f"x{n}" for n in range(100)]
    for item in items:
        pool_ids[item.row] = item.id
    answers = read_anchors(path, pool_ids, POOL, AnswerScale(1, 6, 1, 6))
    assert answers.anchors == {row: score - 1 for row, score in scores.items()}
    assert answers.unanswered == 3
    assert problems == []
    page.close()


def test_arrows_move_backspace_takes_back_and_the_next_open_sample_follows(browser, tmp_path):
    page, problems = open_page(browser, form(5, pool="other")[0], tmp_path)
    page.keyboard.press("ArrowRight")
    page.keyboard.press("9")  # not of this scale
    assert page.inner_text("#progress") == "0 of 5 scored"
    page.keyboard.press("4")
    assert page.inner_text("#heading") == "Sample 3 of 5"
    page.keyboard.press("ArrowLeft")
    assert page.get_attribute("#levels button[value='4']", "aria-pressed") == "true"
    page.click("#levels button[value='2']")
    page.keyboard.press("ArrowLeft")
    assert page.get_attribute("#levels button[value='2']", "aria-pressed") == "true"
    page.keyboard.press("Backspace")
    assert page.inner_text("#progress") == "0 of 5 scored"
    assert problems == []
    page.close()


def test_text_of_a_pool_is_shown_and_never_run(browser, tmp_path):
    page, problems = open_page(browser, form()[0], tmp_path)
    assert NASTY in page.inner_text("#sample")
    assert "Judge <b>this</b>." in page.inner_text(".criteria")
    assert page.title() == "Score 25 samples"
    assert page.locator("#sample img").count() == 0
    assert problems == []
    page.close()


def test_another_draw_starts_afresh_and_ten_levels_have_a_key_each(browser, tmp_path):
    page, _ = open_page(browser, form(low=1, high=10, pool="third")[0], tmp_path)
    page.keyboard.press("0")
    page.keyboard.press("ArrowLeft")
    assert page.get_attribute("#levels button[value='10']", "aria-pressed") == "true"
    page, _ = open_page(browser, form(low=1, high=10, pool="fourth")[0], tmp_path)
    assert page.inner_text("#progress") == "0 of 25 scored"
    page.close()


def test_it_fits_a_phone(browser, tmp_path):
    page, _ = open_page(browser, form(low=0, high=10)[0], tmp_path, viewport={"width": 360, "height": 640})
    assert page.evaluate("document.documentElement.scrollWidth") <= 360
    page.close()


def test_every_score_of_a_scale_has_a_key_of_its_own():
    for low, high in ((0, 10), (1, 10), (0, 5)):
        keys = [key_of(score, low) for score in range(low, high + 1)]
        assert len(set(keys)) == len(keys)


def test_equal_draws_make_equal_pages_that_ask_for_nothing():
    html = form()[0]
    assert html == form()[0]
    assert "http://" not in html.replace("http://www.w3.org", "")
    assert "https://" not in html


@pytest.mark.parametrize(
    ("count", "settings", "said"),
    [
        (0, {}, "no anchors"),
        (5, {"high": 11}, "within 0..10"),
        (5, {"high": 1}, "within 0..10"),
        (5, {"low": -1}, "within 0..10"),
    ],
)
def test_a_form_nobody_could_fill_in_is_refused(count, settings, said):
    with pytest.raises(UserError, match=said):
        form(count, **settings)
