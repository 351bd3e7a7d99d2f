"""Orders of selection that are compared by people's ratings: name -> (n,) numbers, higher first, equal
where the order has no say.
"""

from __future__ import annotations

import numpy as np
from truth_measures import Cell, standardised

import ds2
from ds2.base.errors import UserError
from ds2.method.curation.posterior import fit_posterior
from ds2.method.diversity import long_tail_scores

GIVEN = "given scores"
OF_LENGTH = ("longest", "longest among equals")


def among_equals(scores: np.ndarray, tie: np.ndarray) -> np.ndarray:
    """The given score first, then `tie`."""
    _, rank = np.unique(tie, return_inverse=True)
    return scores + 0.9 * rank / max(int(rank.max()), 1)


def orders(
    cell: Cell, embeddings: np.ndarray, rated: list[str], seed: int = 0, *, brief: bool = False
) -> tuple[dict[str, np.ndarray], dict]:
    """All orders of one rater's cell, and the evidence of `refine`. embeddings (n, d), rated: n texts. brief:
    without those of `rank`, which take most of the time.
    """
    s = cell.scores.astype(float)
    K = int(s.max()) + 1
    graph = ds2.knn_graph(embeddings, 64)
    long_tail = long_tail_scores(graph, 10)
    found = {
        GIVEN: s,
        "given, then long tail": among_equals(s, long_tail),
        "longest": cell.lengths,
        "longest among equals": among_equals(s, cell.lengths),
    }
    if not brief:
        found |= _by_rank(cell, embeddings, graph, long_tail, K, seed)
    mean = fit_posterior(graph, cell.scores[:, None], K, seed=seed).posterior @ np.arange(K)
    found["posterior"] = mean
    found["posterior among equals"] = among_equals(s, mean)
    refined = ds2.curate(
        embeddings, cell.scores, num_scores=K, graph=graph, method="refine", texts=rated, seed=seed
    )
    evidence = refined.diagnostics.evidence
    assert refined.refined is not None
    assert refined.student is not None
    assert evidence is not None
    found["refine"] = refined.refined
    found["student among equals"] = among_equals(s, refined.student)
    found["student, always half posterior"] = among_equals(
        s, standardised(refined.student) + 0.5 * standardised(mean)
    )
    found["student without the score"] = refined.student
    found["people (oracle)"] = cell.human
    about = {"R2": evidence.student.r2, "posterior weight": evidence.posterior_weight}
    about |= {m.name: m.weight for m in evidence.members}
    return found, about


def _by_rank(
    cell: Cell, embeddings: np.ndarray, graph: ds2.KnnGraph, long_tail: np.ndarray, K: int, seed: int
) -> dict[str, np.ndarray]:
    """The paper's curation and its whole method; neither on a pool too small for it."""
    try:
        rank = ds2.curate(embeddings, cell.scores, num_scores=K, graph=graph, method="rank", seed=seed)
    except UserError:
        return {}
    curated = rank.curated.astype(float)
    return {"rank": curated, "paper: rank, then long tail": among_equals(curated, long_tail)}
