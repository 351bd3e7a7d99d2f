"""What the page of a run says of evaluation questions and near-duplicates in its pool."""

from __future__ import annotations

from typing import Any

from ds2.artifacts.run import RunResult
from ds2.artifacts.sifted import read_contamination, read_near_duplicates, read_sifted
from ds2.config import OnContamination, RowsPoolConfig

_HITS, _GROUPS, _MEMBERS = 60, 30, 8
"""Questions held, groups and members of a group that are listed."""


def sifted(run: RunResult) -> dict[str, Any] | None:
    """Sets with their counts, samples that hold a question, and groups; None where nothing was looked for."""
    stage, pool = run.stages.get("sift"), run.config.pool
    if stage is None or not isinstance(pool, RowsPoolConfig):
        return None
    found = read_sifted(stage.path)
    hits, groups = read_contamination(stage.path), _groups(stage)
    return {
        "sets": found.by_set(),
        "hits": hits.head(_HITS).to_dict("records"),
        "more_hits": max(len(hits) - _HITS, 0),
        "contaminated": len(found.contaminated),
        "left_out": pool.on_contamination is OnContamination.drop,
        "similarity": pool.near_duplicates,
        "copies": len(found.copies),
        "groups": groups[:_GROUPS],
        "all_groups": len(groups),
    }


def _groups(stage: Any) -> list[dict[str, Any]]:
    """Groups as their table has them, the largest first."""
    table = read_near_duplicates(stage.path)
    return [
        {
            "stays": of_id, "copies": len(members), "ids": members["id"].head(_MEMBERS).tolist(),
            "least": float(members["similarity"].min()), "begins": members["begins"].iloc[0],
        }
        for (_, of_id), members in table.groupby(["of", "of_id"], sort=False)
    ]  # fmt: skip
