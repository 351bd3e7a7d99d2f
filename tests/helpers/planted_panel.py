"""A panel of four raters of which one is noise, fused, and a finished run that had it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
from helpers.synthetic_run import make_run

from ds2.artifacts.curation import RaterErrors
from ds2.artifacts.run import RunResult
from ds2.config import ChatBackend, ColumnRaterConfig, LlmRaterConfig, PanelRaterConfig
from ds2.method.panel import fit_panel
from ds2.method.panel_result import PanelAccount

RATERS = ("good", "fair", "twin", "noise")


def planted_account() -> PanelAccount:
    """`noise` could be left out."""
    rng = np.random.default_rng(0)
    quality, loadings = rng.normal(size=2000), np.array([0.9, 0.7, 0.7, 0.0])
    error = rng.normal(size=(2000, 4))
    error[:, 2] = 0.6 * error[:, 1] + 0.8 * error[:, 2]
    seen = loadings * quality[:, None] + np.sqrt(1 - loadings**2) * error
    scores = np.clip(np.round(1.2 * seen + 2.5), 0, 5).astype(np.int64)
    return fit_panel(scores, names=RATERS).account


def make_panel_run(root: Path) -> RunResult:
    """A run whose raters `good` and `noise` were asked at a server, for $1.40 each (100 a million tokens)."""
    run = make_run(root)
    errors = RaterErrors.read(run.stages["curate"].path)
    diagnostics = replace(errors.diagnostics, panel=planted_account())
    replace(errors, diagnostics=diagnostics).write(run.stages["curate"].path)
    members = [
        LlmRaterConfig(name=name, backend=ChatBackend.openai, model="m")
        if name in ("good", "noise")
        else ColumnRaterConfig(name=name, column=name)
        for name in RATERS
    ]
    for member in members:
        if isinstance(member, LlmRaterConfig):
            member.runtime.price.input = member.runtime.price.output = 100.0
    counts = {"prompt_tokens": 10_000, "completion_tokens": 4_000, "cached_tokens": 0}
    stages = dict(run.stages)
    for name in RATERS:
        rated = run.stages["rate"]
        record = {**rated.record, "counts": counts}
        stages[f"rate.{name}"] = replace(rated, name=f"rate.{name}", record=record)
    panel = PanelRaterConfig(name="four", raters=list(RATERS), members=members, prices={"fair": 0.25})
    return replace(run, config=replace(run.config, rater=panel), stages=stages)
