"""One quality behind several raters' ordinal scores: a graded response model with one common factor.

Symbols: N samples n, R raters r, K_r score levels that rater r uses (coded 0..K_r-1; -1 is no score).

    theta_n ~ N(0, 1)                               the quality that the raters share
    x_nr = lambda_r theta_n + sqrt(1 - lambda_r^2) e_nr,   e_nr ~ N(0, 1) independent
    s_nr = number of the thresholds tau_r1 < ... < tau_r,K_r-1 that lie below x_nr

    P(s_nr <= k | theta) = Phi(c_rk - a_r theta)
                           a = lambda / sqrt(1 - lambda^2),  c = tau / sqrt(1 - lambda^2)

A score that is missing drops out of its row's product, which is right where what is missing depends on
scores that are seen (a dear rater asked only for what a cheap one liked). EM raises, over a grid of Q nodes
of theta with normal weights W_q,

    sum_n log sum_q W_q prod_r P_r(s_nr | theta_q)  -  kappa / 2 sum_r (a_r - mean a)^2,     a_r >= 0

kappa, in rows, settles what the likelihood leaves open (of two raters only lambda_1 lambda_2 is known: they
are called equal) and keeps a loading from running to 1. The panel's score is E[theta | row]. Were the x
seen, it would be proportional to sum_r lambda_r / (1 - lambda_r^2) x_nr: a rater that follows the others
counts much, one that does not, nothing.

Samejima, Psychometrika Monograph 17 (1969); EM after Bock and Aitkin, Psychometrika 46 (1981).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array
from scipy.special import ndtr, ndtri

Array = NDArray[np.float64]
Codes = NDArray[np.int64]

KAPPA = 10.0
"""Strength of the pull of a_r towards the raters' mean, in rows."""
STEPS = 300
TOLERANCE = 1e-6
"""Gain per row and step at which EM stops."""
FIT_NODES = 49
SCORE_NODES = 97
"""More than in the fit: with many good raters a row's posterior is narrow."""
_STEEPEST = 6.0
"""Largest a_r, lambda = .986: beyond it only duplicates lie."""
_BLOCK = 16_384
_TINY = 1e-12


@dataclass(frozen=True)
class Factor:
    """Fitted parameters. `slopes` (R,): a; `cuts`: for each rater c, (K_r - 1,) ascending; objective per
    row; EM steps taken.
    """

    slopes: Array
    cuts: tuple[Array, ...]
    objective: float
    steps: int

    @property
    def loadings(self) -> Array:
        """lambda, (R,)."""
        return np.asarray(self.slopes / np.sqrt(1 + self.slopes**2))

    @property
    def thresholds(self) -> tuple[Array, ...]:
        """tau, of each rater (K_r - 1,): where a rater's impression, with mean 0 and variance 1, steps to
        the next level.
        """
        return tuple(c / np.sqrt(1 + a**2) for a, c in zip(self.slopes, self.cuts, strict=True))


def grid(nodes: int) -> tuple[Array, Array]:
    """Nodes of theta and their normal weights, (Q,) each."""
    theta = np.linspace(-4.5, 4.5, nodes)
    weight = np.exp(-(theta**2) / 2)
    return theta, weight / weight.sum()


def level_table(a: float, c: Array, theta: Array) -> Array:
    """P(level | theta) of one rater, (K_r, Q), not below 1e-12."""
    below = ndtr(c[:, None] - a * theta)
    edge = np.zeros((1, len(theta)))
    return np.asarray(np.diff(np.concatenate([edge, below, edge + 1]), axis=0).clip(_TINY))


