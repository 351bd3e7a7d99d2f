"""DS2: select instruction-tuning data. Rate with LLMs, correct the ratings without ground truth, keep the
rare.

    result = ds2.curate(embeddings, scores, num_scores=6, texts=answers)
    rows = ds2.select(result, 10_000)

Importing this package loads neither torch nor Hydra; each name below is imported when first used.
"""

from __future__ import annotations

import importlib
import sys
from typing import TYPE_CHECKING, Any

from ds2.base.version import VERSION

if TYPE_CHECKING:
    from ds2.method.curation.api import curate as curate
    from ds2.method.curation.planted import PlantedPool as PlantedPool
    from ds2.method.curation.planted import plant_pool as plant_pool
    from ds2.method.curation.result import CurationResult as CurationResult
    from ds2.method.curation.result import Diagnostics as Diagnostics
    from ds2.method.curation.validation import leave_one_rater_out as leave_one_rater_out
    from ds2.method.knn import KnnGraph as KnnGraph
    from ds2.method.knn import knn_graph as knn_graph
    from ds2.method.ranking import select as select
    from ds2.runs.library import FinishedRun as FinishedRun
    from ds2.runs.library import run as run
    from ds2.runs.stored import FinishedSweep as FinishedSweep
    from ds2.runs.stored import load_run as load_run
    from ds2.runs.stored import load_sweep as load_sweep

__version__ = VERSION

_HOME = {
    "curate": "ds2.method.curation.api",
    "CurationResult": "ds2.method.curation.result",
    "Diagnostics": "ds2.method.curation.result",
    "FinishedRun": "ds2.runs.library",
    "FinishedSweep": "ds2.runs.stored",
    "KnnGraph": "ds2.method.knn",
    "knn_graph": "ds2.method.knn",
    "leave_one_rater_out": "ds2.method.curation.validation",
    "load_run": "ds2.runs.stored",
    "load_sweep": "ds2.runs.stored",
    "PlantedPool": "ds2.method.curation.planted",
    "plant_pool": "ds2.method.curation.planted",
    "run": "ds2.runs.library",
    "select": "ds2.method.ranking",
}

__all__ = ["__version__", *sorted(_HOME)]


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        from ds2.base.deprecated import library_name

        today = library_name(name)
        if today is None:
            raise AttributeError(f"module 'ds2' has no attribute {name!r}")
        return getattr(sys.modules[__name__], today)
    value = getattr(importlib.import_module(_HOME[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *_HOME})
