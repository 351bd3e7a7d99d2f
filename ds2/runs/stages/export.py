"""Stage `export`: the subset in the forms of trainers, a folder each."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path

from ds2.artifacts.step import Outcome, Step
from ds2.artifacts.versions import version
from ds2.config.selection import ExportForm
from ds2.export import export
from ds2.runs.context import Context


def step(run: Context) -> Step:
    """The step that writes what `selection.export` asks for."""
    config, select = run.config.selection, run.steps["select"]
    return export_step(
        lambda: run.path("select"), select.slug, select.fingerprint, config.export,
        with_scores=config.export_scores,
    )  # fmt: skip


def export_step(
    subset: Callable[[], Path], slug: str, fingerprint: str, forms: Iterable[ExportForm], *, with_scores: bool
) -> Step:
    """The step that writes a finished subset in these forms.

    Args:
        subset: its folder, asked for when the step is computed; slug and fingerprint are its own.
    """
    wanted = sorted({form.value for form in forms})

    def compute(folder: Path) -> Outcome:
        done = [export(subset(), form, folder / form, with_scores=with_scores) for form in wanted]
        counts = {each.form: each.tally.to_plain() for each in done}
        return Outcome(counts, tuple(f"{each.form}: {line}" for each in done for line in each.tally.lines()))

    return Step(
        "export",
        version("export"),
        slug,
        {"forms": wanted, "scores": with_scores},
        {"select": fingerprint},
        compute,
    )
