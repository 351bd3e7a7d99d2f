"""Stage `measure`: what a language model says of each sample; interrupted, it keeps its finished parts."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np

from ds2.artifacts.step import Outcome, Step
from ds2.artifacts.values import SCRATCH, workspace, write_values
from ds2.artifacts.versions import version
from ds2.base.threads import torch_threads
from ds2.config.measured_selection import MeasuredSelectionConfig
from ds2.runs.context import Context
from ds2.runs.stages.model import base_model
from ds2.selection import measure


def step(run: Context) -> Step:
    """The step that writes one value, or one a target, for each sample."""
    config = run.config.selection
    assert isinstance(config, MeasuredSelectionConfig)
    values = config.measure_identity()
    values |= run.contents(config, tuple(name for name in values if name == "target"))
    if config.scorer is None:
        base = base_model(run)
        values, locate, revision = values | dict(base.identity), base.locate, base.revision
    else:
        scorer, (named, revision) = config.scorer, run.named(config.scorer, config.scorer_revision)
        values, locate = values | {"model": named}, lambda: scorer

    def compute(folder: Path) -> Outcome:
        pool = run.pool.load()
        place = replace(workspace(folder), engine=run.engine)
        with torch_threads(config.runtime.threads):
            measured = measure(
                config,
                pool,
                model=locate(),
                revision=revision,
                workspace=place,
                progress=run.progress,
            )
        write_values(folder, measured)
        missing = int((~np.isfinite(measured).reshape(len(pool), -1).all(axis=1)).sum())
        warnings = (f"{missing} samples have no answer to measure; they cannot be chosen",) if missing else ()
        compute = place.meter.total(config.runtime.device)
        return Outcome({"samples": len(pool), "unmeasured": missing}, warnings, compute)

    slug = f"{run.pool.name}-{config.strategy}"
    inputs = run.inputs(*(["model"] if config.scorer is None else []), pool=True)
    return Step(
        "measure", version("measure"), slug, values, inputs, compute, scratch=SCRATCH, package=config.package
    )
