"""Computing once more what is in the store."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from ds2.artifacts.lineage import lineage, locate
from ds2.artifacts.record import RECORD, checksum
from ds2.base.errors import DamagedArtifact, UserError
from ds2.cli import gc
from ds2.config.compose import compose
from ds2.runs import verify as module
from ds2.runs.chain import Chain
from ds2.runs.stages import embed
from ds2.runs.verify import State, verify


@pytest.fixture
def chain(planted_pool: Path) -> Chain:
    """A finished one."""
    made = Chain(compose(["pool=jsonl", f"pool.path={planted_pool}", "until=select", "budget.samples=20",
                          "rater=from_column", "rater.column=true_score", "scale.low=0", "scale.high=5",
                          "selection=ds2_without_curation", "embedder.min_df=1",
                          "tracking=none", "runtime.progress=false",
                          f"paths.artifacts={planted_pool.parent}/artifacts"]))  # fmt: skip
    made.run()
    made.report()
    return made


def states(chain: Chain, name: str, **options: bool) -> dict[str, str]:
    return {each.stage: each.state.value for each in verify(chain.store.root, name, **options)}


def test_an_artifact_a_chain_and_a_run_come_out_equal_and_leave_the_store_as_it_was(chain):
    before = sorted(str(path) for path in chain.store.root.rglob("*"))
    names = [step.name for step in chain.steps]
    knn = chain.store.find(chain.steps[2])
    assert states(chain, chain.steps[2].fingerprint[:6]) == {"knn": "equal"}
    assert states(chain, str(knn), whole=True) == {"embed": "equal", "knn": "equal"}
    assert states(chain, chain.name) == dict.fromkeys(names, "equal")
    (page,) = (chain.store.root / "report").iterdir()
    assert states(chain, str(page)) == dict.fromkeys(names, "equal")
    assert sorted(str(path) for path in chain.store.root.rglob("*")) == before


def test_parts_that_a_measurement_could_have_gone_on_from_are_no_difference(planted_pool):
    pytest.importorskip("transformers")
    made = Chain(compose(["pool=jsonl", f"pool.path={planted_pool}", "pool.limit=40", "model=tiny",
                          "until=select", "selection=perplexity_high", "budget.samples=5", "finetune=none",
                          "eval=none", "tracking=none", "runtime.progress=false",
                          f"paths.artifacts={planted_pool.parent}/artifacts"]))  # fmt: skip
    measured = made.run().stages["measure"]
    assert states(made, measured.fingerprint) == {"measure": "equal"}


def test_gc_leaves_the_folder_of_a_verify_in_progress_alone(chain, monkeypatch):
    recompute = Chain.recompute

    def cleaned_meanwhile(self, step, folder):
        outcome = recompute(self, step, folder)
        gc.run(chain.store, ["delete"])
        return outcome

    monkeypatch.setattr(Chain, "recompute", cleaned_meanwhile)
    assert states(chain, chain.steps[2].fingerprint) == {"knn": "equal"}


def nudged(by: float):
    def vectors(*arguments: object) -> list[np.ndarray]:
        (made,) = embed_vectors(*arguments)
        made[5] += by * made.std()
        return [made]

    embed_vectors = embed._vectors
    return vectors


def test_code_that_gives_something_else_is_named_with_file_and_extent(chain, monkeypatch):
    monkeypatch.setattr(embed, "_vectors", nudged(1e-5))
    (found,) = verify(chain.store.root, chain.steps[1].fingerprint)
    assert found.state is State.differs
    assert found.text.startswith("embeddings.npy: ")
    assert "standard deviations apart" in found.text


def test_a_small_difference_is_accepted_where_there_is_a_reason_and_said(chain, monkeypatch):
    monkeypatch.setattr(embed, "_vectors", nudged(1e-5))
    path = chain.store.find(chain.steps[1])
    record = json.loads((path / RECORD).read_text())
    record["versions"]["numpy"] = "1.0"
    record["checksum"] = checksum(record)
    (path / RECORD).write_text(json.dumps(record))
    (found,) = verify(chain.store.root, str(path))
    assert found.state is State.close
    assert f"numpy {np.__version__} was 1.0" in found.text
    monkeypatch.setattr(embed, "_vectors", nudged(0.5))
    (found,) = verify(chain.store.root, str(path))
    assert found.state is State.differs


def test_what_cannot_be_computed_again_says_what_moved(chain, planted_pool, monkeypatch):
    def later(run):
        return replace(embed.step(run), version=99)

    root, name = chain.store.root, chain.steps[1].fingerprint
    with monkeypatch.context() as patch:
        patch.setitem(module.Chain.__init__.__globals__["STEPS"], "embed", later)
        with pytest.raises(UserError, match="computes version 99 of the stage, and this is version"):
            list(verify(root, name))
    content = planted_pool.read_text()
    planted_pool.write_text(content + content.splitlines()[0].replace('"p0"', '"new"') + "\n")
    with pytest.raises(UserError, match="its input pool is another one now"):
        list(verify(root, name))
    planted_pool.unlink()
    with pytest.raises(UserError, match="planted.jsonl"):
        list(verify(root, name))


def test_a_damaged_or_unknown_artifact_is_refused(chain):
    path = chain.store.find(chain.steps[1])
    with pytest.raises(UserError, match="is no artifact"):
        locate(chain.store.root, "nothing")
    with pytest.raises(UserError, match="0 artifacts"):
        locate(chain.store.root, "0123456789abcdef")
    (path / "embeddings.npy").write_bytes(b"x")
    with pytest.raises(DamagedArtifact, match="embeddings.npy"):
        list(verify(chain.store.root, str(path)))


def test_a_record_says_with_what_the_run_was_made_and_an_artifact_s_line_is_all_before_it(chain):
    select = chain.store.find(chain.steps[-1])
    found = lineage(select)
    assert list(found)[-1] == "select"
    assert set(found) == {step.name for step in chain.steps}
    record = found["select"][1]
    assert record["packages"]["numpy"] == np.__version__
    assert len(record["packages"]) > 50
    assert record["run"]["budget"]["samples"] == 20
    assert (select / RECORD).stat().st_size < 20_000
