"""Neural sentence embeddings; rows are rounded as the device and its threads have it."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ds2.base.engine import HERE, Engine
from ds2.base.errors import MissingInput, UserError
from ds2.base.hashes import fingerprint
from ds2.models.attention import attention_of_any_length
from ds2.models.compute import Meter
from ds2.models.parts import Part, in_parts
from ds2.models.pretrained import NO_CODE, BringsCode, data_only


def encode(
    texts: Sequence[str],
    folder: Path,
    *,
    model: str,
    revision: str | None,
    max_tokens: int | None,
    batch_size: int,
    device: str,
    progress: bool,
    meter: Meter,
    identity: str,
    engine: Engine = HERE,
) -> Iterator[NDArray[np.float32]]:
    """(n, d) rows of N texts by a sentence-transformers model, in blocks of `PART`; not normalised.

    Args:
        folder: where finished blocks are kept; those that are there are not computed again.
        model: hub name or local folder; `revision` is the commit of a hub name.
        max_tokens: cut of a text; None: the model's own limit.
        device: `auto`, or torch's word for one.
        meter: told what the model read.
        identity: of model and cut, wherever the model lies: blocks of another are not taken.

    Raises:
        MissingInput: the model cannot be loaded.
        UserError: it brings code of its own.
    """
    return in_parts(
        texts,
        partial(_encoder, model, revision, max_tokens, batch_size, device),
        folder,
        progress=progress,
        what="embedding",
        meter=meter,
        engine=engine,
        origin=lambda some: fingerprint([identity, *some]),
    )


def _encoder(
    model: str, revision: str | None, max_tokens: int | None, batch_size: int, device: str
) -> Callable[[Sequence[str]], Part]:
    """The model, loaded, as what makes rows of texts."""
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "true")
    encoder = _with_mean_pooling(model, revision, max_tokens, device)
    parameters = sum(parameter.numel() for parameter in encoder.parameters())

    @attention_of_any_length()
    def rows(texts: Sequence[str]) -> Part:
        vectors = encoder.encode(
            list(texts), batch_size=batch_size, show_progress_bar=False, convert_to_numpy=True
        )
        read = encoder.tokenizer(
            list(texts), truncation=True, max_length=encoder.max_seq_length, return_attention_mask=False
        )["input_ids"]
        return Part(np.asarray(vectors, dtype=np.float32), sum(map(len, read)), parameters)

    return rows


def _with_mean_pooling(model: str, revision: str | None, max_tokens: int | None, device: str) -> Any:
    """The paper pools by the mean, whatever the model's own folder says."""
    from sentence_transformers import SentenceTransformer
    from sentence_transformers.sentence_transformer.modules import Pooling, Transformer

    local = Path(model).expanduser()
    name = str(local) if local.is_dir() else model
    options = NO_CODE | ({} if revision is None or local.is_dir() else {"revision": revision})
    try:
        with data_only():
            words = Transformer(name, model_kwargs=options, processor_kwargs=options, config_kwargs=options)
    except BringsCode as error:
        raise UserError(f"embedder.model={model} cannot be loaded: {error}") from error
    except (OSError, ValueError) as error:
        raise MissingInput(
            f"embedder.model={model} cannot be loaded: {str(error).splitlines()[0]}; fetch it with "
            "prepare=true where the hub can be reached, give a local folder, or use embedder=tfidf_svd, "
            "which needs no weights"
        ) from error
    if max_tokens is not None:
        words.max_seq_length = max_tokens
    pooling = Pooling(words.get_embedding_dimension(), pooling_mode="mean")
    return SentenceTransformer(modules=[words, pooling], device=None if device == "auto" else device)
