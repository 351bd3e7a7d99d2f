"""A page in the test browser, with what it complains about and what it asks for."""

from __future__ import annotations

from pathlib import Path
from typing import Any


def open_page(browser: Any, html: str, folder: Path, **options: Any) -> tuple[Any, list[str]]:
    """The page, opened from disk, and a list that collects its errors and every request beyond the file
    itself.
    """
    file = folder / "report.html"
    file.write_text(html, encoding="utf-8")
    page = browser.new_page(**options)
    problems: list[str] = []
    page.on("console", lambda message: problems.append(message.text) if message.type == "error" else None)
    page.on("pageerror", lambda error: problems.append(str(error)))
    page.on("request", lambda request: problems.extend(_asked(request.url, file)))
    page.goto(file.as_uri())
    page.wait_for_load_state("load")
    return page, problems


def _asked(url: str, file: Path) -> list[str]:
    inside = url == file.as_uri() or url.startswith(("data:", "blob:"))
    return [] if inside else [f"asked for {url}"]
