"""What `curate` and `knn_graph` can be told to do, by name: the one list that the library and the
configuration share.

Each is a string too: `method="rank"` and `method=CurationMethod.rank` are the same.
"""

from __future__ import annotations

from enum import StrEnum


class CurationMethod(StrEnum):
    refine = "refine"
    """The given score first; equal ones by the rater's student and the posterior."""
    rank = "rank"
    """The paper: HOC, then SimiFeat-rank."""
    posterior = "posterior"
    """One likelihood for transition matrix, prior and scores (EM)."""
    none = "none"
    """Scores stay as given; only the long-tail score is computed."""


class OnUninformative(StrEnum):
    """What to do where neighbours carry no information about a rater."""

    warn = "warn"
    fail = "fail"
    keep_raw = "keep_raw"


class HocSolver(StrEnum):
    adam = "adam"
    """The paper's optimiser."""
    multistart = "multistart"
    """Deterministic, from several starts, true scores named so that the rater is right most often."""


class KnnMethod(StrEnum):
    exact = "exact"
    approximate = "approximate"
    cuvs = "cuvs"
    """NN-descent on a GPU, by the package cuvs."""


class Device(StrEnum):
    cpu = "cpu"
    cuda = "cuda"


class Length(StrEnum):
    """What `refine` makes of the length of texts."""

    as_rated = "as_rated"
    """It counts as it does for the rater."""
    ignore = "ignore"
    """No surface feature of length, and length is taken out of the order."""
