"""Anchors by command: whom to ask, and what the answers say of the rater and of every order.

Both read the chain's stages up to `curate` under several curations, from the store where they are finished.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from ds2.artifacts.curation import RaterErrors, read_asked, read_curation
from ds2.artifacts.draws import Draw, find_draw, write_draw
from ds2.artifacts.ratings import read_rater_scores, read_scores
from ds2.artifacts.record import Record
from ds2.artifacts.run import RunResult
from ds2.artifacts.step import StageResult
from ds2.artifacts.store import open_store
from ds2.base.checks import whole_number
from ds2.base.drafts import replacing
from ds2.base.errors import UserError
from ds2.base.paths import shown, writing
from ds2.config import (
    CurationMethod,
    LlmRaterConfig,
    RaterConfig,
    RunConfig,
    TrackingConfig,
    TrackingMode,
    Until,
)
from ds2.config.compose import compose
from ds2.config.rating import raters_of
from ds2.method.anchor_judgement import Judgement, judge_anchors
from ds2.method.anchors import draw_anchors
from ds2.method.curation.anchored import LENGTH, NEIGHBORS, POSTERIOR_TOO, REFINED, REFINED_TOO, STUDENT
from ds2.method.stated import FEWEST_ANCHORS
from ds2.pool import Pool, PoolSource
from ds2.pool.anchors_file import (
    AnchorFile,
    AnswerScale,
    answer_scale,
    format_anchors,
    name_anchors,
    read_anchors,
)
from ds2.rating import prompt
from ds2.report.page.anchors_form import AnchorItem, anchors_form
from ds2.runs.chain import Chain, Reporter
from ds2.runs.pools import pool_of

if TYPE_CHECKING:
    import pandas as pd

Array = NDArray[np.float64]

POSTERIOR, PAPER = "posterior", "rank, then long tail"
"""Orders beside `refine` that are judged: expected true scores, and the paper's method."""
_TASK = """\
How valuable is the conversation as training data for an assistant? Judge how correct, clear and useful the \
assistant's answers are, and how much could be learned from them."""
"""Asked where the rater's own criteria are not known: of scores that came with the rows."""


@dataclass(frozen=True, eq=False)
class Orders:
    """A pool, what its rater said, and the orders one could select by."""

    config: RunConfig
    pool: Pool
    pool_hash: str
    scores: NDArray[np.int64]
    """(N,) the rater's, -1 unrated; of several raters the lower median."""
    orders: dict[str, Array]
    """Name -> (N,), the given scores left out."""
    evidence: dict[str, Array]
    """Name -> (N,): what may add to the given score."""
    share: float
    """Of the pool, selected: the budget."""


@dataclass(frozen=True, eq=False)
class Drawn:
    """A draw as written."""

    file: Path
    form: Path
    by_score: dict[str, int]
    """Given score -> samples asked about."""
    scale: AnswerScale
    criteria: str | None
    """The rater's own, or given; None: not known, and the form asks in general words."""


@dataclass(frozen=True, eq=False)
class Judged:
    """What a file of answers says."""

    answers: AnchorFile
    judgement: Judgement
    scale: AnswerScale
    refused: list[str]
    """Curations whose correction by these anchors was refused."""
    overrides: list[str]
    """What chooses pool and rater on the command line."""


def draw(overrides: Sequence[str], *, n: int, out: Path, criteria: str | None, reporter: Reporter) -> Drawn:
    """Choose n samples for people to score; write the CSV at `out` and the form beside it.

    Raises:
        UserError: a file would be overwritten, or the draw cannot be made or written.
    """
    form = out.with_suffix(".html")
    for path in (out, form):
        if path.exists():
            raise UserError(f"{shown(path)} exists and may hold answers: name another file with out=NAME.csv")
    if out.suffix != ".csv":
        raise UserError(f"out={out} must end in .csv; the form is written beside it")
    whole_number("n", n, FEWEST_ANCHORS)
    found = gather(compose(overrides), _once(reporter))
    criteria = criteria or _criteria(found.config.rater)
    drawn = draw_anchors(found.scores, n=n, orders=found.orders, share=found.share, seed=found.config.seed)
    ids = found.pool.ids
    asked = [ids[row] for row in drawn.rows]
    scale = answer_scale(found.config.rater, found.config.scale)
    items = [
        AnchorItem(
            ids[row], int(row), float(weight),
            [(message.role, message.content) for message in found.pool.samples[row].messages],
        )
        for row, weight in zip(drawn.rows, drawn.weight, strict=True)
    ]  # fmt: skip
    html = anchors_form(
        items,
        pool=found.pool_hash,
        criteria=criteria or _TASK,
        low=scale.low,
        high=scale.high,
        file_name=out.name,
    )
    text = format_anchors(asked, drawn.rows, drawn.weight, found.pool_hash)
    # The record first, and both files in one step: a draw that finds no room can be repeated.
    write_draw(Path(found.config.paths.artifacts), Draw(found.pool_hash, asked, [str(o) for o in overrides]))
    with writing(out.parent), replacing(form) as form_draft, replacing(out) as draft:
        for path, content in ((form_draft, html), (draft, text)):
            path.write_text(content, encoding="utf-8", newline="")
    given, count = np.unique(found.scores[drawn.rows], return_counts=True)
    by_score = {
        "unrated" if s < 0 else str(s + scale.first): int(c) for s, c in zip(given, count, strict=True)
    }
    return Drawn(out, form, by_score, scale, criteria)