def unique_rows(codes: Codes, levels: int) -> tuple[Codes, Codes, Codes]:
    """Distinct rows of codes (N, R) in -1..levels-1: one index of each (P,), which of them a row is (N,),
    their counts (P,).

    The order of the distinct rows is their lexicographic one.
    """
    key = np.zeros(len(codes), dtype=np.int64)
    span = 1
    for r in range(codes.shape[1]):
        if span > 2**62 // (levels + 1):
            _, key = np.unique(key, return_inverse=True)
            span = len(codes)
        key = key * (levels + 1) + codes[:, r] + 1
        span *= levels + 1
    _, first, which, count = np.unique(key, return_index=True, return_inverse=True, return_counts=True)
    return first, which, count


def indicators(codes: Codes, widths: list[int]) -> csr_array:
    """Rows of codes (P, R) as (P, sum K_r) float64 with a 1 at each score seen."""
    start = np.concatenate([[0], np.cumsum(widths)[:-1]])
    seen = codes >= 0
    columns = (codes + start)[seen]
    ends = np.concatenate([[0], np.cumsum(seen.sum(axis=1))])
    return csr_array((np.ones(len(columns)), columns, ends), shape=(len(codes), sum(widths)))


def fit_factor(codes: Codes, weight: Array, start: Array) -> Factor:
    """Parameters of the module's head by EM.

    codes (P, R): distinct rows, each rater's levels 0..K_r-1 all in use, -1 missing. weight (P,): how many
    samples each row stands for. start (R,): loadings to start from, in 0..1.
    """
    theta, prior = grid(FIT_NODES)
    widths = [int(codes[:, r].max()) + 1 for r in range(codes.shape[1])]
    seen = indicators(codes, widths)
    splits = np.cumsum(widths)[:-1]
    lam = np.clip(start, 0.1, 0.95)
    slopes = lam / np.sqrt(1 - lam**2)
    shares = np.split(seen.T @ weight, splits)
    cuts = [_first_cuts(n) * np.sqrt(1 + a**2) for n, a in zip(shares, slopes, strict=True)]
    last = -np.inf
    steps = 0
    for steps in range(STEPS):  # noqa: B007 - it is returned
        table = np.concatenate([level_table(a, c, theta) for a, c in zip(slopes, cuts, strict=True)])
        posterior, loglik = posterior_of(seen, table, prior)
        value = float(weight @ loglik) - KAPPA / 2 * float(((slopes - slopes.mean()) ** 2).sum())
        if value - last < TOLERANCE * weight.sum():
            break
        last = value
        counts = np.split(seen.T @ (posterior * weight[:, None]), splits)
        center = slopes.mean()
        moved = [_raise_rater(n, a, c, theta, center) for n, a, c in zip(counts, slopes, cuts, strict=True)]
        slopes = np.array([a for a, _ in moved])
        cuts = [c for _, c in moved]
    return Factor(slopes, tuple(cuts), value / float(weight.sum()), steps)


def posterior_of(seen: csr_array, table: Array, prior: Array) -> tuple[Array, Array]:
    """P(theta_q | row), (P, Q), and log P(row), (P,). table (sum K_r, Q): `level_table`s, one below the
    other.
    """
    joint = seen @ np.log(table) + np.log(prior)
    top = joint.max(axis=1, keepdims=True)
    np.exp(joint - top, out=joint)
    total = joint.sum(axis=1, keepdims=True)
    joint /= total
    return joint, np.asarray((np.log(total) + top)[:, 0])


def _first_cuts(counts: Array) -> Array:
    """tau from the share of each level, (K_r - 1,)."""
    return np.asarray(ndtri(np.cumsum(counts)[:-1] / counts.sum()))


def _raise_rater(counts: Array, a: float, c: Array, theta: Array, center: float) -> tuple[float, Array]:
    """M-step of one rater by Fisher scoring: a and c that raise sum counts log P - kappa/2 (a - center)^2.

    counts (K_r, Q): expected samples at each level and node.
    """

    def value(a: float, c: Array) -> float:
        return float((counts * np.log(level_table(a, c, theta))).sum() - KAPPA / 2 * (a - center) ** 2)

    before = value(a, c)
    for _ in range(2):
        gradient, information = _score_and_information(counts, a, c, theta)
        gradient[-1] -= KAPPA * (a - center)
        information[-1, -1] += KAPPA
        step = np.linalg.solve(information, gradient)
        for length in (1.0, 0.5, 0.25, 0.1, 0.02):
            a_new = float(np.clip(a + length * step[-1], 0.0, _STEEPEST))
            c_new = c + length * step[:-1]
            if (np.diff(c_new) > 0).all() and (after := value(a_new, c_new)) >= before:
                a, c, before = a_new, c_new, after
                break
    return a, c


