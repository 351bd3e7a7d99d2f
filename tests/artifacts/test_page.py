from __future__ import annotations

from pathlib import Path

from ds2.artifacts.page import html, write_page


def test_the_page_is_written_where_it_is_said_to_stand(tmp_path: Path) -> None:
    assert write_page(tmp_path, "<p>é</p>") == html(tmp_path)
    assert html(tmp_path).read_text(encoding="utf-8") == "<p>é</p>"
