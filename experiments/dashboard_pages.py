"""The W&B workspace and report: which panels stand where, and how runs are grouped."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import wandb_workspaces.reports.v2 as wr
import wandb_workspaces.workspaces as ws
from wandb_workspaces import expr

from experiments.dashboard_panels import (
    AVERAGE,
    CELL,
    DOLLARS,
    FLOPS,
    SECONDS,
    comparison,
    cost,
    curation,
    evaluation,
    search,
    selection,
    stable_id,
    training,
)

VIEW = "nw-ds2overview-v"
"""Internal name of the workspace: a fixed one, by which a second call finds it."""
TITLE = "DS2: raters, budgets, curation"

CHOICES = ("base_model", "selection", "rater", "budget_named", CELL)
"""Runs that share these differ in their seed only: the cell tells what the others leave open."""


def workspace(entity: str, project: str, tasks: Mapping[str, str]) -> ws.Workspace:
    """Sections from results to details.

    Args:
        tasks: benchmark, as the tables name it -> title of its panel.
    """
    built = ws.Workspace(
        entity=entity,
        project=project,
        name=TITLE,
        sections=[
            _section("Raters and budgets", comparison(), columns=2),
            _section("Cost", cost(), columns=2),
            _section("Curation", curation(), columns=2),
            _section("Evaluation", evaluation(tasks), columns=2),
            _section("Search", search(), columns=2),
            _section("Training", training(), columns=2),
            _section("Selection", selection(), columns=2),
        ],
        settings=ws.WorkspaceSettings(max_runs=100),
        runset_settings=ws.RunsetSettings(
            groupby=[expr.Config(choice) for choice in CHOICES],
            pinned_columns=[
                *(f"config:{choice}.value" for choice in (*CHOICES, "curation", "seed")),
                *(f"summary:{metric.name}" for metric in (AVERAGE, FLOPS, SECONDS, DOLLARS)),
            ],
        ),
        auto_generate_panels=False,
    )
    built._internal_name = VIEW
    return built


def report(entity: str, project: str, tasks: Mapping[str, str]) -> wr.Report:
    """The same panels as a page that reads from top to bottom."""
    parts: list[tuple[str, str, list[Any]]] = [
        (
            "Raters and budgets",
            "A bar of a cell is a mean over seeds, its whisker a standard deviation over seeds, absent with "
            "one seed. By rater, budget and selection a bar is the mean of all runs shown that share it: "
            "filter the runs first.",
            comparison(),
        ),
        (
            "Cost against average",
            "Seconds are of the whole chain as if nothing had been cached: a sweep pays for each distinct "
            "stage once. "
            "FLOPs are those of selecting and training, left out where a part of them is not known "
            "(docs/budgets.md). Dollars are those of the rater's answers, none where no language model was "
            "asked, and left out where its price is not known.",
            cost(),
        ),
        (
            "Curation",
            "Score transition matrices side by side, a run each: rows are true scores, columns rated ones. "
            "Without ground "
            "truth they are estimates; read the warnings in each run's summary.",
            curation(),
        ),
        ("Evaluation", "Each benchmark by cell: means and deviations over seeds.", evaluation(tasks)),
        ("Search", "Trials of a search, and fine-tuning recipes, against the average.", search()),
        ("Learning curves", "Loss and learning rate of the LoRA fine-tunes by optimiser step.", training()),
        ("What was selected", "Sources of the subset beside the pool's.", selection()),
    ]
    blocks: list[Any] = [
        wr.TableOfContents(),
        wr.P(
            "Rate, curate, select, fine-tune, evaluate: each run is one chain of the paper (Improving Data "
            "Efficiency via "
            "Curating LLM-Driven Rating Systems). W&B is the window; tables with intervals and published "
            "numbers come from "
            "the artifacts on disk (python -m experiments)."
        ),
    ]
    for title, text, panels in parts:
        blocks += [wr.H2(title), wr.P(text), wr.PanelGrid(runsets=[_runs(title)], panels=panels)]
    return wr.Report(project=project, entity=entity, title=TITLE, blocks=blocks, width="fluid")


def _section(name: str, panels: list[Any], *, columns: int) -> ws.Section:
    rows = -(-len(panels) // columns)
    layout = ws.SectionLayoutSettings(columns=columns, rows=min(rows, 3))
    return ws.Section(name=name, panels=panels, is_open=True, layout_settings=layout)


def _runs(title: str) -> wr.Runset:
    # Without entity and project W&B takes the report's own, and building the page asks no server.
    runs = wr.Runset(name="runs", groupby=[f"config.{choice}" for choice in CHOICES])
    runs._id = stable_id(title)
    return runs
