"""The order in which samples are trained: fixed by the seed and the total batch, whatever the devices.

Passes over the n samples, each in a fresh random order, are laid end to end and cut into optimiser steps of B
(the total batch) samples. So every step has exactly B samples, on one device or on eight. Within a step
samples go by length, longest first: device batches then need little padding, and the step's gradient, a mean
over its tokens, is the same.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ds2.base.errors import UserError
from ds2.models.trained_tokens import EncodedSamples

IGNORED = -100
"""The label of a token without loss."""
Sample = tuple[NDArray[np.int32], NDArray[np.bool_]]
"""Token ids, and whether the loss of each counts."""


def sample_order(lengths: NDArray[np.int64], *, steps: int, total_batch: int, seed: int) -> NDArray[np.int64]:
    """(steps, B) indices of samples, by length within a row."""
    samples, wanted = len(lengths), steps * total_batch
    passes = [
        np.random.default_rng([seed, i]).permutation(samples) for i in range(math.ceil(wanted / samples))
    ]
    order = np.concatenate(passes)[:wanted].reshape(steps, total_batch)
    longest_first = np.argsort(-lengths[order], axis=1, kind="stable")
    return np.take_along_axis(order, longest_first, axis=1)


def device_batch(total_batch: int, *, devices: int, wanted: int | None, most: int = 8) -> tuple[int, int]:
    """Samples per device and forward pass, and the passes accumulated into a step: their product times
    devices is B. Where no size is wanted, the largest divisor up to `most`.

    Raises UserError where the batch does not divide.
    """
    if total_batch < 1 or total_batch % devices:
        raise UserError(
            f"finetune.total_batch={total_batch} does not divide over {devices} devices: set "
            "finetune.runtime.devices"
            " to a divisor of it"
        )
    share = total_batch // devices
    if wanted is None:
        wanted = max(size for size in range(1, most + 1) if share % size == 0)
    if wanted < 1 or share % wanted:
        raise UserError(
            f"finetune.total_batch={total_batch} on {devices} device(s) is {share} samples each, which "
            "device batches of"
            f" {wanted} do not divide: set finetune.runtime.device_batch to a divisor of {share}"
        )
    return wanted, share // wanted


class SampleStream:
    """A map-style dataset over the whole training, in its order."""

    def __init__(self, samples: EncodedSamples, order: NDArray[np.int64]) -> None:
        self._samples = samples
        self._order = order.reshape(-1)

    def __len__(self) -> int:
        return len(self._order)

    def __getitem__(self, position: int) -> Sample:
        row = self._order[position]
        return self._samples.ids[row], self._samples.trained[row]


def make_collator(pad_id: int, *, packed: bool = False) -> Any:
    """A function from samples to a batch: input_ids, labels, and what tells the samples apart.

    Padded on the right, a sample a row, with attention_mask; or packed, one row without padding, with
    position_ids that begin at 0 with each sample: without an attention_mask, transformers keeps what such
    positions part from seeing each other.
    """
    return pack if packed else lambda batch: pad(batch, pad_id)


def pad(batch: Sequence[Sample], pad_id: int) -> dict[str, Any]:
    """(samples, longest) input_ids, attention_mask and labels."""
    shape = (len(batch), max(len(ids) for ids, _ in batch))
    input_ids = np.full(shape, pad_id, dtype=np.int64)
    attention_mask = np.zeros(shape, dtype=np.int64)
    labels = np.full(shape, IGNORED, dtype=np.int64)
    for row, (ids, trained) in enumerate(batch):
        input_ids[row, : len(ids)] = ids
        attention_mask[row, : len(ids)] = 1
        labels[row, : len(ids)] = _labels(ids, trained)
    return _tensors(input_ids=input_ids, attention_mask=attention_mask, labels=labels)


def pack(batch: Sequence[Sample]) -> dict[str, Any]:
    """(1, all tokens) input_ids, position_ids and labels."""
    input_ids = np.concatenate([ids for ids, _ in batch]).astype(np.int64)
    position_ids = np.concatenate([np.arange(len(ids)) for ids, _ in batch])
    labels = np.concatenate([_labels(ids, trained) for ids, trained in batch])
    return _tensors(input_ids=input_ids[None], position_ids=position_ids[None], labels=labels[None])


def _labels(ids: NDArray[np.int32], trained: NDArray[np.bool_]) -> NDArray[np.int64]:
    labels = np.where(trained, ids, IGNORED).astype(np.int64)
    labels[0] = IGNORED  # nothing predicts a first token; in a pack, the sample before it would
    return labels


def _tensors(**arrays: NDArray[np.int64]) -> dict[str, Any]:
    import torch

    return {name: torch.from_numpy(array) for name, array in arrays.items()}
