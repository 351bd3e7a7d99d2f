"""A strategy asked directly, with the inputs that a test plants."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest

from ds2.config.selection import FilterConfig
from ds2.config.strategies import STRATEGIES
from ds2.method.knn import knn_graph
from ds2.pool import Message, Pool, Sample
from ds2.selection import Choice, Readers, Request, choose


def make_pool(
    answers: list[str], sources: list[str] | None = None, columns: list[dict] | None = None
) -> Pool:
    """A pool of one-turn conversations with these answers."""
    samples = [
        Sample(
            f"s{i}",
            i,
            sources[i] if sources else "s",
            (Message("user", "q"), Message("assistant", answer)),
            columns[i] if columns else {},
        )
        for i, answer in enumerate(answers)
    ]
    return Pool(samples, len(samples))


def ask(
    strategy: str,
    budget: float,
    *,
    size: int | None = None,
    seed: int = 0,
    filter: dict[str, Any] | None = None,
    inputs: dict[str, Any] | None = None,
    rows: Any = None,
    graph_k: int = 16,
    **options: Any,
) -> Choice:
    """The choice of one strategy.

    inputs: what Readers reads, as values. rows: embeddings, from which the graph of graph_k neighbours is
    made as well.
    """
    given = dict(inputs or {})
    if rows is not None:
        unit = np.asarray(rows, dtype=np.float32)
        unit = unit / np.linalg.norm(unit, axis=1, keepdims=True)
        given |= {"embeddings": unit, "graph": knn_graph(unit, graph_k)}
    if isinstance(given.get("curation"), dict):
        given["curation"] = pd.DataFrame(given["curation"])
    if filter is not None:
        options["filter"] = FilterConfig(**filter)
    config = STRATEGIES[strategy](name=strategy, strategy=strategy, **options)
    size = size or len(next(len_able for len_able in given.values() if hasattr(len_able, "__len__")))
    loaders = {name: (lambda value=value: value) for name, value in given.items()}
    return choose(Request(config, size, budget, seed, Readers(**loaders)))


@pytest.fixture(name="ask")
def ask_fixture():
    return ask


@pytest.fixture(name="make_pool")
def make_pool_fixture():
    return make_pool