def judge(file: Path, overrides: Sequence[str], *, root: Path, reporter: Reporter) -> Judged:
    """What the answers in `file` say of the rater that it was drawn for, and of every order.

    Args:
        overrides: what chooses pool and rater; empty: those of the draw, from `root`'s record of it.

    Raises:
        UserError: the file is at fault, or nothing says which pool and rater it is of.
    """
    pool_hash, ids = name_anchors(file)
    if not overrides:
        known = None if pool_hash is None else find_draw(root, pool_hash, set(ids))
        if known is None:
            raise UserError(
                f"{shown(file)}: no draw in {shown(root)} fits it; say of what pool and rater it is: "
                f"ds2 anchors judge {shown(file)} pool=... rater=..."
            )
        overrides = known.overrides
    config = compose(overrides)
    source = _source(config)
    scale = answer_scale(config.rater, config.scale)
    answers = read_anchors(file, source.load().ids, source.fingerprint, scale)
    reporter = _once(reporter)
    found = gather(config, reporter)
    corrected, refused = _corrected(config, file, reporter)
    return Judged(
        answers,
        judge_anchors(
            found.scores,
            answers.anchors,
            answers.weight,
            num_scores=config.scale.num_scores,
            orders=found.orders | corrected,
            evidence=found.evidence,
            share=found.share,
        ),
        scale,
        refused,
        list(overrides),
    )


def gather(config: RunConfig, reporter: Reporter) -> Orders:
    """Run or reuse what every order needs."""
    refined = _curate(config, CurationMethod.refine, reporter)
    rate = refined.stages["rate"].path
    table = read_curation(refined.stages["curate"].path)
    scores = read_scores(rate).astype(np.int64)
    if not (scores >= 0).any():
        raise UserError(f"rater={config.rater.name} scored no sample: there is nothing to judge")
    source = _source(config)
    pool = source.load()
    orders = {REFINED: _column(table, "refined")}
    posterior = read_curation(_curate(config, CurationMethod.posterior, reporter).stages["curate"].path)
    orders[POSTERIOR] = _column(posterior, "posterior_mean")
    columns = read_rater_scores(rate)
    if columns is None or columns.repeats:  # `rank` is of one rater
        ranked = read_curation(_curate(config, CurationMethod.rank, reporter).stages["curate"].path)
        orders[PAPER] = _column(ranked, "curated") + _column(ranked, "long_tail")  # a long tail is below 1
    evidence = {
        STUDENT: _column(table, "student"),
        NEIGHBORS: _column(table, "posterior_mean"),
        LENGTH: np.log1p([len(text) for text in pool.answers()]),
    }
    budget = config.budget.samples
    share = budget if budget < 1 else min(budget / len(pool), 1.0)
    return Orders(config, pool, source.fingerprint, scores, orders, evidence, share)


def _corrected(config: RunConfig, file: Path, reporter: Reporter) -> tuple[dict[str, Array], list[str]]:
    """The orders that the anchors themselves moved, each anchor at its place unasked; and those refused."""
    orders, refused = {}, []
    for method, name, column in (
        (CurationMethod.refine, REFINED_TOO, "refined"),
        (CurationMethod.posterior, POSTERIOR_TOO, "posterior_mean"),
    ):
        path = _curate(config, method, reporter, anchors=str(file)).stages["curate"].path
        said, asked = RaterErrors.read(path).diagnostics.anchors, read_asked(path)
        if said is None or asked is None or not any(test.shown for test in said.evidence):
            refused.append(method.value)
            continue
        order = _column(read_curation(path), column)
        order[asked.rows] = asked.order
        orders[name] = order
    return orders, refused


def _curate(
    config: RunConfig, method: CurationMethod, reporter: Reporter, anchors: str | None = None
) -> RunResult:
    """The run as far as its scores curated by a method, whatever selection it asks for."""
    curation = replace(
        config.curation,
        method=method,
        confidence=config.rater.confidence,
        anchors=anchors,
        rater_accuracy=None,
        bootstrap=0,
    )
    return Chain(
        replace(
            config,
            curation=curation,
            selection=replace(config.selection, curation=None, rater=None),
            until=Until.curate,
            tracking=TrackingConfig(mode=TrackingMode.none),
        )
    ).run(reporter)


def _source(config: RunConfig) -> PoolSource:
    return pool_of(config, open_store(config.paths.artifacts))


def _column(table: pd.DataFrame, name: str) -> Array:
    return table[name].to_numpy(dtype=np.float64).copy()


def _criteria(rater: RaterConfig) -> str | None:
    """What a language model, or each of a panel, was asked to judge."""
    asked = {
        prompt.criteria(one.prompt_version) if isinstance(one, LlmRaterConfig) else None
        for one in raters_of(rater)
    }
    return asked.pop() if len(asked) == 1 else None


def _once(reporter: Reporter) -> Reporter:
    """It is told of each artifact once, for several curations share the stages before them; and of
    curations without their warnings, which are of scores that nobody asked to be used.
    """
    told: set[str] = set()

    def stage(result: StageResult) -> None:
        if result.fingerprint in told:
            return
        told.add(result.fingerprint)
        quiet: Record = {**result.record, "warnings": []}
        reporter.stage(replace(result, record=quiet) if result.name == "curate" else result)

    return replace(reporter, stage=stage)
