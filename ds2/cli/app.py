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
from ds2.config.run import RunConfig
from ds2.runs import jobs
from ds2.runs.chain import Chain
from ds2.runs.prepare import prepare


def hydra_main(arguments: Sequence[str], record: jobs.JobRecord) -> None:
    """Hydra's own command line: one run, or with `--multirun` every combination; its jobs go on record."""
    compose.admit(arguments)
    before = sys.argv
    # Hydra's parser wants all overrides in one row: beside the first one, or last.
    at = next((i for i, a in enumerate(arguments) if "=" in a and not a.startswith("-")), len(arguments))
    sys.argv = ["ds2", *arguments[:at], record.hydra_argument, *arguments[at:]]
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
    result = chain.run(console.reporter())
    console.result(result, brief=many)
    evaluation = result.stages.get("evaluate")
    if evaluation and evaluation.record["warnings"]:
        raise UserError(f"{evaluation.record['warnings'][0]}; delete {evaluation.path} to evaluate again")
