"""What a stage computed: counted from tokens and sizes, and never guessed."""

from __future__ import annotations

from pathlib import Path

import pytest

from ds2.base.errors import MissingInput
from ds2.models import tiny
from ds2.models.compute import NO_MODEL, UNKNOWN, Compute, Meter, device_name, from_block, parameters_of


def test_a_block_keeps_what_was_counted_and_what_nobody_knows() -> None:
    known = Compute(7, 42.0, 0.5, "server")
    assert known.block(1.23456) == {
        "tokens": 7, "seconds": 1.235, "flops": 42.0, "dollars": 0.5, "device": "server"
    }  # fmt: skip
    for compute in (known, UNKNOWN, NO_MODEL):
        assert from_block(compute.block(1.0)) == compute
    assert from_block(None) == UNKNOWN


def test_a_meter_adds_forward_passes_and_training() -> None:
    meter = Meter()
    assert (meter.total("cpu").tokens, meter.total("cpu").flops) == (None, None)
    meter.read(1_000, 5)
    meter.train(1_000, 7)
    meter.add(Compute(3, 100.0))
    assert meter.total("cpu") == Compute(15, 2 * 5_000 + 6 * 7_000 + 100.0, 0.0, "cpu")


def test_parameters_are_counted_without_reading_weights(tmp_path: Path) -> None:
    made = tiny.build(tmp_path, seed=0)
    for weights in tmp_path.glob("*.safetensors"):
        weights.unlink()
    assert parameters_of(str(tmp_path), None) == made["parameters"]


def test_a_model_without_a_configuration_has_unknown_parameters(tmp_path: Path) -> None:
    with pytest.raises(MissingInput, match="how many parameters"):
        parameters_of(str(tmp_path), None)


def test_a_word_for_a_device_is_its_name_where_there_is_no_gpu() -> None:
    assert (device_name("cpu"), device_name("mps")) == ("cpu", "mps")
