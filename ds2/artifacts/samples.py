"""The columns by which every table names its samples."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ds2.pool import Pool


def identity_columns(pool: Pool) -> dict[str, Sequence[Any]]:
    return {"id": pool.ids, "row": pool.rows, "source": pool.sources}
