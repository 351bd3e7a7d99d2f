"""A Weights & Biases workspace and report, made from code.

    python -m experiments dashboard --entity E --project P

creates both, or updates what is there. `--dry` writes their JSON instead: no account, no network.
`--eval mini`: bars for the benchmarks of conf/eval/mini.yaml. `--held-out FILE...`: and for the losses on
files that runs keep apart (`eval.held_out`).

Needs the extra `dashboards`.
"""

from __future__ import annotations

import argparse
import json
import re
from collections.abc import Callable, Sequence
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from ds2.base.errors import UserError
from ds2.base.paths import writing
from ds2.report.table_rows import task_names

_OVERRIDE = re.compile(r"[+~]*[\w@.-]+=")
"""How `key=value` begins, as the other commands take it."""


def main(arguments: Sequence[str], say: Callable[[str], None] = print) -> None:
    """The `dashboard` subcommand.

    Raises:
        UserError: the extra is not installed, the evaluation is unknown, W&B refuses, or an override stands
            where a folder or file belongs.
    """
    parser = argparse.ArgumentParser(
        prog="python -m experiments dashboard", description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )  # fmt: skip
    parser.add_argument("--entity", required=True, help="user or team")
    parser.add_argument("--project", required=True)
    parser.add_argument(
        "--eval", default="paper", help="whose benchmarks get bars (conf/eval; default: paper)"
    )
    parser.add_argument(
        "--held-out",
        nargs="+",
        default=[],
        metavar="FILE",
        help="files of eval.held_out: bars of their loss",
    )
    parser.add_argument(
        "--dry", nargs="?", const="artifacts/dashboard", metavar="FOLDER", help="write JSON, save nothing"
    )
    given = parser.parse_args(arguments)
    override = next((text for text in (given.dry, *given.held_out) if text and _OVERRIDE.match(text)), None)
    if override is not None:
        raise UserError(
            f"{override}: the dashboard command takes no key=value; for a folder of that name: ./{override}"
        )
    if find_spec("wandb_workspaces") is None:
        raise UserError("dashboards need the package wandb_workspaces: pip install 'ds2[dashboards]'")
    from experiments import dashboard_pages

    tasks = tasks_of(given.eval, given.held_out)
    workspace = dashboard_pages.workspace(given.entity, given.project, tasks)
    report = dashboard_pages.report(given.entity, given.project, tasks)
    if given.dry is not None:
        for path in write(workspace, report, Path(given.dry)):
            say(f"written: {path}")
        return
    for line in save(workspace, report):
        say(line)


def tasks_of(evaluation: str, held_out: Sequence[str] = ()) -> dict[str, str]:
    """The tasks of an evaluation, as its tables and metrics name them -> titles of their panels.

    Raises:
        UserError: the evaluation is unknown, or has no tasks.
    """
    from ds2.config.compose import compose

    config = replace(compose([f"eval={evaluation}"]).eval, held_out=list(held_out))
    losses = config.held_out_tasks
    names = task_names([*config.tasks, *config.companions, *losses])
    if not names:
        raise UserError(
            f"--eval {evaluation} has no benchmarks of its own: name the files of eval.held_out, "
            "--held-out FILE..."
        )
    loss = "{} (loss in nats, less is better)"
    return {name: loss.format(name) if task in losses else name for task, name in names.items()}


def specs(workspace: Any, report: Any) -> dict[str, dict[str, Any]]:
    """What W&B would be sent: name -> JSON."""
    views = {}
    for name, item in (("workspace", workspace), ("report", report)):
        views[name] = json.loads(item._to_model().model_dump_json(by_alias=True, exclude_none=True))
    return views


def write(workspace: Any, report: Any, folder: Path) -> list[Path]:
    """workspace.json and report.json in `folder`; their paths."""
    paths = []
    with writing(folder):
        for name, content in specs(workspace, report).items():
            paths.append(folder / f"{name}.json")
            paths[-1].write_text(json.dumps(content, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    return paths


def save(workspace: Any, report: Any) -> list[str]:
    """Create both at W&B, or update those that an earlier call made; a line each with its address.

    The workspace is found by its fixed internal name, the report by its title.

    Raises:
        UserError: not logged in, no such project, no access.
    """
    import wandb

    said = []
    try:
        api = wandb.Api()
        path = f"{workspace.entity}/{workspace.project}"
        workspace._internal_id = _workspace_id(workspace)
        report.id = next((r.id for r in api.reports(path) if r.display_name == report.title), "")
        for kind, item, known in (
            ("workspace", workspace, workspace._internal_id),
            ("report", report, report.id),
        ):
            item.save()
            said.append(f"{kind} {'updated' if known else 'created'}: {item.url}")
    except (wandb.errors.Error, ValueError, OSError) as error:
        line = (str(error).splitlines() or [type(error).__name__])[0]
        raise UserError(f"W&B: {line}; --dry writes the JSON without an account") from error
    return said


def _workspace_id(workspace: Any) -> str:
    """The id of the view that an earlier call made; empty where there is none."""
    from wandb_workspaces.workspaces.internal import get_view_dict

    name = workspace._internal_name.removeprefix("nw-").removesuffix("-v")
    try:
        return str(get_view_dict(workspace.entity, workspace.project, name)["id"])
    except ValueError as error:
        if "not found in project" in str(error):
            return ""
        raise
