"""`ds2 doctor rater=...`: what the model of a rater can do, found by asking it."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from ds2.base.errors import UserError
from ds2.base.hub import resolve
from ds2.cli import console
from ds2.config import LlmRaterConfig
from ds2.config.compose import compose
from ds2.rating.probe import lines, probe


def examine_rater(overrides: Sequence[str]) -> int:
    """Ask the rater of these overrides twice, and print what came of it; 1 where no rating can be read.

    Raises:
        UserError: the rater asks no model, or its model cannot be asked.
    """
    config = compose(overrides)
    rater = config.rater
    if not isinstance(rater, LlmRaterConfig):
        raise UserError(f"ds2 doctor asks language models; rater={rater.name} is none")
    rater = replace(rater, backend=rater.backend.here)
    commit = None
    if not rater.backend.served and not Path(rater.model).expanduser().exists():
        commit = resolve(rater.model, rater.revision, kind="model", offline=config.runtime.offline)
    with tempfile.TemporaryDirectory() as folder:
        probes = probe(
            rater, config.scale, model={"served": rater.model}, revision=commit, folder=Path(folder),
            say=console.line,
        )  # fmt: skip
    for line in lines(rater, probes):
        console.line(line)
    wanted = next(one for one in probes if one.reading is rater.reading)
    other = next(one for one in probes if one.reading is not rater.reading)
    if wanted.why and not other.why:
        console.line(f"use rater.reading={other.reading.value}")
    return 1 if wanted.why else 0
