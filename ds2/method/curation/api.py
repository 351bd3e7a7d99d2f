"""The public edge of curation: inputs are checked here once, then one method runs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ds2.base.errors import UserError
from ds2.method.agreement import lower_median
from ds2.method.curation.anchored import (
    Anchors,
    anchor_posterior,
    anchor_refined,
    check_told,
    posterior_with_anchors,
)
from ds2.method.curation.detection import CONFIDENCE
from ds2.method.curation.diagnostics import count_repeats, describe_rater, length_warnings, rater_warnings
from ds2.method.curation.inputs import (
    Inputs,
    check_options,
    check_resampling,
    check_settings,
    gather_inputs,
)
from ds2.method.curation.rank import curate_by_rank, double_graph, halve
from ds2.method.curation.result import CurationResult, Diagnostics
from ds2.method.curation.verdict import verdict_of
from ds2.method.diversity import long_tail_scores
from ds2.method.knn import KnnGraph
from ds2.method.length import LengthOfOrders, owed_to_length
from ds2.method.ranking import order_values
from ds2.method.scores import check_scores
from ds2.method.stated import check_stated


def curate(
    embeddings: ArrayLike | None = None,
    scores: ArrayLike | None = None,
    *,
    num_scores: int = 6,
    method: str = "refine",
    k: int = 10,
    confidence: float = CONFIDENCE,
    seed: int = 0,
    graph: KnnGraph | None = None,
    duplicate_pool: bool = False,
    hoc_solver: str = "adam",
    hoc_rounds: int = 50,
    rounds: int = 51,
    bootstrap: int = 0,
    on_uninformative: str = "warn",
    texts: Sequence[str] | None = None,
    lengths: ArrayLike | None = None,
    features: ArrayLike | None = None,
    length: str = "as_rated",
    device: str = "cpu",
    raters: Sequence[str] | None = None,
    prices: Mapping[str, float] | None = None,
    anchors: Mapping[int, int] | None = None,
    anchor_weight: ArrayLike | None = None,
    rater_accuracy: float | Sequence[float] | None = None,
    transition: ArrayLike | None = None,
) -> CurationResult:
    """Estimate how the rater errs and correct its scores; measure each sample's long-tail diversity.

    embeddings: (N, d) numbers, normalised here; may be left out where `graph` is given and long enough.
    scores: (N,) integers in 0..K-1 with -1 for unrated, or (N, R) for R raters (`refine`, `posterior`);
    of one rater `refine` also takes numbers between (expected ratings). num_scores: K, 2 to 11.
    method: `refine` (the default: the given score first; equal ones by the rater's student and the
    posterior: `result.refined`; give it texts), `rank` (the paper), `posterior` (one likelihood for matrix,
    prior and scores), `none` (scores stay as given).
    k: neighbours; counts the sample itself for `rank` and the long-tail score, others only for `posterior`.
    confidence: `rank`'s replacement threshold. duplicate_pool: `rank` on the pool concatenated with itself,
    as the released code does; for parity only. hoc_solver, hoc_rounds, rounds: `rank`'s fit and its numbers
    of subsampled rounds.
    bootstrap: resamples for `result.uncertainty`; 0 for none. on_uninformative: what to do where neighbours
    tell nothing about a rater. texts, lengths: (N,), for the duplicate and length diagnostics; lengths
    default to words. `refine` also learns from texts (the rated parts) and from features, (N, f)
    columns of one's own; length: `ignore` takes length out of its order.
    raters: of `refine` on several columns, the name of each one's rater; columns of one name are repeats of
    one rater. prices: dollars that each rater's scores cost, by name. What the panel is worth and what each
    rater adds is `result.diagnostics.panel`.
    anchors: {row: true score} that people gave, at least 20, for `refine` and `posterior`: they move an
    order only by what they show out of sample (`anchored`). anchor_weight: their design weights, in the
    mapping's order (`draw_anchors`); left out, they count as a plain random draw. rater_accuracy: how often
    the rater (each rater) is known to be right. transition: its whole matrix, (K, K) or (R, K, K), rows by
    true score. Both are for `posterior`, which without them or anchors cannot tell a noisy rater from
    impure neighbourhoods.

    ValueError or TypeError, one line, for inputs that cannot work.
    """
    check_options(method, num_scores, k, confidence, seed)
    check_settings(
        method, duplicate_pool, hoc_solver, hoc_rounds, rounds, bootstrap, on_uninformative, device
    )
    if method != "refine" and (features is not None or length != "as_rated"):
        raise UserError(f"features and length are for method='refine'; they have no meaning for {method!r}")
    given = check_scores(scores, num_scores, method)
    if (raters is not None or prices is not None) and (method != "refine" or given.shape[1] == 1):
        raise UserError("raters and prices are for method='refine' on several columns of scores, (N, R)")
    check_resampling(given, bootstrap)
    asked = check_told(anchors, anchor_weight, len(given), num_scores)
    stated = check_stated(rater_accuracy, transition, num_scores, given.shape[1])
    _check_knowledge(method, bootstrap, asked is not None, stated is not None)
    inputs = gather_inputs(given, embeddings, graph, texts, lengths, method, k, device)
    if method == "refine":
        from ds2.method.curation.refined import run_refine

        result = run_refine(
            inputs, scores, num_scores, texts, features, length=length, k=k, seed=seed, raters=raters,
            prices=prices,
        )  # fmt: skip
        if asked is not None:
            read = None if length == "ignore" else texts
            result = anchor_refined(result, inputs, asked, num_scores, read)
    else:
        result = _run(
            inputs, num_scores, method, k, confidence, seed, duplicate_pool, hoc_solver, hoc_rounds, rounds,
            asked, stated,
        )  # fmt: skip
    result = _diagnose(result, inputs, num_scores, k, seed, texts, raters)
    if asked is None:
        result = _mind_uninformative(result, inputs.scores, on_uninformative)
    result = _conclude(result, inputs, told=stated is not None)
    if bootstrap and result.diagnostics.kept_raw:
        result.diagnostics.warnings.append("no bootstrap: nothing was curated that could be resampled")
    elif bootstrap:
        from ds2.method.curation.bootstrap import bootstrap_curation

        uncertainty = bootstrap_curation(
            inputs.graph,
            inputs.scores,
            num_scores,
            result,
            k=k,
            confidence=confidence,
            resamples=bootstrap,
            seed=seed,
            embeddings=inputs.embeddings,
        )
        result = replace(result, uncertainty=uncertainty)
    return result


def _conclude(result: CurationResult, inputs: Inputs, *, told: bool) -> CurationResult:
    """The result with a verdict, and with what it owes to length where lengths are known."""
    d = result.diagnostics
    verdict = d.verdict or verdict_of(d.method, inputs.scores.shape[1], told=told, kept_raw=d.kept_raw)
    length, said = None, []
    if inputs.lengths is not None:
        given = np.where((inputs.scores >= 0).any(axis=1), lower_median(inputs.scores), np.nan)
        order = order_values(result.curated, result.long_tail, result.refined)
        owed = [owed_to_length(values, inputs.lengths) for values in (given, order)]
        length = LengthOfOrders(*owed)
        said = length_warnings(length)
    diagnostics = replace(d, verdict=verdict, length=length, warnings=[*d.warnings, *said])
    return replace(result, diagnostics=diagnostics)


def _check_knowledge(method: str, bootstrap: int, asked: bool, stated: bool) -> None:
    """What a method can make of anchors and of a stated accuracy or matrix."""
    if asked and method not in ("refine", "posterior"):
        raise UserError(f"anchors are for method='refine' or 'posterior', got {method!r}")
    if stated and method != "posterior":
        raise UserError(f"a stated accuracy or transition is for method='posterior', got {method!r}")
    if (asked or stated) and bootstrap:
        raise UserError("bootstrap resamples without anchors or a stated accuracy: leave one of the two out")


def _run(
    inputs: Inputs,
    K: int,
    method: str,
    k: int,
    confidence: float,
    seed: int,
    duplicate_pool: bool,
    hoc_solver: str,
    hoc_rounds: int,
    rounds: int,
    asked: Anchors | None,
    stated: NDArray[np.float64] | None,
) -> CurationResult:
    """One method's result, with bare diagnostics."""
    N, R = inputs.scores.shape
    bare = Diagnostics(method=method, num_samples=N, raters=[])
    long_tail = long_tail_scores(inputs.graph, k)
    first = inputs.scores[:, 0]
    if method == "none":
        nothing = np.zeros(N)
        return CurationResult(None, None, first.copy(), nothing, nothing > 0, None, long_tail, bare)
    if method == "posterior":
        from ds2.method.curation.posterior import fit_posterior

        unasked = None
        if asked is None:
            fit = fit_posterior(inputs.graph, inputs.scores, K, k=k, seed=seed, transition=stated)
        else:
            fit, unasked = posterior_with_anchors(inputs, asked, K, k=k, seed=seed, transition=stated)
        curated = fit.posterior.argmax(axis=1).astype(np.int64)
        rated = inputs.scores >= 0
        bare.fit = fit.summary
        bare.warnings = list(fit.warnings)
        result = CurationResult(
            transition=fit.T[0] if R == 1 else fit.T,
            prior=fit.p,
            curated=curated,
            confidence=fit.posterior.max(axis=1),
            flagged=((inputs.scores != curated[:, None]) & rated).sum(axis=1) * 2 > rated.sum(axis=1),
            posterior=fit.posterior,
            long_tail=long_tail,
            diagnostics=bare,
        )
        if asked is None or unasked is None:
            return result
        return anchor_posterior(result, inputs, asked, K, unasked)
    graph, scores, embeddings = inputs.graph, first, inputs.embeddings
    if duplicate_pool:
        graph, scores = double_graph(graph), np.concatenate([first, first])
        embeddings = None if embeddings is None else np.concatenate([embeddings, embeddings])
        long_tail = long_tail_scores(graph, k)[:N]
    num_rated = int((scores >= 0).sum())
    if num_rated < 3:
        raise UserError(f"method 'rank' needs at least 3 rated samples, got {num_rated}")
    ranked = curate_by_rank(
        graph,
        scores,
        K,
        k=min(k, num_rated),
        confidence=confidence,
        rounds=rounds,
        hoc_rounds=hoc_rounds,
        hoc_solver=hoc_solver,
        seed=seed,
        embeddings=embeddings,
    )
    seen = halve(ranked.detection, N)
    bare.fit = ranked.summary
    return CurationResult(
        ranked.fit.T, ranked.fit.p, seen.curated, seen.confidence, seen.flagged, None, long_tail, bare
    )


