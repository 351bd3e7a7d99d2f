"""Stage `finetune`: a LoRA adapter of the base model on the subset."""

from __future__ import annotations

from pathlib import Path

from ds2.artifacts import adapter, subset
from ds2.artifacts.store import Outcome, Step
from ds2.runs import launcher
from ds2.runs.context import Context, identity
from ds2.runs.stages.model import base_model


def step(run: Context) -> Step:
    """The step that trains the adapter; interrupted, it goes on from its last checkpoint."""
    config = run.config.finetune
    base = base_model(run)

    def compute(folder: Path) -> Outcome:
        launcher.finetune(
            base_model=base.locate(),
            revision=base.revision,
            train_file=subset.conversations(run.path("select")),
            output_dir=folder,
            seed=run.config.seed,
            config=config,
            runtime=run.config.runtime,
        )
        return Outcome(adapter.read_metrics(folder))

    values = {"finetune": identity(config), "seed": run.config.seed, **base.identity}
    slug = f"{run.config.model.name}-{run.config.selection.strategy}-s{run.config.seed}"
    return Step("finetune", 1, slug, values, run.inputs("model", "select"), compute, resumable=True)
