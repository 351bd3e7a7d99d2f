"""Pages hold what axe-core asks of them (no serious finding), fit a phone, and answer to the keyboard."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from ds2.base.paths import project_root

pytestmark = pytest.mark.slow
SITE = (
    "index.html",
    "tutorials/curate.html",
    "notebooks/rater.html",
    "notebooks/compare.html",
    "compare.html",
    "reference/configuration.html",
)
FORM, REPORT = "anchors.html", "report.html"
SERIOUS = ("serious", "critical")


@pytest.fixture(scope="module")
def pages(tmp_path_factory) -> dict[str, Path]:
    """A run's report, the form of its anchors, and pages of the site."""
    pytest.importorskip("mkdocs", reason="the extra docs is not installed")
    folder, root = tmp_path_factory.mktemp("pages"), project_root()
    example = root / "docs" / "tutorials" / "example_pool.py"
    pool = [
        "pool=jsonl",
        "pool.path=mine.jsonl",
        "rater=from_column",
        "rater.column=score",
        "budget.samples=40",
    ]
    for command in (
        [sys.executable, str(example)],
        [sys.executable, "-m", "ds2", *pool, "until=select", "tracking=none"],
        [sys.executable, "-m", "ds2", "anchors", "draw", *pool, "n=40"],
    ):
        subprocess.run(command, cwd=folder, check=True, capture_output=True, env=_environment(root))
    build = [
        sys.executable,
        "-m",
        "mkdocs",
        "build",
        "--strict",
        "--quiet",
        "--site-dir",
        str(folder / "site"),
    ]
    subprocess.run(build, cwd=root, check=True, capture_output=True)
    (report,) = folder.glob("artifacts/report/*/report.html")
    return {REPORT: report, FORM: folder / FORM, **{page: folder / "site" / page for page in SITE}}


def _environment(root: Path) -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": str(root)}


@pytest.fixture
def opened(browser, pages) -> Iterator[Any]:
    """A function that opens a page by name."""
    open_pages = []

    def visit(name: str, **options: Any) -> Any:
        page = browser.new_page(**options)
        open_pages.append(page)
        page.goto(pages[name].as_uri())
        page.wait_for_load_state("load")
        return page

    yield visit
    for page in open_pages:
        page.close()


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("name", [REPORT, FORM, *SITE])
def test_axe_core_has_no_serious_finding(opened, name, scheme):
    axe = pytest.importorskip("axe_playwright_python.sync_playwright", reason="axe is not installed").Axe()
    found = axe.run(opened(name, color_scheme=scheme)).response["violations"]
    serious = [
        (violation["id"], node["html"][:120])
        for violation in found
        if violation["impact"] in SERIOUS
        for node in violation["nodes"]
    ]
    assert serious == []


@pytest.mark.parametrize("name", [REPORT, FORM, *SITE])
def test_a_page_is_no_wider_than_a_phone(opened, name):
    page = opened(name, viewport={"width": 360, "height": 780})
    assert page.evaluate("document.documentElement.scrollWidth") <= 360


@pytest.mark.parametrize("name", [REPORT, FORM, *SITE])
def test_tab_reaches_something_that_shows_that_it_is_reached(opened, name):
    page = opened(name)
    seen = set()
    for _ in range(6):
        page.keyboard.press("Tab")
        seen.add(page.evaluate("document.activeElement.outerHTML.slice(0, 80)"))
    assert len(seen) > 1
    assert page.evaluate("document.activeElement.matches(':focus-visible')")


def test_a_report_is_printed_whole(opened):
    page = opened(REPORT)
    page.emulate_media(media="print")
    assert page.evaluate("[...document.querySelectorAll('h2')].every(h => h.getClientRects().length > 0)")
    assert len(page.pdf()) > 20_000
