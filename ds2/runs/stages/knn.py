"""Stage `knn`: each sample's nearest neighbours."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from ds2.artifacts.embeddings import read_embeddings
from ds2.artifacts.graph import write_graph
from ds2.artifacts.graph_blocks import SCRATCH, GraphBlocks
from ds2.artifacts.step import Outcome, Step
from ds2.artifacts.versions import version
from ds2.method.knn import knn_graph
from ds2.models import flops
from ds2.models.compute import Compute, device_name
from ds2.runs.context import Context, identity


def step(run: Context) -> Step:
    """The step that writes the graph."""
    config = run.config.knn

    def compute(folder: Path) -> Outcome:
        rows = np.asarray(read_embeddings(run.path("embed")))
        graph = knn_graph(
            rows,
            k=config.k,
            method=config.method,
            device=config.runtime.device,
            progress=run.progress,
            keep=GraphBlocks(folder / SCRATCH[0]),
        )
        write_graph(folder, graph)
        counts = {"samples": graph.num_samples, "k": graph.k, "search": graph.search}
        operations = flops.comparing(len(rows), rows.shape[1], graph.compared)
        return Outcome(counts, compute=Compute(0, operations, device=device_name(config.runtime.device)))

    slug = f"{run.pool.name}-{config.method.value}"
    number = version("knn", config.method.value)
    return Step("knn", number, slug, identity(config), run.inputs("embed"), compute, scratch=SCRATCH)