def _diagnose(
    result: CurationResult,
    inputs: Inputs,
    K: int,
    k: int,
    seed: int,
    texts: Sequence[str] | None,
    names: Sequence[str] | None,
) -> CurationResult:
    N, R = inputs.scores.shape
    said = list(result.diagnostics.warnings)
    matrices = None if result.transition is None else result.transition.reshape(-1, K, K)
    raters = []
    for r in range(R):
        T = None if matrices is None or len(matrices) < R else matrices[r]
        rater = describe_rater(
            inputs.scores[:, r], K, inputs.graph, k=k, seed=seed, T=T, lengths=inputs.lengths
        )
        raters.append(rater)
        label = "this rater" if R == 1 else f"rater {r}" if names is None else _column_name(names, r)
        said += rater_warnings(rater, label)
    repeats = None if texts is None else count_repeats(texts)
    copies = int((inputs.graph.distances[:, 0] < 1e-6).sum())
    if repeats:
        said.append(
            f"{repeats} of {N} texts occur more than once: copies count as neighbours and fake agreement"
        )
    elif copies > 0.01 * N:
        said.append(f"{copies} of {N} samples have an exact copy among the embeddings, which fakes agreement")
    if result.diagnostics.fit is not None and result.diagnostics.fit.spread > 0.1:
        said.append(
            f"near-equal optima differ by up to {result.diagnostics.fit.spread:.2f} in an entry of T: "
            "the matrix is not well identified"
        )
    raw = lower_median(inputs.scores)
    changed = int(((raw >= 0) & (result.curated != raw)).sum())
    diagnostics = replace(
        result.diagnostics,
        raters=raters,
        duplicate_texts=repeats,
        duplicate_embeddings=copies,
        num_flagged=int(result.flagged.sum()),
        num_changed=changed,
        warnings=said,
    )
    return replace(result, diagnostics=diagnostics)


def _column_name(names: Sequence[str], r: int) -> str:
    """The r-th column's rater, and which of its repeats it is where there are several."""
    name = str(names[r])
    repeated = list(map(str, names)).count(name) > 1
    return f"{name} (repeat {list(map(str, names[:r])).count(name) + 1})" if repeated else name


def _mind_uninformative(result: CurationResult, scores: NDArray[np.int64], policy: str) -> CurationResult:
    """Obey `on_uninformative` where no rater's neighbours tell anything."""
    measured = [r.clusterability for r in result.diagnostics.raters if r.clusterability is not None]
    if (
        policy == "warn"
        or result.refined is not None
        or result.transition is None
        or any(c.informative for c in measured)
    ):
        return result
    line = "neighbours carry no information about the scores"
    if not measured:
        line = "too few rated samples to tell whether neighbours carry information"
    if policy == "fail":
        raise UserError(f"{line}; on_uninformative='keep_raw' keeps the given scores, 'warn' curates anyway")
    said = [*result.diagnostics.warnings, f"{line}: the given scores were kept"]
    return replace(result, diagnostics=replace(result.diagnostics, warnings=said)).keeping(
        lower_median(scores)
    )
