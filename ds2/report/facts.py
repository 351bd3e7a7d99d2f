"""What a finished run says, read from its artifacts: the numbers behind report, figures and tracker.

Every function takes a run and returns None (or nothing) where the stage it reads is absent, so that a run
stopped by `until=select` is described as far as it went. Nothing is computed twice: report, plots and
tracking read these facts.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ds2.artifacts.curation import RaterErrors, read_curation
from ds2.artifacts.evaluation import Evaluation
from ds2.artifacts.ratings import read_ratings
from ds2.artifacts.run import RunResult
from ds2.artifacts.step import StageResult
from ds2.artifacts.subset import read_report, read_subset
from ds2.artifacts.subset_report import SubsetReport
from ds2.artifacts.training import read_curve
from ds2.base.notebook import heatmap
from ds2.report.anchors import anchored
from ds2.report.matching import not_matched
from ds2.report.panel_facts import panel_verdict_of

_SAID_ELSEWHERE = ("warnings", "anchors", "panel")
"""Parts of a curation's diagnostics that have a place of their own."""
MUCH_CUT = 0.05
"""Share of a fine-tuning's samples above which the verdict says that they were cut."""
NO_SOURCE = "(no source)"
"""Shown for samples whose pool names none."""


@dataclass(frozen=True)
class Scores:
    """Score distributions over the rated pool, before and after curation."""

    raw: list[int]
    """Samples given score 0..K-1 by the rater."""
    curated: list[int] | None
    """Samples at each level after curation; None without it."""
    moved: list[list[int]] | None
    """moved[i][j]: samples rated i whose curated score is j."""
    unrated: int
    total: int

    @property
    def changed(self) -> int:
        """Rated samples whose curated score differs from the given one."""
        if self.moved is None:
            return 0
        return sum(n for i, row in enumerate(self.moved) for j, n in enumerate(row) if i != j)


@dataclass(frozen=True)
class Transition:
    """The estimated score transition matrix: matrix[i][j] = P(rated j | true i), prior[i] = P(true i)."""

    matrix: list[list[float]]
    prior: list[float] | None

    @property
    def rater_error(self) -> float | None:
        """P(rated differs from true) = 1 - sum_i p_i T_ii; None without a prior."""
        if self.prior is None:
            return None
        total = sum(self.prior)
        return (
            1.0
            - sum(p * row[i] for i, (p, row) in enumerate(zip(self.prior, self.matrix, strict=True))) / total
        )

    def _repr_html_(self) -> str:
        wrong = "" if self.rater_error is None else f"; estimated share rated wrong: {self.rater_error:.0%}"
        caption = f"P(rated | true){wrong}"
        return heatmap(self.matrix, row="true", column="rated", caption=caption)


@dataclass(frozen=True)
class Shares:
    """How a category is shared out in the pool and in the subset, as counts."""

    labels: list[str]
    pool: list[int] | None
    subset: list[int]


@dataclass(frozen=True)
class Curve:
    """A training curve: loss by optimiser step."""

    step: list[int]
    loss: list[float]
    learning_rate: list[float] | None


def scored(run: RunResult) -> StageResult | None:
    """The artifact with each sample's score: curation's, else the rater's; None where neither ran."""
    return run.stages.get("curate") or run.stages.get("rate")


def scored_table(stage: StageResult, *columns: str) -> pd.DataFrame:
    """The named columns of such an artifact, N rows in pool order."""
    return (read_curation if stage.name == "curate" else read_ratings)(stage.path, *columns)


def scores(run: RunResult) -> Scores | None:
    """Distributions before and after curation; before only, where no curation ran."""
    stage = scored(run)
    if stage is None:
        return None
    levels = run.config.scale.num_scores
    curated = moved = None
    table = scored_table(stage, "score", *(["curated"] if stage.name == "curate" else []))
    given = table["score"].to_numpy(dtype=np.int64)
    raw = np.bincount(given[given >= 0], minlength=levels)
    if stage.name == "curate":
        after = table["curated"].to_numpy(dtype=np.int64)
        curated = np.bincount(after[after >= 0], minlength=levels).tolist()
        both = (given >= 0) & (after >= 0)
        joint = np.bincount(given[both] * levels + after[both], minlength=levels * levels)
        moved = joint.reshape(levels, levels).tolist()
    return Scores(raw.tolist(), curated, moved, int((given < 0).sum()), len(given))


