"""The page of one run: which sections it has, and what each says."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from typing import Any

from ds2.artifacts.evaluation import Evaluation
from ds2.artifacts.run import RunResult
from ds2.artifacts.subset import overlaps, subset_size
from ds2.artifacts.training import read_metrics
from ds2.base.dataclass_json import to_plain
from ds2.base.words import NOTHING, percent
from ds2.config.stages import choices
from ds2.method.panel_result import PanelAccount
from ds2.report import facts, panel_facts
from ds2.report.anchors import anchored
from ds2.report.choices import in_words
from ds2.report.page.html import Chart, page, shown
from ds2.report.page.rated_share import rated_share
from ds2.report.page.samples import samples
from ds2.report.page.sifted import sifted
from ds2.report.page.subset import bars, length, price, selected
from ds2.report.people import people_say
from ds2.report.rating_facts import rating_facts

MOST_SAMPLES = 4000
MOST_SUBSETS = 20
"""Other subsets listed beside this one, the most alike."""

MEANINGS = {
    "agreement": "share of neighbour pairs with equal scores",
    "chance": "the same share when the scores are shuffled",
    "ratio": "agreement over chance; 1 = neighbours carry no information",
    "ratio_low": "lower end of its 95 % interval",
    "ratio_high": "upper end",
    "triple_agreement": "both nearest neighbours have the sample's score",
    "triple_chance": "the same with shuffled scores",
    "informative": "no where the interval reaches 1",
    "length_correlation": "Spearman correlation of score and text length",
    "diagonally_dominant": "every row of T is largest on its diagonal",
    "spread": "largest difference between near-equal fits of T",
    "largest_share": "of the most common score",
    "duplicate_embeddings": "samples with an exact copy",
    "num_flagged": "given scores judged wrong",
    "num_changed": "given scores replaced",
    "spearman": "Spearman correlation with the words of the answer",
    "left": "share of the order that length does not account for",
}
"""What a measure of curation's diagnostics means, in a few words."""


def render_run(run: RunResult) -> str:
    """See `ds2.report.render`."""
    import yaml

    charts: list[Chart] = []
    rows = samples([run], most=MOST_SAMPLES)
    context: dict[str, Any] = {
        "run": run,
        "choices": _choices(run),
        "warnings": facts.warnings(run) + _pretraining_cut_short(run),
        "lede": _lede(run),
        "verdict": facts.verdict(run),
        "sifted": sifted(run),
        "people": people_say([run.config]),
        "anchored": anchored(run),
        "tiles": _tiles(run),
        "scores": _scores(run, charts),
        "rating": rating_facts(run),
        "panel": _panel(run, charts),
        "rated_share": rated_share(run, charts),
        "transition": facts.transition(run),
        "transitions": facts.transitions(run),
        "diagnostics": _diagnostics(run),
        "selected": selected(run, charts),
        "length": length(run, charts),
        "price": price(run, charts),
        "others": overlaps(run.stages["select"].path)[:MOST_SUBSETS] if "select" in run.stages else [],
        "curves": _curves(run, charts),
        "evaluation": _evaluation(run, charts),
        "stages": stage_rows(run),
        "samples": rows,
        "config_yaml": yaml.safe_dump(to_plain(run.config), sort_keys=False, allow_unicode=True, width=100),
        "record": record_links(run),
    }
    data = {} if rows is None else {"samples": rows.data}
    return page("run.html", charts=charts, data=data, **context)


def record_links(run: RunResult) -> dict[str, str]:
    """Stage -> its record, relative to where the report stage keeps its page: a folder below
    `<root>/report/`.
    """
    return {
        name: f"../../{stage.path.parent.name}/{stage.path.name}/{stage.record_file.name}"
        for name, stage in run.stages.items()
    }


