"""The command line: Hydra composes a configuration, which becomes dataclasses here and nowhere else.

`list`, `show`, `doctor` and `gc` look after the artifact store, `sweep=NAME` is turned into multiruns, `experiments` is
`python -m experiments` for an installed package, everything else is Hydra's. Exit codes: 0 when everything asked for was done, 1 when a
run failed, 2 when the user has something to change, 130 when interrupted.
"""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Callable, Sequence
from dataclasses import fields
from pathlib import Path
from typing import cast

os.environ.setdefault("HYDRA_FULL_ERROR", "1")  # let errors reach `run`, which says them in one line

import hydra
from hydra.core.hydra_config import HydraConfig
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.errors import HydraException
from hydra.types import RunMode
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from ds2 import console, jobs, store_commands
from ds2.config import PathsConfig, RunConfig, register_schemas
from ds2.errors import UserError
from ds2.explain import explain
from ds2.paths import project_root
from ds2.store_commands import COMMANDS

register_schemas()


def run(arguments: Sequence[str]) -> int:
    """The `ds2` command with these arguments; its exit code."""
    return answer(lambda: _run_command(arguments))


def answer(command: Callable[[], int]) -> int:
    """A command's exit code; what its user has to change is said in one line."""
    try:
        return command()
    except UserError as error:
        console.error(str(error))
        return 2
    except (HydraException, OmegaConfBaseException) as error:
        console.error(explain(error))
        return 2
    except KeyboardInterrupt:
        console.error(
            "interrupted; the same command continues from the last finished stage, a rating from its last answer: all are kept"
        )
        return 130


def _run_command(arguments: Sequence[str]) -> int:
    if arguments and arguments[0] in COMMANDS:
        return store_commands.run(arguments[0], arguments[1:])
    if arguments and arguments[0] == "experiments":
        from ds2.launcher import experiments

        return experiments(arguments[1:])
    name, rest = _sweep_name(arguments)
    if name is not None:
        from ds2.sweep_command import run_sweep

        return run_sweep(name, rest)
    with jobs.recorded(artifacts_root(arguments)) as record:
        hydra_main(arguments, record)
    return console.summary_of_jobs(record.read())


def paths_of(arguments: Sequence[str]) -> PathsConfig:
    """`paths` as these arguments leave it, before anything is composed. Raises UserError for another key of `paths`."""
    parser = OverridesParser.create()
    given = [parser.parse_override(a) for a in arguments if a.startswith("paths.")]
    values = {o.get_key_element().removeprefix("paths."): str(o.value()) for o in given}
    unknown = values.keys() - {f.name for f in fields(PathsConfig)}
    if unknown:
        raise UserError(f"paths.{min(unknown)}: no such key")
    return PathsConfig(**values)


def artifacts_root(arguments: Sequence[str]) -> Path:
    """`paths.artifacts` of these arguments. Raises UserError where it is a file."""
    root = Path(paths_of(arguments).artifacts)
    if root.exists() and not root.is_dir():
        raise UserError(f"paths.artifacts={root} is not a folder")
    return root


def check_choices(overrides: Sequence[str]) -> None:
    """Refuse a number where the name of a choice belongs (`budget=20`), for which Hydra has a traceback only. Raises UserError."""
    for override in overrides:
        group, _, given = override.partition("=")
        if (project_root() / "conf" / group).is_dir() and re.search(r"(^|,)\s*[-+]?[\d.]+\s*(,|$)", given):
            known = sorted(path.stem for path in (project_root() / "conf" / group).glob("*.yaml"))
            number = f"; for a number of samples: budget.samples={given}" if group == "budget" else ""
            raise UserError(f"{override}: {group} takes a name, one of {', '.join(known)}{number}")


def compose(overrides: Sequence[str]) -> RunConfig:
    """The configuration that these overrides give, as `ds2 OVERRIDES` would run it."""
    check_choices(overrides)
    with hydra.initialize_config_dir(str(project_root() / "conf"), version_base="1.3"):
        return to_config(hydra.compose("config", overrides=list(overrides)))


def compose_seeds(overrides: Sequence[str], seeds: Sequence[int]) -> list[RunConfig]:
    """`compose([*overrides, "seed=N"])` for each seed, composed once: `seed` is a value, no choice depends on it."""
    check_choices(overrides)
    with hydra.initialize_config_dir(str(project_root() / "conf"), version_base="1.3"):
        cfg = hydra.compose("config", overrides=list(overrides))
    found = []
    for seed in seeds:
        cfg.seed = seed
        found.append(to_config(cfg))
    return found


def to_config(cfg: DictConfig) -> RunConfig:
    """Dataclasses of a composed configuration. Raises UserError naming a value that is missing."""
    try:
        missing = sorted(OmegaConf.missing_keys(cfg))
    except OmegaConfBaseException as error:  # a value that refers to a missing one
        raise UserError(explain(error)) from error
    if missing:
        raise UserError(f"{missing[0]} is missing: give {missing[0]}=VALUE")
    return cast(RunConfig, OmegaConf.to_object(cfg))


def hydra_main(arguments: Sequence[str], record: jobs.JobRecord) -> None:
    """Hydra's own command line: one run, or with `--multirun` every combination; its jobs go on record."""
    check_choices(arguments)
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
    with jobs.job(list(hydra_config.overrides.task), keep_going=many) as job:
        _run(to_config(cfg), many, job)


def _run(config: RunConfig, many: bool, job: jobs.Handle) -> None:
    from ds2.pipeline import Chain

    if config.prepare or config.plan:
        job.only_asks()
    if config.prepare:
        from ds2.prepare import prepare

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


def _sweep_name(arguments: Sequence[str]) -> tuple[str | None, list[str]]:
    names = [a.removeprefix("sweep=") for a in arguments if a.startswith("sweep=")]
    if len(names) > 1:
        raise UserError("give one sweep=NAME")
    rest = [a for a in arguments if not a.startswith("sweep=") and a not in ("-m", "--multirun")]
    return (names[0], rest) if names else (None, list(arguments))