def _score_and_information(counts: Array, a: float, c: Array, theta: Array) -> tuple[Array, Array]:
    """Gradient of sum counts log P in (c_1, .., c_K-1, a), (K_r,), and its expected information, (K_r,
    K_r).
    """
    P = level_table(a, c, theta)
    d = _derivatives(a, c, theta)
    gradient = np.einsum("pjq,jq->p", d, counts / P)
    information = np.einsum("pjq,jq,sjq->ps", d, counts.sum(axis=0) / P, d, optimize=True)
    return gradient, information + np.diag(1e-9 + 1e-9 * information.diagonal())


def _derivatives(a: float, c: Array, theta: Array) -> Array:
    """dP(level j | theta_q) / d(c_1, .., c_K-1, a), (K_r, K_r, Q), parameters first."""
    K = len(c) + 1
    density = np.exp(-((c[:, None] - a * theta) ** 2) / 2) / np.sqrt(2 * np.pi)
    d = np.zeros((K, K, len(theta)))
    for k in range(K - 1):
        d[k, k] = density[k]
        d[k, k + 1] = -density[k]
    edge = np.zeros((1, len(theta)))
    d[K - 1] = -theta * np.diff(np.concatenate([edge, density, edge]), axis=0)
    return d


def slope_errors(model: Factor, codes: Codes, weight: Array) -> Array:
    """Standard errors of the slopes, (R,), from the outer products of the rows' scores; thresholds count as
    known.

    The score of a row in a_r is the posterior mean of d log P_r(s_r | theta) / d a_r (Fisher's identity).
    """
    theta, prior = grid(FIT_NODES)
    widths = [len(c) + 1 for c in model.cuts]
    seen = indicators(codes, widths)
    tables = [level_table(a, c, theta) for a, c in zip(model.slopes, model.cuts, strict=True)]
    posterior, _ = posterior_of(seen, np.concatenate(tables), prior)
    scores = np.zeros(codes.shape)
    for r, (a, c) in enumerate(zip(model.slopes, model.cuts, strict=True)):
        change = np.concatenate([_derivatives(a, c, theta)[-1] / tables[r], np.zeros((1, len(theta)))])
        scores[:, r] = (posterior * change[codes[:, r]]).sum(axis=1)  # the last row serves -1
    information = (scores * weight[:, None]).T @ scores + KAPPA * np.eye(len(widths))
    return np.asarray(np.sqrt(np.linalg.inv(information).diagonal()))


def score_rows(model: Factor, codes: Codes) -> tuple[Array, Array]:
    """Mean and standard deviation of theta given each row of codes (P, R), (P,) each; a row without a score
    gets 0 and 1.
    """
    theta, prior = grid(SCORE_NODES)
    table = np.concatenate([level_table(a, c, theta) for a, c in zip(model.slopes, model.cuts, strict=True)])
    mean, sd = np.empty(len(codes)), np.empty(len(codes))
    for rows in _blocks(len(codes)):
        seen = indicators(codes[rows], [len(c) + 1 for c in model.cuts])
        posterior, _ = posterior_of(seen, table, prior)
        mean[rows] = posterior @ theta
        sd[rows] = np.sqrt(np.maximum(posterior @ theta**2 - mean[rows] ** 2, 0))
    return mean, sd


def _blocks(count: int) -> Iterator[slice]:
    return (slice(start, start + _BLOCK) for start in range(0, count, _BLOCK))
