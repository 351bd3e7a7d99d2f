"""The anchors' file: one CSV that the draw writes, a person fills in (in the form or any spreadsheet) and
judging reads.

    id      sample's id in the pool
    score   the person's score on the rater's scale (`AnswerScale`); empty where not yet given
    row     its position in the pool, from 0
    weight  design weight 1 / pi of `anchors`
    pool    content hash of the pool the rows were drawn from

A person's own file needs `id` and `score`; without weights its samples count as a plain random draw.
Further columns are kept out of it and read past. Comma or semicolon, with or without a byte order mark:
spreadsheets write both.
"""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ds2.base.errors import MissingInput, UserError
from ds2.config import LlmRaterConfig, RaterConfig, RatingUnit, Reading, ScaleConfig
from ds2.config.rating import raters_of
from ds2.method.stated import FEWEST_ANCHORS

COLUMNS = ("id", "row", "score", "weight", "pool")
NEEDED = ("id", "score")


@dataclass(frozen=True)
class AnswerScale:
    """The whole numbers that people answer with, and what they become."""

    low: int
    high: int
    first: int
    """Answer that is score 0, as all below it are."""
    levels: int
    """K scores."""

    def score(self, answer: int) -> int:
        """0..K-1."""
        return min(max(answer - self.first, 0), self.levels - 1)


def answer_scale(rater: RaterConfig, scale: ScaleConfig) -> AnswerScale:
    """The rater's own: a language model's ratings, a column's as far as the scale tells them apart, or
    scores; a panel's where all of it have one, else scores.
    """
    K = scale.num_scores
    if len(raters_of(rater)) > 1:
        own = {answer_scale(member, scale) for member in raters_of(rater)}
        return own.pop() if len(own) == 1 else AnswerScale(0, K - 1, 0, K)
    if isinstance(rater, LlmRaterConfig):
        return AnswerScale(1, 9 if rater.reading is Reading.expected else 10, scale.low, K)
    if getattr(rater, "unit", RatingUnit.scores) is RatingUnit.ratings:
        return AnswerScale(scale.low, scale.high, scale.low, K)
    return AnswerScale(0, K - 1, 0, K)


@dataclass(frozen=True, eq=False)
class AnchorFile:
    """Answered anchors of a file, in its order."""

    rows: NDArray[np.int64]
    """(n,) rows of the pool."""
    scores: NDArray[np.int64]
    """(n,) in 0..K-1."""
    weight: NDArray[np.float64]
    """(n,) design weights; those of a file answered in part are raised by lines / answers, as if fewer had
    been drawn.
    """
    unanswered: int
    """Lines without a score."""
    drawn: bool
    """False: the file has no weights, and each is 1."""

    @property
    def anchors(self) -> dict[int, int]:
        """Row -> score, as `curate` and `judge_anchors` take them."""
        return dict(zip(self.rows.tolist(), self.scores.tolist(), strict=True))


def weight_text(weight: float) -> str:
    """A design weight as the file holds it: seven significant digits."""
    return f"{weight:.7g}"


def format_anchors(
    ids: Sequence[str],
    rows: Sequence[int] | NDArray[np.int64],
    weight: Sequence[float] | NDArray[np.float64],
    pool: str,
    scores: Mapping[int, int] | None = None,
) -> str:
    """The file's text. ids, rows, weight: of the anchors, (n,) each; pool: hash; scores: row -> score on
    the rater's scale.
    """
    out = io.StringIO()
    lines = csv.writer(out, lineterminator="\n")
    lines.writerow(COLUMNS)
    for name, row, w in zip(ids, rows, weight, strict=True):
        score = "" if scores is None else scores.get(int(row), "")
        lines.writerow([name, int(row), score, weight_text(float(w)), pool])
    return out.getvalue()


def name_anchors(path: Path) -> tuple[str | None, list[str]]:
    """The pool's content hash that a file names, None where it names none; and its samples' ids. Raises
    UserError.
    """
    _, lines = _lines(path)
    hashes = {line["pool"] for _, line in lines if line.get("pool")}
    return (hashes.pop() if len(hashes) == 1 else None), [line["id"] for _, line in lines]


