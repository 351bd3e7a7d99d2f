"""In what a task's values are shown: points, or nats a token."""

from __future__ import annotations

from dataclasses import dataclass

from ds2.base.words import measured
from ds2.report.differences import Difference


@dataclass(frozen=True)
class Unit:
    """How a task's values are shown."""

    scale: float
    digits: int
    less_is_better: bool

    def shown(self, mean: float, spread: float | None) -> str:
        """A mean and its spread, both scaled already."""
        return measured(mean, spread, self.digits)

    def difference(self, gap: Difference) -> str:
        """`+1.2 [+0.3, +2.1]`."""
        value, low, high = (
            f"{self.scale * number:+.{self.digits}f}" for number in (gap.value, gap.low, gap.high)
        )
        return f"{value} [{low}, {high}]"


POINTS = Unit(100, 1, False)
NATS = Unit(1, 3, True)