def transitions(run: RunResult) -> list[Transition]:
    """The estimated matrix of each rater; none where none was estimated (`curation=none`)."""
    return transitions_of(run.stages["curate"].path) if "curate" in run.stages else []


def transitions_of(folder: Path) -> list[Transition]:
    """The same, of the folder of a `curate` artifact."""
    errors = RaterErrors.read(folder)
    matrices = [errors.transition] if errors.transition is not None else errors.transitions
    prior = None if errors.prior is None else errors.prior.tolist()
    return [Transition(matrix.tolist(), prior) for matrix in ([] if matrices is None else matrices)]


def transition(run: RunResult) -> Transition | None:
    """The rater's matrix; None without one, and where there are several raters."""
    by_rater = transitions(run)
    return by_rater[0] if len(by_rater) == 1 else None


def diagnostics(run: RunResult) -> dict[str, Any]:
    """What curation measured about the neighbourhoods, nested names joined by dots, without its warnings."""
    if "curate" not in run.stages:
        return {}
    everything = RaterErrors.read(run.stages["curate"].path).diagnostics.to_dict()
    measured = flatten({name: value for name, value in everything.items() if name not in _SAID_ELSEWHERE})
    return {name: value for name, value in measured.items() if value is not None}


def verdict(run: RunResult) -> str | None:
    """What people say of the selection, what was done with the scores, what that cannot tell and what would,
    that a part of the budget was left, and that a fine-tuning saw a good part of its samples cut.
    None where nothing is to be said: nothing was curated (or before verdicts were given), the budget was
    filled and nothing much was cut.
    """
    said = [_of_curation(run), not_matched(run), _cut_while_training(run)]
    return " ".join(filter(None, said)) or None


def _of_curation(run: RunResult) -> str | None:
    if "curate" not in run.stages:
        return None
    said = panel_verdict_of(run) or RaterErrors.read(run.stages["curate"].path).diagnostics.verdict
    asked = anchored(run)
    return said if said is None or asked is None else " ".join(filter(None, [asked.sentence, said]))


def _cut_while_training(run: RunResult) -> str | None:
    """One sentence where more than `MUCH_CUT` of the samples were cut or left out."""
    stage = run.stages.get("finetune")
    if stage is None:
        return None
    counts = stage.record["counts"]
    dropped, cut = counts.get("dropped_without_assistant", 0), counts.get("truncated", 0)
    given = counts.get("samples", 0) + dropped + counts.get("dropped_by_cleaning", 0)
    if cut + dropped <= MUCH_CUT * given:
        return None
    return (
        f"The fine-tune did not see all of {cut + dropped:,} of its {given:,} samples "
        f"({(cut + dropped) / given:.0%}): finetune.max_tokens={run.config.finetune.max_tokens} cut {cut:,} "
        f"and left {dropped:,} without a word of the assistant; the results are those of "
        "the samples as cut."
    )


def subset_report(run: RunResult) -> SubsetReport | None:
    """What the subset is made of, what length and diversity have to do with it; None without a subset."""
    return read_report(run.stages["select"].path) if "select" in run.stages else None


def length_numbers(run: RunResult) -> dict[str, float]:
    """What scores, order and subset owe to length, by name; what is not known is left out."""
    report = subset_report(run)
    if report is None or report.length is None:
        return {}
    length, named = report.length, dict[str, float]()
    for name, owed in (("given", length.orders.given), ("order", length.orders.order)):
        if owed is not None:
            named |= {f"length/{name}_spearman": owed.spearman, f"length/{name}_left": owed.left}
    said = {"length/selection_spearman": length.selection, "length/kept": length.kept}
    return named | {name: value for name, value in said.items() if value is not None}


def length_shares(run: RunResult) -> Shares | None:
    """Tenths of the pool by the length of the answer, shortest first, in the pool and in the subset."""
    report = subset_report(run)
    if report is None or report.length is None:
        return None
    tenths = report.length.tenths
    labels = [f"to {tenth.longest:,.0f}" for tenth in tenths]
    return Shares(labels, [tenth.pool for tenth in tenths], [tenth.subset for tenth in tenths])