def read_anchors(path: Path, ids: Sequence[str], pool: str, scale: AnswerScale) -> AnchorFile:
    """Read and check a file of answers.

    ids: of the pool's samples in its order. pool: content hash of the pool at hand. UserError, one line
    with the file and line, for a file of another pool, unknown ids, two lines for one id, a score that is
    no whole number of the scale, a weight not above 0, fewer than 20 answers, or answers that are all the
    same.
    """
    names, lines = _lines(path)
    place = {name: row for row, name in enumerate(ids)}
    seen: dict[str, int] = {}
    rows, scores, weights, blank = [], [], [], 0
    for number, line in lines:
        where = f"{path}: line {number}"
        if line.get("pool", pool) != pool:
            raise UserError(
                f"{where} is of another pool ({line['pool'] or 'no hash'}; this one is {pool}): draw "
                "anchors from this pool"
            )
        name = line["id"]
        if name not in place:
            raise UserError(f"{where}: the pool has no sample {name!r}")
        if name in seen:
            raise UserError(
                f"{where}: {name!r} stands in line {seen[name]} already; keep one score for each sample"
            )
        seen[name] = number
        if line.get("row", str(place[name])) != str(place[name]):
            raise UserError(
                f"{where}: {name!r} is row {place[name]} of the pool, not {line['row'] or 'empty'}"
            )
        if line["score"] == "":
            blank += 1
            continue
        rows.append(place[name])
        scores.append(_score(line["score"], scale, where))
        weights.append(_weight(line.get("weight", "1"), where))
    if len(rows) < FEWEST_ANCHORS:
        also = f" ({blank} lines wait for one)" if blank else ""
        raise UserError(
            f"{path}: {len(rows)} scores are too few to judge by, at least {FEWEST_ANCHORS} are needed{also}"
        )
    if len(set(scores)) == 1:
        raise UserError(f"{path}: every score is level {scores[0]}: nothing can be told from them")
    return AnchorFile(
        rows=np.array(rows, dtype=np.int64),
        scores=np.array(scores, dtype=np.int64),
        weight=np.array(weights) * (len(rows) + blank) / len(rows),
        unanswered=blank,
        drawn="weight" in names,
    )


def _lines(path: Path) -> tuple[list[str], list[tuple[int, dict[str, str]]]]:
    """Columns; and lines by column, with their numbers; blank lines are skipped."""
    try:
        text = path.read_text(encoding="utf-8-sig")
    except FileNotFoundError:
        raise MissingInput(f"{path}: no such file; `ds2 anchors draw` makes one") from None
    except (UnicodeDecodeError, IsADirectoryError):
        raise UserError(f"{path} is not a CSV file in UTF-8") from None
    head = text.split("\n", 1)[0]
    reader = csv.reader(io.StringIO(text), delimiter=";" if ";" in head and "," not in head else ",")
    try:
        table = [(reader.line_num, line) for line in reader if any(line)]
    except csv.Error as error:
        raise UserError(f"{path} is not a CSV file: {error}") from None
    names = [name.strip() for name in table[0][1]] if table else []
    missing = [name for name in NEEDED if name not in names]
    if missing:
        raise UserError(
            f"{path}: the first line must name the columns {' and '.join(NEEDED)}; {missing[0]} is missing"
        )
    out = []
    for number, cells in table[1:]:
        if len(cells) != len(names):
            raise UserError(f"{path}: line {number} has {len(cells)} cells for {len(names)} columns")
        line = dict(zip(names, cells, strict=True))
        out.append((number, {name: cell if name == "id" else cell.strip() for name, cell in line.items()}))
    return names, out


def _score(text: str, scale: AnswerScale, where: str) -> int:
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not scale.low <= value <= scale.high or value != int(value):
        raise UserError(
            f"{where}: the score {text!r} is not a whole number in {scale.low}..{scale.high}, the rater's "
            "scale"
        )
    return scale.score(int(value))


def _weight(text: str, where: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not 0 < value < math.inf:
        raise UserError(
            f"{where}: the weight {text!r} is not a number above 0; keep the one that the draw wrote"
        )
    return value
