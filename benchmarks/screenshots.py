"""The screenshots of the documentation, taken from real pages in headless Chromium.

    python benchmarks/screenshots.py RUN.html RUNS.html    needs Playwright (pip) and a Chromium on the PATH

RUN.html is the report of one run, RUNS.html the page of a sweep (`ds2 sweep=mini_table`). Writes
docs/figures/report.png, report_many.png, report_dark.png (the matrices, dark) and report_phone.png.
"""

from __future__ import annotations

import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from playwright.sync_api import sync_playwright

FIGURES = Path(__file__).resolve().parents[1] / "docs" / "figures"


def main(run: Path, runs: Path) -> None:
    """Take all four."""
    with sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])

        def shoot(
            name: str,
            page_file: Path,
            size: tuple[int, int],
            prepare: Callable[[Any], None] = lambda page: None,
            **options: Any,
        ) -> None:
            page = browser.new_page(viewport={"width": size[0], "height": size[1]}, **options)
            page.goto(page_file.resolve().as_uri())
            prepare(page)
            page.wait_for_timeout(1500)  # charts are drawn as they come into view
            path = FIGURES / f"{name}.png"
            page.screenshot(path=path)
            print(f"{path.relative_to(FIGURES.parents[1])}: {path.stat().st_size / 1024:.0f} KiB")

        shoot("report", run, (1280, 1880))
        shoot("report_many", runs, (1200, 900))
        shoot("report_dark", runs, (1000, 780), _to_matrices, color_scheme="dark")
        shoot("report_phone", runs, (390, 844), device_scale_factor=1.5)
        browser.close()


def _to_matrices(page: Any) -> None:
    below_the_bar = "(top) => window.scrollTo({top: top - 80, behavior: 'instant'})"
    page.evaluate(below_the_bar, page.locator("#raters h3.apart").first.bounding_box()["y"])


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit((__doc__ or "").strip())
    main(Path(sys.argv[1]), Path(sys.argv[2]))
