"""The authors' numbers, as CSVs with their provenance: `read("rater_gap")`. See the README beside them."""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from ds2.base.errors import UserError

FOLDER = Path(__file__).parent
PROVENANCE = ["second_hand", "provenance"]
"""The last columns of every table: `yes` where the number was not seen at its source, and where it comes
from.
"""


def names() -> list[str]:
    """Every table there is."""
    return sorted(path.stem for path in FOLDER.glob("*.csv"))


def read(name: str) -> pd.DataFrame:
    """One table, numbers as numbers; an empty cell (no rater, not published) is NaN.

    Raises:
        UserError: no such table.
    """
    path = FOLDER / f"{name}.csv"
    if not path.is_file():
        raise UserError(f"no published table {name}; there are: {', '.join(names())}")
    return pd.read_csv(path)
