"""W&B's own variables decide where the command line says nothing."""

from __future__ import annotations

import pytest

from ds2.config import TrackingMode
from ds2.config.compose import compose


@pytest.fixture(autouse=True)
def unset(monkeypatch):
    for name in ("WANDB_MODE", "WANDB_DISABLED", "WANDB_PROJECT", "WANDB_ENTITY"):
        monkeypatch.delenv(name, raising=False)


def test_without_them_tracking_is_offline_in_the_project_ds2():
    tracking = compose([]).tracking
    assert (tracking.mode, tracking.project, tracking.entity, tracking.off) == (
        TrackingMode.offline, "ds2", None, False,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("mode", "expected", "off"),
    [("online", TrackingMode.online, False), ("disabled", TrackingMode.disabled, True)],
)
def test_the_environment_s_mode_project_and_entity_are_taken(monkeypatch, mode, expected, off):
    monkeypatch.setenv("WANDB_MODE", mode)
    monkeypatch.setenv("WANDB_PROJECT", "mine")
    monkeypatch.setenv("WANDB_ENTITY", "us")
    tracking = compose([]).tracking
    assert (tracking.mode, tracking.project, tracking.entity) == (expected, "mine", "us")
    assert tracking.off is off


def test_the_command_line_decides_before_the_environment(monkeypatch):
    monkeypatch.setenv("WANDB_MODE", "online")
    monkeypatch.setenv("WANDB_PROJECT", "mine")
    tracking = compose(["tracking=offline", "tracking.project=yours"]).tracking
    assert (tracking.mode, tracking.project) == (TrackingMode.offline, "yours")
    assert compose(["tracking=none"]).tracking.off


@pytest.mark.parametrize(("value", "off"), [("true", True), ("1", True), ("false", False), ("", False)])
def test_w_and_b_s_switch_is_obeyed_in_any_case(monkeypatch, value, off):
    monkeypatch.setenv("WANDB_DISABLED", value)
    assert compose(["tracking=wandb"]).tracking.off is off
