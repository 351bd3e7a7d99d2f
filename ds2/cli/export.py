"""`ds2 export`: a finished subset as a trainer reads it, and what to paste into the configuration."""

from __future__ import annotations

import argparse
import os
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NoReturn

from ds2.artifacts.record import RECORD, Record, find_artifacts
from ds2.artifacts.store import ArtifactStore, open_store
from ds2.base.errors import UserError
from ds2.base.paths import resolved, shown, writing
from ds2.base.words import number_of
from ds2.cli import console
from ds2.config.command_line import as_they_stand
from ds2.config.compose import artifacts_root
from ds2.config.selection import ExportForm
from ds2.export.exporting import LEFT_OUT, form_of, stanza_of
from ds2.runs.stages.export import export_step

FORMS = tuple(form.value for form in ExportForm)
_USAGE = f"ds2 export SUBSET --to {'|'.join(FORMS)} [--out DIR] [--with-scores]"


class Arguments(argparse.ArgumentParser):
    """Options whose faults are a user's error, said in one line with the command's use."""

    def error(self, message: str) -> NoReturn:
        raise UserError(f"{self.prog}: {message}; {self.usage}")


def run(arguments: Sequence[str]) -> int:
    """ds2 export SUBSET --to FORM [--out DIR] [--with-scores] [paths.artifacts=DIR]; its exit code.

    Without `--out` the export is an artifact like those of `selection.export`, made once.

    Raises:
        UserError: no such subset or form, or a folder that holds something already or cannot be written to.
    """
    overrides = [a for a in arguments if a.startswith("paths.artifacts=")]
    parser = Arguments(prog="ds2 export", usage=_USAGE, add_help=False)
    parser.add_argument("subset")
    parser.add_argument("--to", choices=FORMS, required=True)
    parser.add_argument("--out")
    parser.add_argument("--with-scores", action="store_true")
    given = parser.parse_args([a for a in arguments if a not in overrides])
    if given.with_scores and not ExportForm(given.to).holds_scores:
        raise UserError(f"--to {given.to} takes no --with-scores: its rows have no room for scores")
    store = open_store(artifacts_root(as_they_stand(overrides)))
    folder, record = find_subset(store, given.subset)
    step = export_step(
        lambda: folder, record["slug"], record["fingerprint"], [ExportForm(given.to)],
        with_scores=given.with_scores,
    )  # fmt: skip
    if given.out is None:
        result = store.obtain(step)
        written, counts, warnings = result.path / given.to, result.record["counts"], result.record["warnings"]
    else:
        out = new_folder(given.out)
        written = out / given.to
        with filling(out):
            outcome = step.compute(out)
        counts, warnings = outcome.counts, outcome.warnings
    _say(folder, given.to, written, counts[given.to], warnings)
    return 0


def find_subset(store: ArtifactStore, text: str) -> tuple[Path, Record]:
    """The folder and record of a finished subset: by its folder, a file in it, or its fingerprint's digits.

    Raises:
        UserError: there is none, or more than one.
    """
    path = Path(resolved(text))
    folder = path.parent if path.is_file() else path
    if (folder / RECORD).is_file():
        found = [folder]
    else:
        finished = find_artifacts(store.root / "select")
        found = [path for path in finished if path.name.rpartition("-")[2].startswith(text)]
    if len(found) != 1:
        raise UserError(
            f"{text}: {len(found) or 'no'} subsets of that name in {shown(store.root)}; give the "
            "folder of one, or the first digits of its fingerprint (ds2 list select)"
        )
    record = store.verify(found[0])
    if record["stage"] != "select":
        raise UserError(f"{shown(found[0])} is an artifact of stage {record['stage']}, not a subset")
    return found[0], record


def new_folder(text: str, option: str = "--out") -> Path:
    """A folder to write to. Raises UserError where it holds something, is a file, a pipe or a device, or
    cannot be looked at.
    """
    folder = Path(resolved(text))
    try:
        free = not any(folder.iterdir()) if folder.is_dir() else not os.path.lexists(folder)
    except OSError as error:
        raise UserError(f"{option} {text}: {error.strerror or error}") from error
    if not free:
        raise UserError(f"{option} {text} is there already: name a new folder, or empty it")
    return folder


@contextmanager
def filling(folder: Path) -> Iterator[None]:
    """Write into a folder of `new_folder`; after an error it is as it was. Raises UserError where it cannot
    be written to.
    """
    there = folder.exists()
    try:
        with writing(folder):
            yield
    except BaseException:  # also an interrupt: a folder with half of its files looks whole
        shutil.rmtree(folder, ignore_errors=True)
        if there:
            folder.mkdir(exist_ok=True)
        raise


def _say(subset: Path, form: str, written: Path, counts: dict[str, Any], warnings: Sequence[str]) -> None:
    data = written / form_of(form).DATA
    missing = sum(counts["left_out"].values())
    whole = number_of(counts["rows"] + missing, "row")
    rows = f"{counts['rows']:,} of {whole}" if missing else whole
    console.line(f"{rows}: {shown(data)}")
    for line in warnings:
        console.warning(line.removeprefix(f"{form}: "))
    if missing:
        console.line(f"all that were left out, and why: {shown(written / LEFT_OUT)}")
    console.line(f"\npaste ({shown(written / form_of(form).STANZA)}):\n")
    console.line(stanza_of(subset, form, written).rstrip())