def sources(run: RunResult, *, most: int = 14) -> Shares | None:
    """Where the subset was taken from: samples of each source in the pool and in the subset.

    The `most - 1` largest sources by what the subset took from each, then the others as one.
    """
    if "select" not in run.stages:
        return None
    taken = _count(read_subset(run.stages["select"].path, "source")["source"])
    stage = scored(run)
    whole = None if stage is None else _count(scored_table(stage, "source")["source"])
    order = sorted(whole or taken, key=lambda name: (-(whole or taken)[name], name))
    head, tail = (order, []) if len(order) <= most else (order[: most - 1], order[most - 1 :])
    head = sorted(head, key=lambda name: -taken.get(name, 0))

    def folded(counts: dict[str, int]) -> list[int]:
        rest = [sum(counts.get(name, 0) for name in tail)] if tail else []
        return [counts.get(name, 0) for name in head] + rest

    labels = head + ([f"{len(tail)} other sources"] if tail else [])
    return Shares(labels, folded(whole) if whole is not None else None, folded(taken))


def score_shares(run: RunResult) -> Shares | None:
    """Curated score levels (given ones without curation) in the pool and in the subset."""
    if "select" not in run.stages:
        return None
    table = read_subset(run.stages["select"].path, "curated", "score")
    values = next((table[name] for name in ("curated", "score") if table[name].notna().any()), None)
    if values is None:
        return None
    levels = run.config.scale.num_scores
    taken = values.fillna(-1).to_numpy(dtype=np.int64)
    known = scores(run)
    pool = None if known is None else known.curated or known.raw
    counts = np.bincount(taken[taken >= 0], minlength=levels).tolist()
    return Shares([str(level) for level in range(levels)], pool, counts)


def long_tail(run: RunResult, *, bins: int = 40) -> tuple[list[float], list[int], list[int]] | None:
    """Histogram of the long-tail score: bin centres, pool counts, subset counts."""
    if "curate" not in run.stages or "select" not in run.stages:
        return None
    pool = _finite(read_curation(run.stages["curate"].path, "long_tail")["long_tail"])
    subset = _finite(read_subset(run.stages["select"].path, "long_tail")["long_tail"])
    if not len(pool) or not len(subset):
        return None
    edges = np.histogram_bin_edges(pool, bins=bins)
    centres = (edges[:-1] + edges[1:]) / 2
    return (
        centres.round(5).tolist(),
        np.histogram(pool, edges)[0].tolist(),
        np.histogram(subset, edges)[0].tolist(),
    )


def curve(stage: StageResult | None, *, most: int = 1500) -> Curve | None:
    """Loss by step of a stage that trains; every n-th point where there are more than `most`."""
    table = None if stage is None else read_curve(stage.path)
    if table is None or table.empty:
        return None
    shown = table.iloc[:: -(-len(table) // most)]
    rate = shown["learning_rate"].tolist() if "learning_rate" in shown else None
    return Curve(shown["step"].tolist(), shown["loss"].tolist(), rate)


def evaluation(run: RunResult) -> Evaluation | None:
    """The results of every task."""
    return Evaluation.read(run.stages["evaluate"].path) if "evaluate" in run.stages else None


def warnings(run: RunResult) -> list[tuple[str, str]]:
    """Every warning any stage recorded: (stage, text)."""
    return [
        (name, str(text)) for name, stage in run.stages.items() for text in stage.record.get("warnings") or []
    ]


def flatten(value: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Nested mappings as one, names joined by dots; lists stay whole, but a list of one mapping is it."""
    flat: dict[str, Any] = {}
    for key, item in value.items():
        name = f"{prefix}{key}"
        if isinstance(item, list) and item and all(isinstance(part, Mapping) for part in item):
            item = item[0] if len(item) == 1 else {str(i): part for i, part in enumerate(item)}
        flat.update(flatten(item, f"{name}.") if isinstance(item, Mapping) else {name: item})
    return flat


def _finite(values: pd.Series[Any]) -> NDArray[np.float64]:
    numbers = values.to_numpy(dtype=np.float64)
    finite: NDArray[np.float64] = numbers[np.isfinite(numbers)]
    return finite


def _count(sources: pd.Series[Any]) -> dict[str, int]:
    """Samples by source, in order of first appearance."""
    return dict(Counter(sources.fillna("").replace("", NO_SOURCE).tolist()))
