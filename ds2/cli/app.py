"""One run, or a multirun, by Hydra's own command line."""

from __future__ import annotations

import sys
from collections.abc import Sequence

import hydra
from hydra.core.hydra_config import HydraConfig
from hydra.types import RunMode
from omegaconf import DictConfig

from ds2.base.errors import UserError
from ds2.base.paths import project_root
from ds2.cli import console
from ds2.config import compose
from ds2.config.command_line import CommandLine
from ds2.config.run import RunConfig
from ds2.runs import jobs
from ds2.runs.chain import Chain
from ds2.runs.prepare import prepare


def run_command(command: CommandLine) -> int:
    """One run, or with `--multirun` every combination; the exit code."""
    compose.admit(command.overrides)
    if command.only_shows:
        _call_hydra(command.options, command.overrides)
        return 0
    with jobs.recorded(compose.artifacts_root(command.overrides)) as record:
        launch(command.overrides, record, options=command.options, many=command.many)
    return console.summary_of_jobs(record.read())


def launch(
    overrides: Sequence[str], record: jobs.JobRecord, *, options: Sequence[str] = (), many: bool = False
) -> None:
    """Run these by Hydra, or with `many` every combination by its launcher; the jobs go on record."""
    first = ["--multirun", *options] if many else options
    _call_hydra(first, [record.hydra_argument, *overrides])


def _call_hydra(options: Sequence[str], overrides: Sequence[str]) -> None:
    before = sys.argv
    sys.argv = ["ds2", *options, *overrides]
    try:
        _main()
    finally:
        sys.argv = before


@hydra.main(  # type: ignore[untyped-decorator]
    config_path=str(project_root() / "conf"), config_name="config", version_base="1.3"
)
def _main(cfg: DictConfig) -> None:
    hydra_config = HydraConfig.get()
    many = hydra_config.mode is RunMode.MULTIRUN
    with jobs.job(list(hydra_config.overrides.task), keep_going=many, say=console.error) as job:
        _run(compose.to_config(cfg), many, job)


def _run(config: RunConfig, many: bool, job: jobs.Handle) -> None:
    if config.prepare or config.plan:
        job.only_asks()
    if config.prepare:
        prepare(config, console.line)
        return
    chain = Chain(config)
    if config.plan:
        console.plan(chain)
        return
    job.identify(chain.fingerprint)
    console.heading(chain.name)
    result = chain.run(console.reporter(chain))
    console.result(result, brief=many)
    if chain.lost:
        left_out = "; ".join(f"{rater}: {reason}" for rater, reason in chain.lost.items())
        line = f"this is the panel without {left_out}; run the same command again to ask anew"
        if many:
            raise UserError(line)  # a table must not show the smaller panel as the one that was asked for
        console.warning(line)
    evaluation = result.stages.get("evaluate")
    if evaluation and evaluation.record["warnings"]:
        raise UserError(f"{evaluation.record['warnings'][0]}; delete {evaluation.path} to evaluate again")
