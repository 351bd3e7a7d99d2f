"""The peak of a card, by its name."""

from __future__ import annotations

import pytest

from ds2.models import flops


@pytest.mark.parametrize(
    ("card", "peak"),
    [
        ("NVIDIA H100 80GB HBM3", 989e12), ("NVIDIA H100 PCIe", 756e12), ("NVIDIA A100-SXM4-80GB", 312e12),
        ("NVIDIA A10", 125e12), ("NVIDIA L4", 121e12), ("NVIDIA L40S", 362e12), ("Tesla T4", 65e12),
        ("Tesla V100-SXM2-16GB", 125e12), ("NVIDIA GeForce RTX 4090", 165e12),
    ],
)  # fmt: skip
def test_a_listed_card_is_known_by_the_words_of_its_name(card: str, peak: float) -> None:
    assert flops.peak_of(card) == peak


@pytest.mark.parametrize(
    "card",
    [
        "NVIDIA L40", "NVIDIA RTX A1000", "NVIDIA A10G", "NVIDIA T400 4GB", "NVIDIA T4G", "NVIDIA H100 NVL",
        "NVIDIA A100-SXM4-80GB MIG 1g.10gb", "NVIDIA GeForce RTX 4090 Laptop GPU",
        "NVIDIA GeForce RTX 3090 Ti", "NVIDIA GH200 480GB",
    ],
)  # fmt: skip
def test_a_card_whose_name_holds_a_listed_one_is_not_taken_for_it(card: str) -> None:
    assert flops.peak_of(card) is None
