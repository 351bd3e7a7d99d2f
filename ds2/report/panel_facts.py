"""What a panel is worth and costs: its account, with the dollars that its raters' answers took."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from ds2.artifacts.curation import RaterErrors
from ds2.artifacts.run import RunResult
from ds2.config import PanelRaterConfig
from ds2.config.rating import raters_of
from ds2.method.curation.refined import panel_verdict
from ds2.method.panel_account import priced
from ds2.method.panel_result import PanelAccount
from ds2.rating.cost import dollars_of

RATER_COLUMNS = (
    "name", "repeats", "num_rated", "mean_score", "severity", "loading", "loading_low", "loading_high",
    "weight", "loss_without", "changed_top", "price",
)  # fmt: skip
"""Of `PanelRater`, what a table shows."""


def rating_costs(run: RunResult) -> dict[str, float | None]:
    """Rater -> US dollars that its ratings took; None where that is not known. Empty without a rating."""
    rater = run.config.rater
    panel = isinstance(rater, PanelRaterConfig)
    given = rater.prices if isinstance(rater, PanelRaterConfig) else {}
    costs: dict[str, float | None] = {}
    for each in raters_of(rater):
        rated = run.stages.get(f"rate.{each.name}" if panel else "rate")
        if rated is not None:
            costs[each.name] = given.get(each.name, dollars_of(each, rated.record["counts"]))
    return costs


def panel_account(run: RunResult) -> PanelAccount | None:
    """The panel's account with what each rater cost; None where no panel was fused."""
    if "curate" not in run.stages:
        return None
    account = RaterErrors.read(run.stages["curate"].path).diagnostics.panel
    if account is None or account.repeats_of is not None:
        return account
    costs = rating_costs(run)
    return priced(account, {r.name: costs[r.name] for r in account.raters if r.name in costs})


def panel_verdict_of(run: RunResult) -> str | None:
    """A panel's verdict, which tells what its spare raters cost; None without a panel, and where people's
    scores moved its order and the verdict.
    """
    if "curate" not in run.stages:
        return None
    diagnostics = RaterErrors.read(run.stages["curate"].path).diagnostics
    account = panel_account(run)
    if account is None or diagnostics.evidence is None or diagnostics.anchors is not None:
        return None
    return panel_verdict(account, diagnostics.evidence)


def rater_rows(account: PanelAccount) -> list[list[Any]]:
    """The raters under RATER_COLUMNS."""
    return [[asdict(rater)[name] for name in RATER_COLUMNS] for rater in account.raters]


def measures(account: PanelAccount) -> dict[str, float]:
    """The panel's numbers, by name; those that are not known are left out."""
    known = {
        "independent_raters": account.independent_raters,
        "reliability": account.reliability,
        "gain_of_another": account.gain_of_another,
        "spare_raters": float(len(account.spare)),
        "spare_usd": account.saved,
    }
    by_rater = {f"loading.{rater.name}": rater.loading for rater in account.raters}
    return {name: value for name, value in {**known, **by_rater}.items() if value is not None}
