"""Names on the hub without a hub: commits, the local cache's notes, and what is said where neither helps."""

from __future__ import annotations

import json

import pytest

from ds2.base import hub
from ds2.base.errors import MissingInput
from ds2.config import HubPoolConfig
from ds2.pool import PoolSource

pytest.importorskip("huggingface_hub")

COMMIT = "0123456789abcdef0123456789abcdef01234567"


@pytest.fixture(autouse=True)
def offline(monkeypatch, tmp_path):
    """An empty cache and no hub, whatever this machine has."""
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "cache"))

    def unreachable(*_):
        raise OSError("the hub cannot be reached")

    monkeypatch.setattr(hub, "_ask_hub", unreachable)
    hub.resolve.cache_clear()
    yield
    hub.resolve.cache_clear()


def test_a_commit_stands_for_itself():
    assert hub.resolve("a/b", COMMIT, kind="model", offline=True) == COMMIT


def test_the_cache_knows_what_was_fetched(tmp_path):
    note = tmp_path / "cache" / "datasets--a--b" / "refs" / "main"
    note.parent.mkdir(parents=True)
    note.write_text(COMMIT)
    assert hub.resolve("a/b", None, kind="dataset", offline=False) == COMMIT


@pytest.mark.parametrize(
    ("is_offline", "reason"), [(True, "runtime.offline=true"), (False, "cannot be reached")]
)
def test_a_revision_that_nobody_knows_is_refused(is_offline, reason):
    with pytest.raises(
        MissingInput, match=f"revision main is not known on this machine .*{reason}.*prepare=true"
    ):
        hub.resolve("a/b", None, kind="model", offline=is_offline)


def test_a_hub_dataset_becomes_a_pool(tmp_path, monkeypatch):
    """`datasets` itself reads a folder that stands for the repository."""
    pytest.importorskip("datasets")
    rows = [
        {
            "messages": [{"role": "user", "content": f"q{i}"}, {"role": "assistant", "content": "a"}],
            "dataset": "web",
        }
        for i in range(3)
    ]
    folder = tmp_path / "repository"
    folder.mkdir()
    (folder / "train.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    monkeypatch.setenv("HF_DATASETS_CACHE", str(tmp_path / "datasets"))
    config = HubPoolConfig(name="web", dataset=str(folder), revision=COMMIT)
    pool = PoolSource(config, num_scores=6).load()
    assert pool.sources == ["web"] * 3
    assert pool.contents() == ["q0 a", "q1 a", "q2 a"]
    missing = HubPoolConfig(name="web", dataset=str(tmp_path / "nowhere"), revision=COMMIT)
    with pytest.raises(MissingInput, match="could not be loaded"):
        PoolSource(missing, num_scores=6).load()
