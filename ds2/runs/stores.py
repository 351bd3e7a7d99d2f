"""The artifact store that a run's paths name."""

from __future__ import annotations

from functools import cache
from pathlib import Path

from ds2.artifacts.remote import RemoteStore
from ds2.artifacts.shared import SharedStore
from ds2.artifacts.store import ArtifactStore, open_store
from ds2.base.errors import UserError
from ds2.config import RunConfig


def store_of(config: RunConfig) -> ArtifactStore:
    """One object a process, as `open_store` has it. Raises UserError: `paths.store` cannot be used."""
    paths = config.paths
    if paths.store is None:
        return open_store(paths.artifacts)
    return _shared(Path(paths.artifacts), paths.store)


@cache
def _shared(root: Path, url: str) -> SharedStore:
    remote = RemoteStore(url)
    if remote.folder is not None:
        here, there = root.resolve(), remote.folder.resolve()
        if here.is_relative_to(there) or there.is_relative_to(here):
            raise UserError(
                f"paths.store={url} and paths.artifacts={root} lie in one another, and each would take the "
                "other's files for its own: give them folders apart"
            )
    return SharedStore(root, remote)
