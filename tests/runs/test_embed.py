"""A neural embedding is done in blocks: interrupted, it embeds what is left; memory holds one at a time."""

from __future__ import annotations

import tracemalloc
from pathlib import Path

import numpy as np
import pytest
from helpers.encoders import tiny_encoder

from ds2.artifacts.embeddings import read_embeddings
from ds2.artifacts.run import RunResult
from ds2.config.compose import compose
from ds2.models import encoder
from ds2.models.parts import Part
from ds2.runs.chain import Chain
from ds2.runs.verify import State, verify

ROWS = 1300


def chain(folder: Path, model: Path, *more: str) -> Chain:
    fixed = ["until=embed", "embedder=sentence_transformers", f"embedder.model={model}",
             f"pool.samples={ROWS}", "tracking=none", "runtime.progress=false",
             f"paths.artifacts={folder}"]  # fmt: skip
    return Chain(compose([*fixed, *more]))


def content(result: RunResult) -> bytes:
    return (result.stages["embed"].path / "embeddings.npy").read_bytes()


@pytest.fixture
def model(tmp_path) -> Path:
    for name in ("torch", "transformers", "sentence_transformers"):
        pytest.importorskip(name)
    return tiny_encoder(tmp_path)


class Calls(list[int]):
    """How many texts each call of the model was given; the one after `most` calls is interrupted."""

    most: int | None = None


@pytest.fixture
def encoded(monkeypatch, model) -> Calls:
    from sentence_transformers import SentenceTransformer

    calls, encode = Calls(), SentenceTransformer.encode

    def counted(self, texts, **options):
        if len(calls) == calls.most:
            raise KeyboardInterrupt
        calls.append(len(texts))
        return encode(self, texts, **options)

    monkeypatch.setattr(SentenceTransformer, "encode", counted)
    return calls


def interrupted(folder: Path, model: Path, encoded: Calls) -> Path:
    """An embedding that was interrupted after two blocks; where it keeps them."""
    encoded.clear()
    encoded.most = 2
    with pytest.raises(KeyboardInterrupt):
        chain(folder, model).run()
    encoded.clear()
    encoded.most = None
    (partial,) = (folder / "embed").glob(".partial-*")
    return partial / "parts"


def test_an_interrupted_embedding_embeds_what_is_left_and_equals_the_undisturbed_one(
    tmp_path, model, encoded
):
    whole = chain(tmp_path / "whole", model).run()
    assert encoded == [512, 512, 276]
    interrupted(tmp_path / "again", model, encoded)
    again = chain(tmp_path / "again", model).run()
    assert encoded == [276]
    assert content(again) == content(whole)
    records = [result.stages["embed"].record for result in (whole, again)]
    assert records[0]["compute"]["tokens"] == records[1]["compute"]["tokens"]
    assert records[0]["files"].keys() == records[1]["files"].keys() == {"embeddings.npy"}
    (verified,) = verify(tmp_path / "again", str(again.stages["embed"].path))
    assert verified.state is State.equal, verified.text


def test_a_damaged_block_and_one_of_another_model_are_embedded_again(tmp_path, model, encoded):
    whole = content(chain(tmp_path / "whole", model).run())
    (tmp_path / "b").mkdir()
    parts = interrupted(tmp_path / "again", model, encoded)
    other = interrupted(tmp_path / "other", tiny_encoder(tmp_path / "b", seed=1), encoded)
    block = parts / "000000000.npz"
    block.write_bytes(block.read_bytes()[:-40])
    (parts / "000000512.npz").write_bytes((other / "000000512.npz").read_bytes())
    assert content(chain(tmp_path / "again", model).run()) == whole
    assert encoded == [512, 512, 276]


def test_memory_holds_a_block_of_embeddings_and_not_all_of_them(tmp_path, model, monkeypatch):
    width = 8192
    rng = np.random.default_rng(0)

    def wide(*_):
        return lambda texts: Part(rng.random((len(texts), width), dtype=np.float32), 1, 1)

    monkeypatch.setattr(encoder, "_encoder", wide)
    tracemalloc.start()
    try:
        made = chain(tmp_path / "artifacts", model, "pool.samples=6000").run()
        _, most = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert read_embeddings(made.stages["embed"].path).shape == (6000, width)
    assert most < 4 * 6000 * width / 2