def stage_rows(run: RunResult) -> list[dict[str, Any]]:
    """One row a stage: status, times, memory, identity, counts."""
    walls = [float(stage.record.get("wall_seconds") or 0.0) for stage in run.stages.values()]
    longest = max(walls, default=0.0) or 1.0
    return [
        {
            "name": name,
            "status": stage.status.value,
            "wall": wall,
            "share": wall / longest,
            "memory": stage.record.get("peak_memory_bytes"),
            "fingerprint": stage.fingerprint,
            "path": os.fspath(stage.path),
            "counts": facts.flatten(stage.record.get("counts") or {}),
            "commit": str(stage.record.get("git_commit") or "")[:12],
        }
        for (name, stage), wall in zip(run.stages.items(), walls, strict=True)
    ]


def _choices(run: RunResult) -> dict[str, str]:
    """The choices that had a say: a random selection has no rater."""
    said = {name: value for name, value in choices(run.config).items() if value is not None}
    return in_words(said | ({"group": run.config.tracking.group} if run.config.tracking.group else {}))


def _lede(run: RunResult) -> str:
    parts = []
    scores, matrix, rater = facts.scores(run), facts.transition(run), run.config.rater.name
    if scores is not None:
        parts.append(f"{rater} scored {scores.total - scores.unrated:,} of {scores.total:,} samples")
        if matrix is not None and matrix.rater_error is not None:
            wrong = percent(matrix.rater_error, 0)
            parts[-1] += f", an estimated {wrong} of them wrongly if neighbours share quality"
        if scores.moved is not None and matrix is not None:
            parts.append(f"curation changed {scores.changed:,} scores")
    if "select" in run.stages:
        parts.append(f"{run.config.selection.name} took {_subset_size(run):,}")
    results = facts.evaluation(run)
    if results is not None and results.average is not None:
        tuned = ", tuned on them," if "finetune" in run.stages else ""
        parts.append(f"{run.config.model.name}{tuned} averages {_average(results)}")
    return "; ".join(parts) + ("." if parts else "")


def _tiles(run: RunResult) -> list[tuple[str, str, str]]:
    """(label, figure, note) of the figures a reader wants first."""
    tiles = []
    scores, matrix, results = facts.scores(run), facts.transition(run), facts.evaluation(run)
    if scores is not None:
        unrated = f"{scores.unrated:,} unrated" if scores.unrated else "all rated"
        tiles.append(("Samples in the pool", f"{scores.total:,}", unrated))
    if matrix is not None and matrix.rater_error is not None:
        tiles.append(
            (
                "Estimated rater error",
                percent(matrix.rater_error),
                "1 − Σ p·T on the diagonal, if neighbours share quality",
            )
        )
    if scores is not None and scores.moved is not None and matrix is not None:
        rated = max(scores.total - scores.unrated, 1)
        tiles.append(
            ("Scores changed", f"{scores.changed:,}", f"{percent(scores.changed / rated)} of the rated")
        )
    if "select" in run.stages:
        taken = _subset_size(run)
        note = f"{percent(taken / scores.total)} of the pool" if scores is not None else "samples"
        tiles.append(("Selected", f"{taken:,}", note))
    if results is not None and results.average is not None:
        tiles.append(("Evaluation average", _average(results), f"{len(results.results)} results"))
    computed = sum(stage.status.value == "computed" for stage in run.stages.values())
    tiles.append(("Stages computed", f"{computed} of {len(run.stages)}", "the others were reused"))
    return tiles


def _average(results: Evaluation) -> str:
    """As a percentage where it is a share, a loss in nats."""
    value = results.average
    if value is None or results.average_is_loss:
        return NOTHING if value is None else f"{value:.3f} nats a token"
    return percent(value) if 0 <= value <= 1 else shown(value)


def _subset_size(run: RunResult) -> int:
    return subset_size(run.stages["select"].path)


def _scores(run: RunResult, charts: list[Chart]) -> facts.Scores | None:
    scores = facts.scores(run)
    if scores is None:
        return None
    series = [{"name": "as rated", "y": scores.raw, "tone": "muted"}]
    if scores.curated is not None:
        series.append({"name": "curated", "y": scores.curated, "tone": "accent"})
    charts.append(bars("chart-scores", [str(k) for k in range(len(scores.raw))], series, "score", "samples"))
    return scores


