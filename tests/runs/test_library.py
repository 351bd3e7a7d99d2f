"""`ds2.run`: a chain from Python."""

from __future__ import annotations

import asyncio
import json
import logging
import os
import random
import signal
import sys
import warnings
from pathlib import Path

import matplotlib
import numpy as np
import pytest
import torch

import ds2
from ds2.base.errors import MissingInput, UserError


@pytest.fixture(scope="module")
def overrides(tmp_path_factory) -> list[str]:
    folder = tmp_path_factory.mktemp("library")
    return ["pool.samples=300", "budget.samples=20", "tracking=none", "runtime.progress=false",
            "finetune=none", "eval=none", f"paths.artifacts={folder}/artifacts"]  # fmt: skip


def test_a_chain_gives_its_subset_and_what_is_known_of_it_as_tables_and_paths(overrides):
    done = ds2.run(overrides)
    assert len(done.subset) == len(done.subset_file.read_text().splitlines()) == 20
    assert len(done.ratings) == len(done.curation) == 300
    assert done.report.is_file()
    assert "out of fold" in done.verdict
    assert {stage.status.value for stage in done.stages.values()} == {"computed"}
    assert done.name in done._repr_html_()
    with pytest.raises(MissingInput, match="no stage finetune; it has: rate"):
        done.path("finetune")


def test_a_second_call_reuses_the_first_one_s_stages(overrides):
    first, again = ds2.run(overrides), ds2.run(overrides)
    assert first.fingerprint == again.fingerprint
    assert {stage.status.value for stage in again.stages.values()} == {"reused"}


def test_every_problem_is_said_before_the_first_stage(overrides):
    with pytest.raises(UserError) as refused:
        ds2.run([*overrides, "knn.k=0", "budget.samples=5000", "seed=5"])
    assert any("knn.k=0" in line for line in refused.value.lines)
    assert any("5,000" in line or "5000" in line for line in refused.value.lines)


def test_options_are_read_as_the_command_reads_them(overrides, tmp_path):
    folder = tmp_path / "an öd d place"
    folder.mkdir()
    (folder / "pool.jsonl").write_text("{}")
    with pytest.raises(UserError, match="bad row|pool.jsonl"):
        ds2.run([*overrides[1:], "pool=jsonl", f"pool.path={folder}/pool.jsonl"])
    with pytest.raises(UserError, match="rater.truht"):
        ds2.run([*overrides, "rater.truht=x"])


def state_of_the_process() -> dict[str, object]:
    from hydra.core.global_hydra import GlobalHydra

    return {
        "hydra": GlobalHydra.instance().is_initialized(),
        "logging": (logging.getLogger().level, list(logging.getLogger().handlers)),
        "numpy": np.random.get_state()[1].tolist(),
        "python": random.getstate(),
        "torch": (torch.random.get_rng_state().tolist(), torch.get_num_threads(), torch.is_grad_enabled()),
        "warnings": (list(warnings.filters), warnings.showwarning),
        "plots": dict(matplotlib.rcParams),
        "folder": Path.cwd(),
        "path": list(sys.path),
        "arguments": list(sys.argv),
        "streams": (sys.stdout, sys.stderr, sys.excepthook),
        "environment": dict(os.environ),
        "signals": [signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)],
    }


def test_nothing_of_the_process_is_changed(overrides):
    ds2.run(overrides)  # what libraries set up when they are first loaded is not the run's
    before = state_of_the_process()
    ds2.run([*overrides, "pool.seed=3"])
    assert state_of_the_process() == before


def test_training_and_evaluation_leave_the_caller_its_seeds_and_threads(tmp_path, monkeypatch):
    monkeypatch.setenv("DS2_UNTOUCHED", "1")
    before_threads = torch.get_num_threads()
    torch.set_num_threads(2)  # the recipe asks for one
    run = ds2.run  # loads libraries: what they set up then is not the run's
    try:
        before = state_of_the_process()
        done = run(
            ["pool.samples=120", "budget.samples=20", "selection=random", "model=tiny", "finetune=tiny",
             "finetune.max_steps=2", "eval=tiny", "tracking=offline", "runtime.progress=false",
             f"paths.artifacts={tmp_path}/artifacts"]
        )  # fmt: skip
        assert len(done.results) > 0
        named = json.loads((done.adapter / "adapter_config.json").read_text())["base_model_name_or_path"]
        assert Path(named).is_absolute()  # so that the adapter loads from any folder
        assert (Path(named) / "config.json").is_file()
        assert state_of_the_process() == before
    finally:
        torch.set_num_threads(before_threads)


def test_it_runs_inside_a_loop_and_inside_a_hydra_program(overrides, tmp_path):
    import hydra

    async def cell() -> str:
        return ds2.run(overrides).name

    name = asyncio.run(cell())
    (tmp_path / "config.yaml").write_text("own: 1\n")
    with hydra.initialize_config_dir(str(tmp_path), version_base="1.3"):
        assert ds2.run(overrides).name == name
        assert hydra.compose("config").own == 1
