"""One run, or a multirun, by Hydra's own command line."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext

import hydra
from hydra.core.hydra_config import HydraConfig
from hydra.errors import HydraException
from hydra.plugins.sweeper import Sweeper
from hydra.types import RunMode
from omegaconf import DictConfig
from omegaconf.errors import OmegaConfBaseException

from ds2.base.errors import UserError, first_line
from ds2.base.paths import project_root
from ds2.base.processes import asked_first, ended_as_asked
from ds2.base.words import number_of
from ds2.cli import console, ending
from ds2.config import compose
from ds2.config.command_line import CommandLine
from ds2.config.compose_cache import compose_all
from ds2.config.hydra_errors import launcher_mistake
from ds2.config.run import OnWarning, RunConfig
from ds2.config.sweep import combinations
from ds2.runs import jobs
from ds2.runs.chain import Chain
from ds2.runs.preflight import Preflight
from ds2.runs.prepare import prepare


def run_command(command: CommandLine) -> int:
    """One run, or with `--multirun` every combination; the exit code."""
    compose.admit(command.overrides)
    if command.only_shows:
        _call_hydra(command.options, command.overrides)
        return 0
    root = compose.artifacts_root(command.overrides)
    wanted = combinations(command.overrides) if command.many else [command.overrides]
    if command.many:
        configs = compose_all(wanted, memory=root)
        if all(config.plan for config in configs):
            return plan(configs)
        preflight(wanted, configs, fail_fast=command.fail_fast)
    with jobs.recorded(root) as record:
        launch(command.overrides, record, command, many=command.many)
    return ending.summary(record.read(), expected=len(wanted), many=command.many)


def plan(configs: Sequence[RunConfig]) -> int:
    """Print the plan of several runs; the exit code. Hydra's launcher would compose each anew."""
    check, refused = Preflight(), 0
    warnings, problems = Counter[str](), Counter[str]()
    for config in configs:
        chain, found = check.look(config)
        if chain is not None:
            console.plan(chain)
        warnings.update(dict.fromkeys(found.warnings, 1))
        problems.update(dict.fromkeys(found.problems, 1))
        refused += bool(found.problems)
    for line in _said_once(warnings, len(configs)):
        console.warning(line)
    for line in _said_once(problems, len(configs)):
        console.error(line)
    console.line(
        f"{number_of(len(configs), 'run')} planned"
        + (f", {refused} cannot run as they are" if refused else "")
    )
    return 1 if refused else 0


def preflight(
    runs: Sequence[Sequence[str]], configs: Sequence[RunConfig], *, fail_fast: bool = False
) -> None:
    """Say what can be known of several runs before any starts; the others start all the same.

    Raises:
        UserError: none can start, or with `fail_fast`, not all can.
    """
    if not configs or any(config.plan or config.prepare for config in configs):
        return
    check, lines = Preflight(), Counter[str]()
    refused = 0
    for config in configs:
        _, found = check.look(config)
        refused += bool(found.problems)
        lines.update(dict.fromkeys(found.problems, 1))
    said = _said_once(lines, len(runs))
    if refused and (fail_fast or refused == len(runs)):
        raise UserError(*said)
    for line in said:
        console.error(line)


def _said_once(lines: Mapping[str, int], runs: int) -> list[str]:
    """Each different line of several runs, with the number of those that it stands for."""
    return [line if count == runs else f"{count} of {runs} runs: {line}" for line, count in lines.items()]


def launch(
    overrides: Sequence[str], record: jobs.JobRecord, command: CommandLine, *, many: bool = True
) -> None:
    """Run these by Hydra, or with `many` every combination by its launcher; the jobs go on record."""
    options = ["--multirun", *command.options] if many else command.options
    told = record.hydra_arguments(fail_fast=command.fail_fast and many)
    try:
        if many:
            compose.admit_launcher(overrides)
        composed = _composed_before() if many else nullcontext()
        with asked_first(record.ask_workers), composed, ended_as_asked():
            _call_hydra(options, [*told, *overrides])
    except (UserError, HydraException, OmegaConfBaseException):
        raise
    except Exception as error:
        # Jobs end in their records; this is a launcher whose worker died, in whatever words it has for it.
        if not many:
            raise
        mistake = launcher_mistake(str(error))
        if mistake is not None:
            raise UserError(mistake) from error
        console.error(f"the launcher stopped: {type(error).__name__}: {first_line(error)}")


@contextmanager
def _composed_before() -> Iterator[None]:
    """Without the sweeper composing every run before it launches the first, .2 s for each: the look at
    them has just done so.
    """
    check = Sweeper.validate_batch_is_legal
    Sweeper.validate_batch_is_legal = lambda self, batch: None
    try:
        yield
    finally:
        Sweeper.validate_batch_is_legal = check


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
    given = list(hydra_config.overrides.task)
    compose.refuse_secrets(cfg)  # before the job has a record
    with jobs.job(given, keep_going=many, say=console.error) as job:
        job.go_on()
        _run(compose.to_config(cfg), given, many, job)


def _run(config: RunConfig, given: Sequence[str], many: bool, job: jobs.Handle) -> None:
    if config.prepare or config.plan:
        job.only_asks()
    if config.prepare:
        prepare(config, console.line)
        return
    chain, found = Preflight().look(config)
    if config.plan and chain is not None:
        console.plan(chain)
    elif chain is not None:
        job.identify(chain.fingerprint)
    for line in found.warnings:
        console.warning(line)
    found.refuse()
    if chain is None or config.plan:
        return
    console.heading(chain.name)
    with console.reporting(chain) as reporter:
        result = chain.run(reporter)
        if "report" not in result.stages:
            reporter.stage(chain.report())
            result = chain.result()
    job.came_to(*ending.came_to(result))
    ending.show(result, given, brief=many)
    if chain.lost:
        left_out = "; ".join(f"{rater}: {reason}" for rater, reason in chain.lost.items())
        line = f"this is the panel without {left_out}; run the same command again to ask anew"
        if many:
            raise UserError(line)  # a table must not show the smaller panel as the one that was asked for
        console.warning(line)
    _judge(config, chain)


def _judge(config: RunConfig, chain: Chain) -> None:
    """Raises UserError where the run is finished and yet not what was asked for."""
    stages = chain.result().stages
    evaluation = stages.get("evaluate")
    if evaluation and evaluation.record["warnings"]:
        raise UserError(f"{evaluation.record['warnings'][0]}; delete {evaluation.path} to evaluate again")
    warned = [f"{stage}: {line}" for stage, each in stages.items() for line in each.record["warnings"]]
    if config.on_warning is OnWarning.fail and warned:
        raise UserError(*(f"{line} (on_warning=fail)" for line in warned))