def _panel(run: RunResult, charts: list[Chart]) -> PanelAccount | None:
    account = panel_facts.panel_account(run)
    if account is None:
        return None
    charts.append({
        "id": "chart-panel-loadings", "kind": "dots", "digits": 2, "plain": True,
        "points": [
            {"label": r.name, "value": r.loading, "error": (r.loading_high - r.loading_low) / 2}
            for r in account.raters
        ],
    })  # fmt: skip
    charts.append({
        "id": "chart-panel-growth", "kind": "growth", "x": [step.rater for step in account.order],
        "y": [step.reliability for step in account.order], "gain": [step.gain for step in account.order],
        "cost": [step.cost for step in account.order],
    })  # fmt: skip
    return account


def _diagnostics(run: RunResult) -> tuple[list[tuple[str, Any, str]], list[tuple[str, Any]]]:
    """Measures that have a meaning here as (measure, value, meaning), and the others as (measure, value)."""
    known, other = [], []
    for name, value in facts.diagnostics(run).items():
        last = name.split(".")[-1]
        label = re.sub(r"^raters\.|clusterability\.|num_", "", name).replace("_", " ").replace(".", " · ")
        if last in MEANINGS:
            known.append((label, value, MEANINGS[last]))
        else:
            other.append((label, value))
    return known, other


def _curves(run: RunResult, charts: list[Chart]) -> dict[str, dict[str, Any]]:
    shown: dict[str, dict[str, Any]] = {}
    for name, title in (("model", "Pre-training of the base model"), ("finetune", "Fine-tuning")):
        stage = run.stages.get(name)
        curve = facts.curve(stage)
        if stage is None or curve is None:
            continue
        shown[name] = {
            "title": title, "metrics": facts.flatten(read_metrics(stage.path)), "last": curve.step[-1],
            "loss": curve.loss[-1], "cap": _pretraining_plan(run) if name == "model" else "",
        }  # fmt: skip
        charts.append({
            "id": f"chart-curve-{name}", "kind": "line", "x": curve.step, "y": curve.loss,
            "rate": curve.learning_rate, "xTitle": "optimiser step", "yTitle": "loss",
        })  # fmt: skip
    return shown


def _pretraining_plan(run: RunResult) -> str:
    plan: Mapping[str, Any] = to_plain(run.config.model)
    seconds = (plan.get("runtime") or {}).get("max_seconds")
    parts = [f"planned: {plan['steps']:,} steps"] if isinstance(plan.get("steps"), int) else []
    return ", ".join(parts + ([f"wall-clock cap: {shown(seconds)} s"] if seconds else []))


def _pretraining_cut_short(run: RunResult) -> list[tuple[str, str]]:
    """A warning where the base model stopped before its planned steps and the stage did not say so itself."""
    stage, planned = run.stages.get("model"), getattr(run.config.model, "steps", None)
    curve = facts.curve(stage)
    if stage is None or curve is None or not isinstance(planned, int) or stage.record.get("warnings"):
        return []
    done = read_metrics(stage.path).get("steps")
    if not isinstance(done, int) or done >= planned:
        return []
    return [("model", f"pre-training stopped after {done:,} of {planned:,} steps (wall-clock cap)")]


def _evaluation(run: RunResult, charts: list[Chart]) -> dict[str, Any] | None:
    evaluation = facts.evaluation(run)
    if evaluation is None:
        return None
    shares = [
        result
        for result in evaluation.results
        if result.value is not None and 0 <= result.value <= 1 and not result.is_loss
    ]
    if shares:
        charts.append({
            "id": "chart-eval", "kind": "dots", "wrap": True,
            "points": [
                {"label": f"{share.task} · {share.metric}", "value": share.value, "error": share.stderr}
                for share in shares
            ],
        })  # fmt: skip
    return {**to_plain(evaluation), "charted": len(shares)}
