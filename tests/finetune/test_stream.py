from __future__ import annotations

import numpy as np
import pytest

from ds2.base.errors import UserError
from ds2.models.trained_tokens import EncodedSamples
from finetune.stream import IGNORED, SampleStream, device_batch, make_collator, sample_order

LENGTHS = np.random.default_rng(0).integers(5, 50, 37)


def test_each_pass_holds_every_sample_once() -> None:
    order = sample_order(LENGTHS, steps=37, total_batch=8, seed=1).reshape(-1)
    assert np.bincount(order, minlength=37).tolist() == [8] * 37
    first_four_passes = sample_order(LENGTHS, steps=37, total_batch=4, seed=1)
    assert set(first_four_passes[:9].reshape(-1)) | set(first_four_passes[9]) == set(range(37))


def test_steps_are_full_batches_sorted_by_length() -> None:
    order = sample_order(LENGTHS, steps=12, total_batch=8, seed=1)
    assert order.shape == (12, 8)
    assert (np.diff(LENGTHS[order], axis=1) <= 0).all()


def test_the_order_is_the_seeds() -> None:
    first = sample_order(LENGTHS, steps=12, total_batch=8, seed=1)
    assert (first == sample_order(LENGTHS, steps=12, total_batch=8, seed=1)).all()
    assert (first != sample_order(LENGTHS, steps=12, total_batch=8, seed=2)).any()


def test_a_longer_training_begins_as_a_shorter_one() -> None:
    short, long = (sample_order(LENGTHS, steps=steps, total_batch=8, seed=1) for steps in (5, 20))
    assert (long[:5] == short).all()


@pytest.mark.parametrize(
    ("total", "devices", "wanted", "expected"),
    [
        (128, 1, None, (8, 16)), (128, 8, None, (8, 2)), (128, 4, 2, (2, 16)), (6, 1, None, (6, 1)),
        (7, 1, None, (7, 1)),
        (22, 1, None, (2, 11)), (32, 1, 32, (32, 1)),
    ],
)  # fmt: skip
def test_device_batch_times_accumulation_times_devices_is_the_total_batch(
    total: int, devices: int, wanted: int | None, expected: tuple[int, int]
) -> None:
    batch, accumulation = device_batch(total, devices=devices, wanted=wanted)
    assert (batch, accumulation) == expected
    assert batch * accumulation * devices == total


@pytest.mark.parametrize(
    ("total", "devices", "wanted", "setting"),
    [
        (128, 3, None, "runtime.devices"),
        (128, 1, 3, "runtime.device_batch"),
        (128, 1, 0, "runtime.device_batch"),
        (0, 1, None, "total_batch=0"),
    ],
)
def test_a_batch_that_does_not_divide_names_the_setting(
    total: int, devices: int, wanted: int | None, setting: str
) -> None:
    with pytest.raises(UserError, match=setting):
        device_batch(total, devices=devices, wanted=wanted)


SAMPLES = EncodedSamples(
    ids=[np.array([5, 6, 7], np.int32), np.array([8, 9], np.int32)],
    trained=[np.array([False, True, True]), np.array([True, True])],
)


def test_a_batch_is_padded_on_the_right_and_padding_carries_no_loss() -> None:
    stream = SampleStream(SAMPLES, np.array([[0, 1]]))
    batch = make_collator(pad_id=0)([stream[i] for i in range(len(stream))])
    assert batch["input_ids"].tolist() == [[5, 6, 7], [8, 9, 0]]
    assert batch["attention_mask"].tolist() == [[1, 1, 1], [1, 1, 0]]
    assert batch["labels"].tolist() == [[IGNORED, 6, 7], [IGNORED, 9, IGNORED]]


def test_a_pack_is_one_row_and_no_sample_is_trained_to_follow_another() -> None:
    stream = SampleStream(SAMPLES, np.array([[0, 1]]))
    batch = make_collator(pad_id=0, packed=True)([stream[i] for i in range(len(stream))])
    assert batch["input_ids"].tolist() == [[5, 6, 7, 8, 9]]
    assert batch["position_ids"].tolist() == [[0, 1, 2, 0, 1]]
    assert batch["labels"].tolist() == [[IGNORED, 6, 7, IGNORED, 9]]
    assert "attention_mask" not in batch
