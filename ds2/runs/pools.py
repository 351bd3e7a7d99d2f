"""The pool of a run: as its configuration says, without what is sifted out of it."""

from __future__ import annotations

from pathlib import Path

from ds2.artifacts.store import ArtifactStore
from ds2.base.hashes import ContentHashes, content_hashes
from ds2.config import RunConfig
from ds2.pool import PoolSource
from ds2.runs.stages.sift import sifted_pool


def hashes_of(config: RunConfig, root: Path) -> ContentHashes:
    """The hashes of files that a store remembers."""
    return content_hashes((root / ".hashes.json").resolve(), trust=config.runtime.trust_times)


def pool_of(config: RunConfig, store: ArtifactStore, hashes: ContentHashes | None = None) -> PoolSource:
    """The pool that the stages of a run read. Raises UserError where a set of questions cannot be had."""
    whole = PoolSource(
        config.pool,
        num_scores=config.scale.num_scores,
        offline=config.runtime.offline,
        progress=config.runtime.progress,
        hash_file=(hashes or hashes_of(config, store.root)).file,
        trust_times=config.runtime.trust_times,
    )
    return sifted_pool(config, whole, store)
