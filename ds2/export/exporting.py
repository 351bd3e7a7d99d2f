"""A subset written in one form: data, what to paste, what does not reach the trainer as it is."""

from __future__ import annotations

import importlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, cast

from ds2.base.json_files import write_json_lines
from ds2.export.subset import Subset, open_subset
from ds2.export.tally import Tally

LEFT_OUT, README = "left_out.jsonl", "README.md"


class Form(Protocol):
    """What the module of a form has."""

    DATA: str
    """The file of the rows."""
    STANZA: str
    """The file that holds what to paste."""

    def write(self, subset: Subset, folder: Path, tally: Tally) -> None: ...

    def stanza(self, subset: Subset, folder: str) -> str: ...


@dataclass(frozen=True)
class Exported:
    """A subset in one form."""

    form: str
    data: Path
    tally: Tally
    stanza: str
    """What to paste, with the folder's absolute path."""


def form_of(name: str) -> Form:
    """The module of a form."""
    return cast("Form", importlib.import_module(f"ds2.export.{name}"))


def export(subset_folder: Path, form: str, folder: Path, *, with_scores: bool = False) -> Exported:
    """Write a finished subset in one form into a folder, which is made.

    Args:
        form: a module of this package: llama_factory, axolotl, trl, open_instruct, openai, hf.
        with_scores: rank, row, scores and the reason of each choice too, where the form has room for them.

    Raises:
        DamagedArtifact: the subset cannot be read.
    """
    module, tally = form_of(form), Tally()
    subset = open_subset(subset_folder, with_scores=with_scores)
    folder.mkdir(parents=True, exist_ok=True)
    module.write(subset, folder, tally)
    (folder / module.STANZA).write_text(module.stanza(subset, "."), encoding="utf-8")
    if tally.left_out:
        left_out = ({"id": i, "why": why} for why, ids in tally.left_out.items() for i in ids)
        write_json_lines(folder / LEFT_OUT, left_out)
    (folder / README).write_text("\n".join(_readme(subset, form, module, tally)) + "\n", encoding="utf-8")
    return Exported(form, folder / module.DATA, tally, module.stanza(subset, str(folder.absolute())))


def stanza_of(subset_folder: Path, form: str, folder: Path) -> str:
    """What to paste for an export that lies in `folder`."""
    return form_of(form).stanza(open_subset(subset_folder), str(folder.absolute()))


def _readme(subset: Subset, form: str, module: Form, tally: Tally) -> Iterator[str]:
    if form == "hf":
        from ds2.export.hf import front_matter

        yield front_matter(tally.rows)
    yield f"# {subset.name}, for {form}\n"
    yield f"{tally.rows:,} of the subset's {subset.rows:,} rows in `{module.DATA}`, best first.\n"
    yield from (f"- {line}" for line in tally.lines())
    yield f"\n`{module.STANZA}`, from this folder:\n\n```\n{module.stanza(subset, '.').rstrip()}\n```\n"
    if subset.has_extra and form != "openai":
        yield "`extra`: the source row's other fields, one JSON object as text."
