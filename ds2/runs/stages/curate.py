"""Stage `curate`: how the rater errs, and the scores corrected for it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ds2.artifacts.curation import write_curation
from ds2.artifacts.embeddings import read_embeddings
from ds2.artifacts.graph import read_graph
from ds2.artifacts.ratings import read_rater_scores, read_scores
from ds2.artifacts.step import Outcome, Step
from ds2.artifacts.versions import version
from ds2.base.errors import MissingInput
from ds2.base.paths import shown
from ds2.config import CurationMethod, LlmRaterConfig, RaterConfig
from ds2.method.curation.api import curate
from ds2.method.curation.verdict import WORSE, warning_of
from ds2.method.length import lengths_of
from ds2.method.panel import by_rater
from ds2.pool.anchors_file import AnchorFile, answer_scale, read_anchors
from ds2.runs.context import Context, identity

PANEL = 1
"""Raised where fusing several columns starts to give another result; one rater's stays."""


def step(run: Context) -> Step:
    """The step that writes the curation."""
    config, scale = run.config.curation, run.config.scale

    def compute(folder: Path) -> Outcome:
        pool, scores = run.pool.load(), read_scores(run.path("rate"))
        answers = pool.answers()
        people = anchors_of(run)
        given, raters = _given(run.path("rate"), config.method)
        result = curate(
            np.asarray(read_embeddings(run.path("embed"))),
            given,
            raters=raters,
            graph=read_graph(run.path("knn")),
            num_scores=scale.num_scores,
            texts=answers if config.method is CurationMethod.refine else pool.contents(),
            lengths=lengths_of(answers)[0],
            method=config.method,
            k=config.k,
            confidence=config.confidence,
            duplicate_pool=config.duplicate_pool,
            hoc_solver=config.hoc_solver,
            bootstrap=config.bootstrap,
            on_uninformative=config.on_uninformative,
            length=config.length,
            anchors=None if people is None else people.anchors,
            anchor_weight=None if people is None else people.weight,
            rater_accuracy=config.rater_accuracy,
            seed=config.seed,
        )
        write_curation(folder, pool, scores, result, scale.num_scores)
        changed = int((result.curated != scores).sum())
        counts: dict[str, float] = {
            "samples": len(pool),
            "flagged": int(result.flagged.sum()),
            "changed": changed,
        }
        if result.diagnostics.panel is not None:
            panel = result.diagnostics.panel
            counts |= {"independent_raters": panel.independent_raters, "reliability": panel.reliability}
        warnings = (*result.diagnostics.warnings, *_unscored(result.curated, config.method))
        if people is not None:
            counts |= {"anchors": len(people.rows)}
            warnings = (*_of_anchors(people), *warnings)
        elif config.method in WORSE and len(result.diagnostics.raters) == 1:
            warnings = (warning_of(config.method), *warnings)
        return Outcome(counts, warnings)

    values = identity(config, drop=config.without_say) | {"num_scores": scale.num_scores}
    if config.anchors is not None:
        values["anchors"] = run.hashes.of(anchors_path(config.anchors))
    if config.method is CurationMethod.refine and _gives_columns(run.config.rater):
        values |= {"panel": PANEL}
    slug = f"{run.pool.name}-{run.config.rater.name}-{config.method.value}"
    return Step(
        "curate", version("curate"), slug, values, run.inputs("rate", "embed", "knn", pool=True), compute
    )


def anchors_path(given: str) -> Path:
    """Where the anchors are. Raises MissingInput."""
    path = Path(given)
    if not path.is_file():
        raise MissingInput(f"curation.anchors={shown(path)}: no such file; `ds2 anchors draw` makes one")
    return path


def anchors_of(run: Context) -> AnchorFile | None:
    """People's scores, checked against the pool; None without `curation.anchors`. Raises UserError."""
    config = run.config
    if config.curation.anchors is None:
        return None
    path, scale = anchors_path(config.curation.anchors), answer_scale(config.rater, config.scale)
    return read_anchors(path, run.pool.load().ids, run.pool.fingerprint, scale)


def _of_anchors(people: AnchorFile) -> tuple[str, ...]:
    """What a file of anchors lacks."""
    said = []
    if people.unanswered:
        lines = people.unanswered + len(people.rows)
        said.append(f"{people.unanswered} of {lines} anchors have no score yet; the others stand for them")
    if not people.drawn:
        said.append("the anchors have no weights (`ds2 anchors draw`): they count as a plain random draw")
    return tuple(said)


def _gives_columns(rater: RaterConfig) -> bool:
    """Whether there are several columns of scores to fuse: of several raters, or repeats of one."""
    return rater.several or (isinstance(rater, LlmRaterConfig) and rater.repeats > 1)


def _given(folder: Path, method: CurationMethod) -> tuple[NDArray[Any], list[str] | None]:
    """Scores as the method takes them, and for `refine` whose each column is. Methods that know no repeats
    get their mean.
    """
    columns = read_rater_scores(folder)
    if columns is None or (columns.repeats and method is not CurationMethod.refine):
        return read_scores(folder), None
    if method is CurationMethod.refine:
        return columns.scores, list(columns.raters)
    _, values = by_rater(columns.scores.astype(np.int64), columns.raters)
    return np.rint(values).astype(np.int64), None


def _unscored(curated: NDArray[np.int64], method: CurationMethod) -> tuple[str, ...]:
    count = int((curated < 0).sum())
    if count == 0:
        return ()
    return (
        f"{count:,} of {len(curated):,} samples have no score, and curation={method.value} gives them none: "
        "no selection by score can choose them; curation=refine orders them by a student of the rater",
    )
