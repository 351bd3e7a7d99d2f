"""Stage `model`: a base model made on the spot, and where the base model of a run is."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ds2.artifacts import base_model as artifact
from ds2.artifacts.step import Outcome, Step
from ds2.artifacts.versions import version
from ds2.base.hashes import fingerprint
from ds2.config import HubModelConfig, MiniModelConfig, PackagedModelConfig, TinyModelConfig
from ds2.models import packaged
from ds2.models.compute import UNKNOWN
from ds2.models.quiet import quiet_transformers
from ds2.runs.context import Context, identity


def step(run: Context) -> Step | None:
    """The step that makes a base model; None for models that exist already."""
    config = run.config.model
    if isinstance(config, PackagedModelConfig):
        return _packaged(run, config)
    if not isinstance(config, MiniModelConfig | TinyModelConfig):
        return None

    def compute(folder: Path) -> Outcome:
        if isinstance(config, TinyModelConfig):
            from ds2.models import tiny

            metrics = tiny.build(artifact.weights(folder), seed=config.seed)
            artifact.write(folder, metrics)
            return Outcome(metrics, compute=UNKNOWN)
        from ds2.mini import pretrain

        with quiet_transformers():
            metrics = pretrain.build(
                artifact.weights(folder), seed=config.seed, steps=config.steps,
                max_seconds=config.runtime.max_seconds, threads=config.runtime.threads, progress=run.progress,
            )  # fmt: skip
        curve = metrics.pop("curve")
        artifact.write(folder, metrics, curve)
        return Outcome(metrics, _warnings(metrics), UNKNOWN)

    return Step("model", version("model"), config.name, identity(config), {}, compute)


def _packaged(run: Context, config: PackagedModelConfig) -> Step:
    """The step that converts what a package carries: it is known by the file's content."""
    file = packaged.weights_file(config.package, config.file)

    def compute(folder: Path) -> Outcome:
        metrics = packaged.build(
            artifact.weights(folder), package=config.package, file=config.file, progress=run.progress
        )
        artifact.write(folder, metrics)
        return Outcome(metrics, compute=UNKNOWN)

    values = {"kind": type(config).__name__, "content": run.hashes.of(file)}
    return Step("model", version("model"), config.name, values, {}, compute)


def _warnings(metrics: Mapping[str, Any]) -> tuple[str, ...]:
    if not metrics.get("reached_cap"):
        return ()
    return (
        f"pre-training reached its wall-clock cap after {metrics['steps']} steps; on a slow machine raise "
        "model.runtime.max_seconds",
    )


@dataclass(frozen=True)
class BaseModel:
    """Where the base model is, once its step (if any) is finished."""

    identity: Mapping[str, Any]
    fingerprint: str
    """What tells it from others, wherever it lies."""
    locate: Callable[[], str]
    revision: str | None
    made: str | None = None
    """Short name of a model that the run makes; None: it was there before."""


def base_model(run: Context) -> BaseModel:
    """The base model of fine-tuning and evaluation."""
    config = run.config.model
    if isinstance(config, HubModelConfig):
        model, commit = run.named(config.path, config.revision)
        return BaseModel({"model": model}, fingerprint(model), lambda: config.path, commit)
    made = run.inputs("model")
    return BaseModel(
        {}, fingerprint(made), lambda: str(artifact.weights(run.path("model"))), None, config.name
    )
