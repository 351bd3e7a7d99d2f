"""Numbers that mean nothing are refused where a configuration is made, in a line that names the key."""

from __future__ import annotations

import pytest

from ds2.base.errors import UserError
from ds2.cli import main as cli
from ds2.config.compose import compose

FLOATS = (
    "budget.flops", "rater.flops", "embedder.flops", "finetune.token_share",
    "finetune.learning_rate", "finetune.epochs", "curation.confidence", "finetune.runtime.save_minutes",
)  # fmt: skip
ASKED = ("rater.max_cost", "rater.params_b", *(f"rater.runtime.price.{name}" for name in (
    "input", "output", "cached_input", "batch")))  # fmt: skip
STATED = {
    "experiment=mini": (
        "rater.flops", "embedder.flops", "selection.flops", "model.runtime.max_seconds",
        "finetune.runtime.save_minutes",
    ),
    "rater=gpt_4o_mini": ("rater.flops", *ASKED),
    "rater=panel rater.raters=[truth,simulated_mistral_7b]": (
        "rater.flops", "rater.max_cost", "+rater.prices.truth"
    ),
}  # fmt: skip
"""Choices -> what can be stated of their costs."""


def lines_of(*overrides: str) -> tuple[str, ...]:
    with pytest.raises(UserError) as refusal:
        compose(overrides)
    return refusal.value.lines


@pytest.mark.parametrize("value", ["nan", "inf", "-inf"])
def test_no_number_is_nan_or_infinite(value: str) -> None:
    for keys in (FLOATS, ("budget.samples",)):  # a run has one budget
        said = lines_of("experiment=mini", *(f"{key}={value}" for key in keys))
        assert set(said) == {f"{key}={value} must be a finite number" for key in keys}


@pytest.mark.parametrize("choices", STATED)
def test_nothing_takes_less_than_nothing(choices: str) -> None:
    keys = STATED[choices]
    said = lines_of(*choices.split(), *(f"{key}=-0.5" for key in keys))
    assert {line.partition(" must be at least 0")[0] for line in said} == {
        f"{key.lstrip('+')}=-0.5" for key in keys
    }
    assert compose([*choices.split(), *(f"{key}=0" for key in keys)])


def test_a_panels_rater_is_named() -> None:
    raters = "rater.raters=[truth,{rater:simulated_mistral_7b,flops:-5}]"
    (line,) = lines_of("rater=panel", raters)
    assert line.startswith("rater.members.simulated_mistral_7b.flops=-5 must be at least 0")


def test_nothing_runs_with_such_a_number(tmp_path, monkeypatch, capfd) -> None:
    monkeypatch.chdir(tmp_path)
    assert cli.run(["experiment=mini", "rater.flops=-3e11", "budget.samples=nan", "plan=true"]) == 2
    said = capfd.readouterr()
    assert "Traceback" not in said.out + said.err
    assert "rater.flops=-3e+11 must be at least 0" in said.err
    assert "budget.samples=nan must be a finite number" in said.err
