"""Stage `report`: the page of the run."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from ds2.artifacts.page import write_page
from ds2.artifacts.run import RunResult
from ds2.artifacts.step import Outcome, Step
from ds2.artifacts.versions import version
from ds2.report import render
from ds2.runs.context import Context


def step(run: Context, name: str, result: Callable[[], RunResult]) -> Step:
    """The step that writes the page.

    Args:
        name: of the run, as its folder has it.
        result: the run as far as it is finished when the page is written.
    """

    def compute(folder: Path) -> Outcome:
        write_page(folder, render(result()))
        return Outcome()

    return Step("report", version("report"), name, {"name": name}, run.inputs(*run.steps), compute)
