"""What finished runs say: as a page, as a table, as figures, to Weights & Biases.

    Path("page.html").write_text(render(run), encoding="utf-8")

A page is one self-contained HTML file that opens from disk, without a network.

facts, rating_facts, panel_facts: the numbers of one run, read once for all. answers, differences: an
evaluation question by question, and two methods compared by it. table, table_rows, table_text: many runs as
a table; units: points or nats; recipes: several tables, and whether methods keep their order in them.
choices: a run's choices in words. figures/: matplotlib. page/: HTML. tracking: Weights & Biases.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from ds2.artifacts.run import RunResult

if TYPE_CHECKING:
    from ds2.report.table import ResultTable


def render(run: RunResult) -> str:
    """The whole page of one run, as HTML.

    A section appears where its stage is: a run stopped after selection has no evaluation. Text from the pool
    is shown, never run. Samples that were left out are read from the pool again; where that is gone, the page
    says so.
    """
    from ds2.report.page.run_page import render_run

    return render_run(run)


def render_many(
    runs: Sequence[RunResult],
    *,
    title: str,
    notes: Sequence[str] = (),
    folder: Path | None = None,
    table: ResultTable | None = None,
) -> str:
    """The page that compares evaluated runs, as HTML.

    Args:
        notes: what a reader must know of the comparison; shown above its table.
        folder: where the page will stand, for relative links to the runs' own reports and to records; None:
            absolute ones.
        table: of these runs and of those that are not done; None: of these alone.

    Raises:
        UserError: two different runs claim one cell of the table.
    """
    from ds2.report.page.many_page import render_runs

    return render_runs(runs, title=title, notes=notes, folder=folder, table=table)
