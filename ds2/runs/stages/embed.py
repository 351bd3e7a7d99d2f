"""Stage `embed`: a unit row for each conversation; a neural encoder that is interrupted keeps its blocks."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ds2.artifacts import embeddings as artifact
from ds2.artifacts.step import Outcome, Step
from ds2.artifacts.versions import version
from ds2.base.errors import UserError
from ds2.base.hashes import fingerprint
from ds2.base.load import load_function
from ds2.config import EmbedderConfig, SentenceEmbedderConfig, ServerEmbedderConfig, TfidfEmbedderConfig
from ds2.method.embedding import tfidf_svd, unit_rows
from ds2.models import encoder, server_encoder
from ds2.models.compute import NO_MODEL, SERVER, UNKNOWN, Compute, Meter
from ds2.rating import by_model
from ds2.runs.context import Context, identity


def step(run: Context) -> Step:
    """The step that writes the embeddings."""
    embedder = run.config.embedder
    values: dict[str, Any] = identity(embedder)
    commit: str | None = None
    if embedder.implementation is not None:
        content = embedder.implementation_identity() | run.contents(embedder, embedder.files)
        values = identity(embedder, drop=embedder.files) | content
    elif isinstance(embedder, SentenceEmbedderConfig):
        model, commit = run.named(embedder.model, embedder.revision)
        values = {**identity(embedder, drop=("model", "revision")), "model": model}
    elif isinstance(embedder, ServerEmbedderConfig):
        server_encoder.check(embedder)
        values = identity(embedder, drop=("base_url", "ca_file"))
    in_blocks = isinstance(embedder, SentenceEmbedderConfig) and embedder.implementation is None

    def compute(folder: Path) -> Outcome:
        meter, without = Meter(), 0

        def rows() -> Iterator[NDArray[np.float32]]:
            nonlocal without
            at = 0
            for vectors in _vectors(run, commit, artifact.parts(folder), fingerprint(values), meter):
                unit = unit_rows(vectors, at)
                without += unit.without_terms
                at += len(vectors)
                yield unit.vectors

        count = len(run.pool.load())
        width = artifact.write_embeddings(folder, count, rows())
        warnings = (f"{without} texts have no known term; they share one fixed vector",) if without else ()
        counts = {"samples": count, "dimensions": width, "without_terms": without}
        return Outcome(counts, warnings, _compute(embedder, meter))

    slug = f"{run.pool.name}-{embedder.name}"
    return Step(
        "embed",
        version("embed"),
        slug,
        values,
        run.inputs(pool=True),
        compute,
        scratch=artifact.SCRATCH if in_blocks else (),
        package=embedder.package,
    )


def _compute(embedder: EmbedderConfig, meter: Meter) -> Compute:
    """What making the rows took. A server tells no tokens, and a plugin's code nothing."""
    if isinstance(embedder, TfidfEmbedderConfig) and embedder.implementation is None:
        return NO_MODEL
    if isinstance(embedder, SentenceEmbedderConfig) and embedder.implementation is None:
        return meter.total(embedder.runtime.device)
    served = isinstance(embedder, ServerEmbedderConfig)
    return replace(UNKNOWN, device=SERVER if served else UNKNOWN.device)


def _vectors(
    run: Context, commit: str | None, parts: Path, identity: str, meter: Meter
) -> Iterable[NDArray[np.float32]]:
    """Blocks of rows, not normalised; those of a neural encoder one at a time."""
    embedder, pool = run.config.embedder, run.pool.load()
    if embedder.implementation is not None:
        vectors = np.asarray(load_function(embedder.implementation)(embedder, pool), dtype=np.float32)
        if vectors.ndim != 2 or len(vectors) != len(pool):
            raise UserError(
                f"{embedder.implementation} must return {len(pool)} rows, got shape {vectors.shape}"
            )
        return [vectors]
    if isinstance(embedder, TfidfEmbedderConfig):
        return [
            tfidf_svd(
                pool.contents(),
                dimensions=embedder.dimensions,
                min_df=embedder.min_df,
                max_df=embedder.max_df,
            )
        ]
    if isinstance(embedder, SentenceEmbedderConfig):
        return encoder.encode(
            pool.conversations(),
            parts,
            model=embedder.model,
            revision=commit,
            max_tokens=embedder.max_tokens,
            batch_size=embedder.runtime.batch_size,
            device=embedder.runtime.device,
            progress=run.progress,
            meter=meter,
            identity=identity,
            engine=run.engine,
        )
    if isinstance(embedder, ServerEmbedderConfig):
        answers = Path(run.config.paths.artifacts) / by_model.FOLDER
        return server_encoder.encode(
            embedder, pool.conversations(), folder=answers, progress=run.progress, engine=run.engine
        )
    raise TypeError(f"unknown kind of embedder: {type(embedder).__name__}")
