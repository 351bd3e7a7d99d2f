"""Trackers: the windows on a run (Weights & Biases, MLflow, trackio). Tables and reports read the artifacts
on disk, never these.

One tracked run a job: its id is the fingerprint of the run's last stage, its group the sweep. What panels and
filters read, with the same names at each service:

    config     rater, selection, curation, curation_k, curation_confidence, budget, base_model, seed, ...,
               what a sweep varies, and `cell`, all of these but the seed; `run`: all of it
    metrics    STAGE/wall_seconds, STAGE/peak_memory_gib and each number counted; STAGE/compute_tokens,
               STAGE/compute_flops, STAGE/compute_usd, what its models did; rate/answers_per_second;
               cost/seconds, all stages as if none had been cached; cost/flops = cost/selection_flops +
               cost/training_flops, where they are known; cost/usd, the raters' answers;
               eval/TASK, eval/TASK_stderr, eval/average, tasks named as in the tables; finetune/loss and
               finetune/learning_rate by finetune/step
    summary    verdict, warnings, length/given_spearman, length/order_spearman, length/order_left, ...;
               people/accuracy, people/selected_mean, ... where people scored samples
    media      curate/transition, curate/scores, select/sources, select/length, and most as a table;
               rate/outcomes by source; of a panel curate/panel, its raters and their order as tables, and
               curate/panel.* as numbers
    artifacts  a stage each, named by what it is (subset, adapter, results), with its inputs: the lineage

Offline by default, so nothing needs an account. A tracker that fails says so once and stops: it never costs a
computed run.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict
from typing import Any

from ds2.artifacts.evaluation import Evaluation
from ds2.artifacts.run import RunResult
from ds2.artifacts.step import StageResult
from ds2.config import LlmRaterConfig, RunConfig
from ds2.config.rating import raters_of
from ds2.method.agreement import COLLAPSED
from ds2.report import facts, panel_facts
from ds2.report.anchors import anchored
from ds2.report.choices import NONE
from ds2.report.costs import costs, spent
from ds2.report.rating_facts import rating_facts
from ds2.report.trackers.services import abandon, open_window, surroundings
from ds2.report.trackers.settings import settings_of
from ds2.report.trackers.window import Identity, Window


class Tracker:
    """One run at the service that `tracking=` names, from `start` to `finish`.

    `say` is told, once, if tracking fails: a service can fail in as many ways as a network can, and none of
    them is worth a lost run.
    """

    def __init__(self, config: RunConfig, say: Callable[[str], None]) -> None:
        self._config = config
        self._say = say
        self._window: Window | None = None

    @classmethod
    def start(
        cls, config: RunConfig, *, name: str, run_id: str, say: Callable[[str], None] = lambda line: None
    ) -> Tracker:
        """Open the run at the configured service."""
        tracker = cls(config, say)
        tracker._guarded(lambda: tracker._open(name, run_id))
        return tracker

    def log_stage(self, result: StageResult) -> None:
        """Counts and times of one finished stage, as soon as it is there."""
        self._attempt(self._log_stage, result)

    def finish(self, result: RunResult | None) -> bool:
        """Figures, tables, summary and lineage of the finished run, and close it; None: the run failed.

        Returns whether all of it was tracked.
        """
        if result is not None:
            self._attempt(self._log_run, result)
        self._attempt(lambda window: window.close(finished=result is not None))
        return self._window is not None and result is not None

    def _attempt(self, act: Callable[..., None], *arguments: Any) -> None:
        """Do something with the window, where it is open."""
        if self._window is not None:
            self._guarded(lambda: act(self._window, *arguments))

    def _guarded(self, act: Callable[[], None]) -> None:
        try:
            with surroundings(self._config):
                act()
        except Exception as error:  # noqa: BLE001 - said, and the run goes on untracked
            line = next(filter(str.strip, str(error).splitlines()), "no reason given").strip()
            self._say(f"tracking stopped: {type(error).__name__}: {line}")
            self._window = None
            abandon(self._config, error)

    def _open(self, name: str, run_id: str) -> None:
        settings = settings_of(self._config)
        tags = tuple(settings[choice] for choice in ("selection", "rater") if settings[choice] != NONE)
        tags = (*tags, *self._config.tracking.tags)
        group = self._config.tracking.group or name.rpartition("-s")[0] or name
        self._window = open_window(self._config, Identity(name, run_id, group, tags, settings))

    def _log_stage(self, window: Window, stage: StageResult) -> None:
        record = stage.record
        values = {f"{stage.name}/{k}": v for k, v in facts.flatten(record["counts"]).items() if _is_number(v)}
        values[f"{stage.name}/wall_seconds"] = record["wall_seconds"]
        if record["peak_memory_bytes"] is not None:
            values[f"{stage.name}/peak_memory_gib"] = record["peak_memory_bytes"] / 2**30
        asked = _asked(record["counts"])
        if asked is not None and record["wall_seconds"] > 0:
            values[f"{stage.name}/answers_per_second"] = asked / record["wall_seconds"]
        window.metrics(values)
        if record["stage"] == "rate" and record["counts"].get("largest_share", 0) > COLLAPSED:
            window.alert("The rater has collapsed", "\n".join(record["warnings"]))
        window.summary(
            {f"{stage.name}/status": stage.status.value, f"{stage.name}/fingerprint": stage.fingerprint}
        )

    def _log_run(self, window: Window, run: RunResult) -> None:
        for stage in ("model", "finetune"):
            curve = facts.curve(run.stages.get(stage))
            if curve is not None:
                rate = {} if curve.learning_rate is None else {"learning_rate": curve.learning_rate}
                window.curve(stage, curve.step, {"loss": curve.loss, **rate})
        for name, figure in _figures(run):
            window.figure(name, figure)
        for name, header, rows in _tables(run):
            window.table(name, header, rows)
        results = facts.evaluation(run)
        if results is not None:
            window.metrics(_scores(results))
        window.metrics(_compute(run) | _costs(run))
        account = panel_facts.panel_account(run)
        if account is not None:
            window.metrics({f"curate/panel.{k}": v for k, v in panel_facts.measures(account).items()})
        asked = anchored(run)
        window.summary(
            {"verdict": facts.verdict(run)}
            | facts.length_numbers(run)
            | ({} if asked is None else {f"people/{k}": value for k, value in asked.numbers.items()})
            | {"warnings": [f"{stage}: {text}" for stage, text in facts.warnings(run)]}
        )
        window.lineage(run)


def _figures(run: RunResult) -> Iterator[tuple[str, Any]]:
    from ds2.report import figures as plots

    rater = run.config.rater.name
    matrix, scores, origin = facts.transition(run), facts.scores(run), facts.sources(run)
    if matrix is not None:
        yield "curate/transition", plots.transition_heatmap(matrix.matrix, matrix.prior, title=rater)
    if scores is not None:
        yield "curate/scores", plots.score_distribution(scores.raw, scores.curated, title=rater)
    account = panel_facts.panel_account(run)
    if account is not None:
        yield "curate/panel", plots.panel_worth(account, title=rater)
    if origin is not None:
        yield (
            "select/sources",
            plots.category_shares(origin.labels, origin.pool, origin.subset, title="sources"),
        )
    by_length = facts.length_shares(run)
    if by_length is not None:
        title = "words of the answer, by tenths of the pool"
        shown = plots.category_shares(by_length.labels, by_length.pool, by_length.subset, title=title)
        yield "select/length", shown


def _tables(run: RunResult) -> Iterator[tuple[str, list[str], list[list[Any]]]]:
    """(name, header, rows) of each table worth comparing between runs."""
    matrix, scores, origin = facts.transition(run), facts.scores(run), facts.sources(run)
    if matrix is not None:
        header = ["true", *(f"rated_{j}" for j in range(len(matrix.matrix)))]
        yield "curate/transition_table", header, [[i, *row] for i, row in enumerate(matrix.matrix)]
    asked = anchored(run)
    if asked is not None:
        yield "people/transition_table", ["human", "rated", "share", "low", "high"], asked.transition_cells
    if scores is not None:
        after: Sequence[int | None] = scores.curated or [None] * len(scores.raw)
        rows = [
            [level, raw, curated] for level, (raw, curated) in enumerate(zip(scores.raw, after, strict=True))
        ]
        yield "curate/scores_table", ["score", "rated", "curated"], rows
    if origin is not None:
        pool: Sequence[int | None] = origin.pool or [None] * len(origin.labels)
        yield (
            "select/sources_table",
            ["source", "pool", "subset"],
            [list(r) for r in zip(origin.labels, pool, origin.subset, strict=True)],
        )
    account = panel_facts.panel_account(run)
    if account is not None:
        yield "curate/panel_raters", list(panel_facts.RATER_COLUMNS), panel_facts.rater_rows(account)
        steps = [asdict(step) for step in account.order]
        yield "curate/panel_order", list(steps[0]), [list(step.values()) for step in steps]
    ratings = rating_facts(run)
    if ratings is not None:
        yield "rate/outcomes", ratings.header, [*ratings.rows, ratings.total]
    results = facts.evaluation(run)
    if results is not None:
        header = ["task", "metric", "value", "stderr", "n", "num_fewshot"]
        yield (
            "eval/results",
            header,
            [[getattr(result, name) for name in header] for result in results.results],
        )


def _compute(run: RunResult) -> dict[str, float]:
    """What each stage's models did: STAGE/compute_tokens, compute_flops and compute_usd, where known."""
    told = {
        f"{stage}/compute_{name}": value
        for stage, cost in costs(run).items()
        for name, value in (("tokens", cost.tokens), ("flops", cost.flops), ("usd", cost.dollars))
    }
    return {name: float(value) for name, value in told.items() if value is not None}


