"""Planted pools and the fixtures made by the authors' code."""

import os
from pathlib import Path

import numpy as np
import pytest

from ds2.method.curation.planted import ordinal_transition, plant_pool
from ds2.method.knn import knn_graph

DATA = Path(os.environ.get("DS2_DATA", Path(__file__).resolve().parents[4] / "shared"))


@pytest.fixture(scope="session")
def golden():
    """Loader of a golden fixture by name, with its graph; skips where the files are not at hand."""
    loaded = {}

    def load(name):
        path = DATA / "golden" / f"golden_{name}.npz"
        if not path.exists():
            pytest.skip(f"needs {path.name} (set DS2_DATA to the folder that holds golden/)")
        if name not in loaded:
            with np.load(path) as arrays:
                z = {key: arrays[key] for key in arrays.files}
            z["score"] = z["score"].astype(np.int64)
            z["graph"] = knn_graph(z["features"], 32)
            loaded[name] = z
        return loaded[name]

    return load


@pytest.fixture(scope="session")
def pool():
    """A pool that keeps the clusterability assumption, with an ordinal rater."""
    return plant_pool(2000, transitions=ordinal_transition(6, accuracy=0.6), cluster_size=15, seed=1)


@pytest.fixture(scope="session")
def pool_graph(pool):
    return knn_graph(pool.embeddings, 32)
