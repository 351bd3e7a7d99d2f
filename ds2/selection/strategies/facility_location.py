"""The subset that represents the pool best: facility location over the graph.

    f(S) = sum over samples n of max over m in S of w(n, m)
    w(n, n) = 1,  w(n, m) = 1 - D(n, m) for m among the k nearest neighbours of n, else 0

f is monotone and submodular, so taking the sample of largest gain again and again reaches at least 1 - 1/e
of the best possible f (Nemhauser, Wolsey and Fisher 1978). A sample taken changes the gains of few others,
and those are kept up to date. Similarities are counted in whole millionths: sums are exact and the subset
is the same on every machine. Ties by row.
"""

from __future__ import annotations

import numpy as np

from ds2.base.errors import UserError
from ds2.config.selection import FacilityLocationSelectionConfig
from ds2.method.cover import NEVER, UNIT, Cover
from ds2.selection.filters import NEXT, Eligible
from ds2.selection.request import Choice, Request


def choose(request: Request[FacilityLocationSelectionConfig]) -> Choice:
    """The `budget` samples of largest gain, in the order taken; a smaller budget is a prefix of a larger
    one.
    """
    k, graph = request.config.k, request.graph
    if not 1 <= k <= graph.k:
        raise UserError(f"selection.k={k}: the graph stores {graph.k} neighbours; lower it, or raise knn.k")
    eligible = Eligible(request)
    cover = Cover(graph, k)
    cover.gains[~eligible.mask] = NEVER
    positions: list[int] = []
    values: list[float] = []
    while len(positions) < eligible.count:
        n = int(cover.gains.argmax())
        gain = int(cover.gains[n])
        if gain == NEVER:
            break
        cover.gains[n] = NEVER
        if eligible.limits and not eligible.limits.admit(n):
            continue
        cover.take(n)
        positions.append(n)
        values.append(gain / UNIT)
    eligible.check_full(len(positions))
    following = np.argsort(-cover.gains, kind="stable")[:NEXT]
    following = following[cover.gains[following] > NEVER]
    reasons = [f"stands for {value:.2f} samples not covered before" for value in values]
    return Choice(np.array(positions, dtype=np.int64), reasons, np.array(values), following)