def _costs(run: RunResult) -> dict[str, float]:
    """cost/seconds of every stage; cost/flops of selecting and training, and of each, absent where a part is
    not known; cost/usd of the answers of language-model raters, absent where a price or some of the tokens
    are not known.
    """
    values = {"cost/seconds": float(sum(stage.record["wall_seconds"] for stage in run.stages.values()))}
    paid = spent(run)
    operations = {
        "cost/selection_flops": paid.selection_flops, "cost/training_flops": paid.flops,
        "cost/flops": paid.all_flops,
    }  # fmt: skip
    values |= {name: value for name, value in operations.items() if value is not None}
    prices = panel_facts.rating_costs(run)
    asked = {r.name for r in raters_of(run.config.rater) if isinstance(r, LlmRaterConfig)}
    dollars = [price for name, price in prices.items() if name in asked]
    known = [d for d in dollars if d is not None]
    return values if len(known) < len(dollars) else values | {"cost/usd": float(sum(known))}


def _scores(evaluation: Evaluation) -> dict[str, float]:
    """eval/TASK, its standard error over questions where there is one, and the average."""
    from ds2.report.table_rows import task_names

    names = task_names(list(evaluation.scores))
    values: dict[str, float | None] = {"eval/average": evaluation.average}
    for task, value in evaluation.scores.items():
        values[f"eval/{names[task]}"] = value
        values[f"eval/{names[task]}_stderr"] = evaluation.result(task).stderr
    return {name: value for name, value in values.items() if value is not None}


def _asked(counts: Mapping[str, Any]) -> int | None:
    """Answers of a rating that were asked for and not found in the log; None of what asks nobody."""
    answers, replayed = counts.get("answers"), counts.get("replayed")
    return answers - replayed if isinstance(answers, int) and isinstance(replayed, int) else None


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
