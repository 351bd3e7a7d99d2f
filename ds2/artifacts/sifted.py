"""What was found in the pool: questions of evaluation sets, near-duplicates.

    sifted.json               how many questions of each set were looked for
    contamination.parquet     a row for each question that a sample holds: position, id, row, source of the
                              sample; set, question (from 0), share, words, asked
    near_duplicates.parquet   a row for each sample that repeats another: position, id, row, source; of (the
                              position of the one that stays), of_id, similarity; begins, its first words

Positions are those in the pool before anything is left out of it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ds2.artifacts.reading import read_object, read_table
from ds2.base.json_files import write_json
from ds2.pool import Pool, Sample
from ds2.pool.sifting import Copy, Hit, Sifted

if TYPE_CHECKING:
    import pandas as pd

_COUNTS, _QUESTIONS = "sifted.json", "questions"
_HITS, _COPIES = "contamination.parquet", "near_duplicates.parquet"
_BEGINNING = 160
"""Characters."""
_SAMPLE = ("id", "row", "source")


def write_sifted(folder: Path, sifted: Sifted, pool: Pool) -> None:
    """All that was found, with the samples' ids."""
    counts = None if sifted.questions is None else dict(sifted.questions)
    write_json(folder / _COUNTS, {_QUESTIONS: counts})
    _write(folder / _HITS, Hit, sifted.hits, pool)
    table = _table(Copy, sifted.copies, pool)
    table["of_id"] = [pool.samples[copy.of].id for copy in sifted.copies]
    table["begins"] = [_beginning(pool.samples[copy.position]) for copy in sifted.copies]
    table.to_parquet(folder / _COPIES, index=False)


def read_sifted(folder: Path) -> Sifted:
    """What was found. Raises DamagedArtifact."""
    counts = read_object(folder / _COUNTS).get(_QUESTIONS)
    return Sifted(
        tuple(Hit(**row) for row in _rows(folder / _HITS, Hit)),
        tuple(Copy(**row) for row in _rows(folder / _COPIES, Copy)),
        counts,
    )


def read_contamination(folder: Path) -> pd.DataFrame:
    """The table of questions held, with ids. Raises DamagedArtifact."""
    return read_table(folder / _HITS, None)


def read_near_duplicates(folder: Path) -> pd.DataFrame:
    """The table of repeated samples, with ids. Raises DamagedArtifact."""
    return read_table(folder / _COPIES, None)


def contamination_file(folder: Path) -> Path:
    """The table of questions held, to be named to a person."""
    return folder / _HITS


def _write(path: Path, kind: type[Any], found: Sequence[Any], pool: Pool) -> None:
    _table(kind, found, pool).to_parquet(path, index=False)


def _table(kind: type[Any], found: Sequence[Any], pool: Pool) -> pd.DataFrame:
    import pandas as pd

    rows = []
    for one in found:
        sample = pool.samples[one.position]
        rows.append({name: getattr(sample, name) for name in _SAMPLE} | _plain(one))
    return pd.DataFrame(rows, columns=[*_SAMPLE, *(field.name for field in fields(kind))])


def _beginning(sample: Sample) -> str:
    return " ".join(" ".join(message.text for message in sample.messages).split())[:_BEGINNING]


def _plain(one: Any) -> dict[str, Any]:
    return {field.name: getattr(one, field.name) for field in fields(one)}


def _rows(path: Path, kind: type[Any]) -> list[dict[str, Any]]:
    names = tuple(field.name for field in fields(kind))
    return [dict(zip(names, row, strict=True)) for row in read_table(path, names).to_numpy().tolist()]
