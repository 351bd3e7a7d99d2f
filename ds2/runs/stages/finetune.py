"""Stage `finetune`: a LoRA adapter of the base model on the subset."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ds2.artifacts import adapter, subset
from ds2.artifacts.step import Outcome, Step
from ds2.artifacts.versions import version
from ds2.config.training import TOKEN_FIELDS, FinetuneConfig
from ds2.runs import launcher
from ds2.runs.context import Context, identity
from ds2.runs.stages.model import base_model


def cut_samples(metrics: Mapping[str, Any], config: FinetuneConfig) -> tuple[str, ...]:
    """What a fine-tuning did not see of its samples, a line each."""
    dropped, cleaned = metrics["dropped_without_assistant"], metrics.get("dropped_by_cleaning", 0)
    given, max_tokens = metrics["samples"] + dropped + cleaned, config.max_tokens
    lines = []
    if metrics["truncated"]:
        lines.append(
            f"{metrics['truncated']:,} of {given:,} samples are longer than finetune.max_tokens={max_tokens} "
            "and were cut there"
        )
    if dropped:
        lines.append(
            f"{dropped:,} of {given:,} samples have no word of the assistant within "
            f"finetune.max_tokens={max_tokens} and were left out"
        )
    if cleaned:
        lines.append(
            f"{cleaned:,} of {given:,} samples keep no token under finetune.token_share="
            f"{config.token_share:g} and were left out; samples that are trained on: {metrics['samples']:,}, "
            f"passes over them: {metrics['epochs']:.3g}"
        )
    return tuple(lines)


def step(run: Context) -> Step:
    """The step that trains the adapter; interrupted, it goes on from its last checkpoint."""
    config = run.config.finetune
    base = base_model(run)

    def compute(folder: Path) -> Outcome:
        launcher.finetune(
            base_model=base.locate(),
            base_name=base.made,
            base_fingerprint=base.fingerprint,
            revision=base.revision,
            train_file=subset.conversations(run.path("select")),
            output_dir=folder,
            seed=run.config.seed,
            config=config,
            runtime=run.config.runtime,
            token_scores=run.path("tokens") if config.cleans_tokens else None,
        )
        metrics = adapter.read_metrics(folder)
        return Outcome(metrics, cut_samples(metrics, config), adapter.compute_of(metrics))

    values = {"finetune": identity(config, drop=TOKEN_FIELDS), "seed": run.config.seed, **base.identity}
    if config.template == "model":  # which was not told of them before
        values["tools"] = True
    if config.cleans_tokens:  # which tokens were measured to be worth what is the identity of `tokens`
        values["token_share"] = config.token_share
    slug = f"{run.config.model.name}-{run.config.selection.strategy}-s{run.config.seed}"
    return Step(
        "finetune",
        version("finetune"),
        slug,
        values,
        run.inputs("model", "select", "tokens"),
        compute,
        scratch=(adapter.CHECKPOINTS,),
    )
