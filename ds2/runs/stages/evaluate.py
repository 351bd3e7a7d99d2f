"""Stage `evaluate`: benchmark scores of the fine-tuned model."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ds2.artifacts import adapter
from ds2.artifacts.evaluation import KEPT, Evaluation
from ds2.artifacts.step import Outcome, Step
from ds2.artifacts.versions import version
from ds2.base.errors import MissingInput
from ds2.config import MiniPoolConfig
from ds2.models.compute import UNKNOWN
from ds2.runs import launcher
from ds2.runs.context import Context, identity
from ds2.runs.stages.model import base_model


def step(run: Context) -> Step:
    """The step that evaluates the base model with the adapter, where the run has one."""
    config = run.config.eval
    base = base_model(run)
    # Generated questions avoid the prompts of the generated pool, so they depend on its seed.
    pool_seed = run.config.pool.seed if isinstance(run.config.pool, MiniPoolConfig) else 0
    values = {"eval": _identity(run), **base.identity, "pool_seed": pool_seed}

    def compute(folder: Path) -> Outcome:
        launcher.evaluate(
            base_model=base.locate(),
            revision=base.revision,
            adapter=adapter.weights(run.path("finetune")) if "finetune" in run.results else None,
            output_dir=folder,
            seed=0,
            config=config,
            pool_seed=pool_seed,
            runtime=run.config.runtime,
        )
        evaluation = Evaluation.read(folder)
        left_out = {f"rows of {task} left out": count for task, count in evaluation.left_out.items()}
        counts = {**evaluation.scores, "average": evaluation.average, **left_out}
        return Outcome(counts, _warnings(evaluation), UNKNOWN)

    slug = f"{run.config.model.name}-{run.config.selection.strategy}-{config.name}"
    inputs = run.inputs("model", "finetune")
    return Step("evaluate", version("evaluate"), slug, values, inputs, compute, scratch=(KEPT,))


def _warnings(evaluation: Evaluation) -> tuple[str, ...]:
    lines = [f"task {name} gave no result: {evaluation.errors[name]}" for name in evaluation.missing]
    takes = f"than the model takes ({evaluation.context_tokens} tokens with the answer)"
    for task, count in evaluation.cut_prompts.items():
        lines.append(
            f"{count} of {evaluation.result(task).n} prompts of {task} are longer {takes} and lost their "
            "beginning; eval.on_long_prompts=drop_shots leaves out examples instead"
        )
    for task, count in evaluation.shortened_prompts.items():
        lines.append(
            f"{count} of {evaluation.result(task).n} prompts of {task} are longer {takes} and were asked "
            "with fewer examples"
        )
    return tuple(lines)


def _identity(run: Context) -> dict[str, Any]:
    """Benchmark files and rows kept apart by content, and the judge models only where a task asks them."""
    config = run.config.eval
    dropped = ("data_dir", "truth_judge", "info_judge", "held_out", "held_out_tokens")
    values = identity(config, drop=dropped)
    if config.held_out:
        files = map(Path, config.held_out)
        missing = [f"eval.held_out: {file}: no such file" for file in files if not file.is_file()]
        if missing:
            raise MissingInput(*missing)
        values["held_out"] = {
            task: run.hashes.of(Path(file))
            for task, file in zip(config.held_out_tasks, config.held_out, strict=True)
        }
        values["held_out_tokens"] = config.held_out_tokens
    if config.data_dir is not None:
        if not Path(config.data_dir).is_dir():
            raise MissingInput(f"eval.data_dir={config.data_dir}: no such folder")
        values["data"] = run.hashes.of(Path(config.data_dir))
    if "paper_truthfulqa" in [*config.tasks, *config.companions]:
        values["judges"] = [run.named(judge, None)[0] for judge in (config.truth_judge, config.info_judge)]
    return values
