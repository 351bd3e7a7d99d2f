"""Stage `rate` of a panel: each rater's own step, as it would be alone, and one that joins their scores."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from ds2.artifacts import ratings as artifact
from ds2.artifacts.step import Outcome, Step
from ds2.artifacts.store import open_store
from ds2.artifacts.versions import version
from ds2.base.dataclass_json import to_plain
from ds2.base.errors import UserError
from ds2.config import LlmRaterConfig, PanelRaterConfig, RaterConfig
from ds2.method.agreement import lower_median, row_means
from ds2.method.panel import by_rater, check_linked
from ds2.rating import planning
from ds2.rating.cost import dollars_of
from ds2.rating.raters import RaterScores, Ratings, apply_unrated
from ds2.runs.context import Context
from ds2.runs.stages import rate


def step(run: Context) -> Step:
    """The step that writes the ratings; a panel's raters get theirs before it.

    A rater whose step cannot be made (a file or model that is not there) is among `run.lost`.

    Raises:
        UserError: fewer than two raters of a panel are left.
    """
    panel = run.config.rater
    if not isinstance(panel, PanelRaterConfig):
        return rate.step(run)
    members: list[Step] = []
    for rater in panel.members:
        try:
            members.append(_member(run, panel, rater))
        except UserError as error:
            run.lost[rater.name] = str(error)
    refuse_fewer_than_two(panel, run.lost)
    run.steps |= {member.name: member for member in members}

    def compute(folder: Path) -> Outcome:
        pool = run.pool.load()
        merged = apply_unrated(panel, _side_by_side(run, members))
        artifact.write_ratings(folder, pool, merged)
        assert merged.columns is not None
        return rate.outcome_of(run, pool, merged)

    def forecast() -> list[str]:
        store = open_store(run.config.paths.artifacts)
        left = [r for m, r in zip(members, _kept(panel, run), strict=True) if store.find(m) is None]
        asked = {
            r.name: rate.forecast_of(run, r)
            for r in left
            if isinstance(r, LlmRaterConfig) and r.backend.served
        }
        return [
            planning.together(asked, [m.part or "" for m in members if m.part not in asked], panel.max_cost)
        ]

    values = {
        "rater": {"kind": type(panel).__name__, "unrated": to_plain(panel.unrated)},
        "raters": [member.part for member in members],
        "scale": to_plain(run.config.scale),
    }
    inputs = run.inputs(pool=True) | {member.name: member.fingerprint for member in members}
    return Step(
        "rate", version("rate", "scores"), f"{run.pool.name}-{panel.name}", values, inputs, compute, forecast
    )


def refuse_fewer_than_two(panel: PanelRaterConfig, lost: Mapping[str, str]) -> None:
    """Raises UserError, with what became of the others, where fewer than two raters are left."""
    left = [rater.name for rater in panel.members if rater.name not in lost]
    if len(left) < 2:
        reasons = "; ".join(f"{name}: {reason}" for name, reason in lost.items())
        kept = f"only {left[0]} is left" if left else "none is left"
        raise UserError(f"a panel needs two raters, and {kept} ({reasons})")


def _kept(panel: PanelRaterConfig, run: Context) -> list[RaterConfig]:
    return [rater for rater in panel.members if rater.name not in run.lost]


def _member(run: Context, panel: PanelRaterConfig, rater: RaterConfig) -> Step:
    """The rater's step; where the panel has a limit of cost, what the others left of it is the rater's."""
    alone = rate.step(run.rated_by(rater))
    if panel.max_cost is None or not isinstance(rater, LlmRaterConfig) or not rater.backend.served:
        return replace(alone, part=rater.name)
    limit, of_all = rater.max_cost, panel.max_cost

    def compute(folder: Path) -> Outcome:
        spent = sum(
            dollars_of(other, run.results[f"rate.{other.name}"].record["counts"]) or 0.0
            for other in panel.members
            if f"rate.{other.name}" in run.results
        )
        if spent >= of_all:
            raise UserError(f"rater.max_cost={of_all:g} US dollars of the panel is reached by ${spent:.4g}")
        left = of_all - spent if limit is None else min(limit, of_all - spent)
        return rate.step(run.rated_by(replace(rater, max_cost=left))).compute(folder)

    return replace(alone, part=rater.name, compute=compute)


def _side_by_side(run: Context, members: Sequence[Step]) -> Ratings:
    """All columns of all raters. Raises UserError for raters that no panel can be made of."""
    tables, names, firsts = [], list[str](), []
    for member in members:
        folder = run.path(member.name)
        own = artifact.read_rater_scores(folder)
        if own is None:
            own = RaterScores(artifact.read_scores(folder)[:, None], (str(member.part),))
        twice = set(own.raters) & set(names)
        if twice:
            raise UserError(
                f"rater=panel: two raters are called {min(twice)}; give one a name of its own (name=NAME)"
            )
        tables.append(own.scores)
        names += own.raters
        firsts.append(artifact.read_scores(folder))
    columns = RaterScores(np.concatenate(tables, axis=1), tuple(names))
    raters, values = by_rater(columns.scores.astype(np.int64), names)
    check_linked(values, raters)
    each = np.stack(firsts, axis=1)
    return Ratings(lower_median(each), row_means(np.where(values < 0, np.nan, values)), columns=columns)
