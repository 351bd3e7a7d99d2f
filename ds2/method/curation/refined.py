"""`curate(method="refine")`: the student of one rater with its posterior, or of a panel, and the verdict in
plain words.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ds2.method.agreement import lower_median
from ds2.method.curation.inputs import Inputs
from ds2.method.curation.posterior import fit_posterior
from ds2.method.curation.result import CurationResult, Diagnostics
from ds2.method.curation.verdict import ASK
from ds2.method.diversity import long_tail_scores
from ds2.method.panel import fit_panel
from ds2.method.panel_result import Panel, PanelAccount
from ds2.method.refine import Evidence, refine

Array = NDArray[np.float64]


def run_refine(
    inputs: Inputs,
    scores: ArrayLike | None,
    num_scores: int,
    texts: Sequence[str] | None,
    features: ArrayLike | None,
    *,
    length: str,
    k: int,
    seed: int,
    raters: Sequence[str] | None = None,
    prices: Mapping[str, float] | None = None,
) -> CurationResult:
    """Refined order with bare diagnostics; curated is the given score, the posterior's argmax where there
    is none. Of a panel, the posterior is of its fused score, rounded to a level.

    scores: as given and checked; where they lie between whole numbers, the posterior and `curated` see them
    rounded. raters, prices: the columns' raters and what each costs, as `fit_panel` takes them.
    """
    R = inputs.scores.shape[1]
    panel = None
    if R > 1:
        panel = fit_panel(inputs.scores, num_scores=num_scores, names=raters, prices=prices, seed=seed)
    given = lower_median(inputs.scores)
    noise = None
    if panel is None:
        plain = np.where(scores.mask, -1, scores.data) if isinstance(scores, np.ma.MaskedArray) else scores
        exact = np.asarray(plain, dtype=np.float64).reshape(len(given))
    else:
        exact, unit = _panel_scores(panel, num_scores)
        noise = (panel.account.noise * unit, "the panel's own error")
    one = inputs.scores if panel is None else np.rint(exact).astype(np.int64)[:, None]
    fit = fit_posterior(inputs.graph, one, num_scores, k=k, seed=seed)
    refinement = refine(
        inputs.embeddings,
        exact,
        graph=inputs.graph,
        num_scores=num_scores,
        texts=texts,
        features=features,
        posterior_mean=fit.posterior @ np.arange(num_scores) if panel is None else None,
        noise=noise,
        length=length,
        k=k,
        seed=seed,
    )
    diagnostics = Diagnostics(
        method="refine",
        num_samples=len(given),
        raters=[],
        fit=fit.summary if panel is None else None,
        evidence=refinement.evidence,
        panel=None if panel is None else panel.account,
        verdict=verdict(refinement.evidence)
        if panel is None
        else panel_verdict(panel.account, refinement.evidence),
        warnings=[*(fit.warnings if panel is None else panel.warnings), *refinement.warnings],
    )
    return CurationResult(
        transition=fit.T[0] if panel is None else None,
        prior=fit.p if panel is None else None,
        curated=np.where(given >= 0, given, fit.posterior.argmax(axis=1)).astype(np.int64),
        confidence=fit.posterior.max(axis=1),
        flagged=refinement.flagged,
        posterior=fit.posterior,
        long_tail=long_tail_scores(inputs.graph, k),
        diagnostics=diagnostics,
        refined=refinement.refined,
        student=refinement.student,
    )


def _panel_scores(panel: Panel, num_scores: int) -> tuple[Array, float]:
    """The panel's score on the raters' scale, (N,), -1 where nobody rated: mean and spread of the plain
    mean; and the points that one standard deviation of quality is.
    """
    anyone = np.isfinite(panel.mean)
    unit = float(panel.mean[anyone].std()) / max(float(panel.score[anyone].std()), 1e-12)
    on_scale = float(panel.mean[anyone].mean()) + unit * (panel.score - float(panel.score[anyone].mean()))
    return np.where(anyone, np.clip(on_scale, 0, num_scores - 1), -1.0), unit


def panel_verdict(panel: PanelAccount, evidence: Evidence) -> str:
    """Three sentences: how the raters were fused and what the panel is worth; what it cannot tell; what
    would tell.
    """
    student = "" if evidence.student.refused else ", near-equal ones ordered by a student of the panel"
    R = len(panel.raters)
    if panel.repeats_of is not None:
        return (
            f"The {R} repeats of {panel.repeats_of} were fused into one score{student}: it follows "
            f"the rater's own mean opinion with reliability {panel.reliability:.2f}. That takes the rater's "
            "noise away and none of its errors, which every repeat shares. About a hundred scores by people "
            f"on the criterion you mean ({ASK}), or a second rater, would tell."
        )
    idle = ""
    if panel.spare:
        saving = f" and saves ${panel.saved:,.2f}" if panel.saved else ""
        idle = f"; leaving out {', '.join(panel.spare)} costs next to nothing{saving}"
    return (
        f"The scores of {R} raters were fused by what they share{student}: together they are worth "
        f"{panel.independent_raters:.1f} independent raters{idle}. Agreement between raters is not "
        "correctness: errors that all of them share cannot be seen from inside. About a hundred scores by "
        f"people on the criterion you mean ({ASK}) would tell."
    )


def verdict(evidence: Evidence) -> str:
    """Three sentences: what was done and on what evidence; what it cannot tell; what would tell."""
    s = evidence.student
    if s.refused and evidence.posterior_weight:
        done = "The given scores were kept, and equal ones ordered by what their neighbours' scores say"
        why = (
            "a student of the rater predicts nothing out of fold "
            f"(R^2 {s.r2:.2f}, {s.r2_low:.2f} to {s.r2_high:.2f})"
        )
    elif s.refused:
        done, why = (
            "The given scores were kept and equal ones left equal",
            "nothing that predicts them was found",
        )
    else:
        help_ = " and their neighbours' scores" if evidence.posterior_weight else ""
        done = f"The given scores were kept, and equal ones ordered by a student of the rater{help_}"
        why = (
            f"it predicts the rater's scores out of fold with R^2 {s.r2:.2f} "
            f"({s.r2_low:.2f} to {s.r2_high:.2f})"
        )
    return (
        f"{done}: {why}. That shows what this rater would say again, not that it is right: one rater's "
        "scores cannot tell a noisy rater from neighbours that differ, and its habits, such as liking "
        "length, are learned with the rest. About a hundred scores by people on the criterion you mean "
        f"({ASK}), or a second rater, would tell."
    )
