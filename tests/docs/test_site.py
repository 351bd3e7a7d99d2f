"""The documentation site: built without a warning, read from a disk without a network, searched."""

from __future__ import annotations

import re
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote

import pytest

from ds2.base.paths import project_root


@pytest.fixture(scope="module")
def site(tmp_path_factory) -> Path:
    pytest.importorskip("mkdocs", reason="the extra docs is not installed")
    folder = tmp_path_factory.mktemp("site")
    build = [sys.executable, "-m", "mkdocs", "build", "--strict", "--quiet", "--site-dir", str(folder)]
    done = subprocess.run(build, cwd=project_root(), capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return folder


class References(HTMLParser):
    """What a page points to, and what it can be pointed at."""

    def __init__(self, page: Path) -> None:
        super().__init__()
        self.loaded: list[str] = []
        self.linked: list[str] = []
        self.anchors: set[str] = set()
        self.feed(page.read_text(encoding="utf-8"))

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        self.anchors |= {name for name in (given.get("id"), given.get("name")) if name}
        if tag == "a" and given.get("href"):
            self.linked.append(str(given["href"]))
        elif tag == "link" and given.get("rel") not in ("canonical", "prev", "next"):
            self.loaded.append(str(given["href"]))
        elif given.get("src"):
            self.loaded.append(str(given["src"]))


def test_every_link_leads_somewhere_and_nothing_is_loaded_from_the_web(site):
    pages = {page: References(page) for page in site.rglob("*.html") if page.name != "404.html"}
    assert len(pages) > 12
    for page, references in pages.items():
        for target in references.loaded:
            assert not re.match(r"https?:|//", target), (page.name, target)
        for target in references.loaded + references.linked:
            if re.match(r"https?:|mailto:|data:|javascript:", target):
                continue
            path, _, anchor = target.partition("#")
            file = (page.parent / unquote(path)).resolve() if path else page
            file = file / "index.html" if file.is_dir() else file
            assert file.is_file(), (page.name, target)
            assert not anchor or file not in pages or unquote(anchor) in pages[file].anchors, (
                page.name,
                target,
            )


def test_the_reference_holds_every_choice_and_every_name_of_the_library(site):
    import ds2
    from ds2.config.describe import describe_choices, groups

    configuration = (site / "reference" / "configuration.html").read_text(encoding="utf-8")
    for group in groups():
        for choice in describe_choices(group):
            assert f"<code>{choice.name}</code>" in configuration, (group, choice.name)
    library = References(site / "reference" / "library.html").anchors
    assert {f"ds2.{name}" for name in ds2.__all__ if not name.startswith("_")} <= library


def test_a_page_opened_from_a_disk_can_be_searched_without_a_network(site, browser):
    from playwright.sync_api import expect

    page = browser.new_page(viewport={"width": 1300, "height": 900})
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.goto((site / "reference" / "library.html").as_uri())
    words = page.get_by_role("textbox", name="Search")
    words.click()
    expect(page.locator(".md-search-result__meta")).to_have_text("Type to start searching", timeout=60_000)
    words.press_sequentially("clusterability")
    expect(page.locator(".md-search-result__item").first).to_contain_text("lusterability", timeout=20_000)
    assert [url for url in asked if not url.startswith(("file:", "data:", "blob:"))] == []
    page.close()
