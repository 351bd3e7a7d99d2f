"""Names on the Hugging Face hub: which commit a revision is, what is on this machine, and fetching."""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path

from ds2.base.errors import MissingInput, NotKnownOffline

_COMMIT = re.compile(r"[0-9a-f]{40}")


@cache
def resolve(name: str, revision: str | None, *, kind: str, offline: bool) -> str:
    """The commit that `revision` (default: main) of a model or dataset stands for.

    A commit stands for itself. Otherwise the hub is asked, and where it cannot be reached (or `offline`), the
    local cache's note of the last download.

    Raises:
        NotKnownOffline: the hub was not asked or did not answer, and the cache has no note.
        MissingInput: the hub has no such thing, or not for this person.
    """
    if revision is not None and _COMMIT.fullmatch(revision):
        return revision
    reason = "runtime.offline=true"
    if not offline:
        try:
            return _ask_hub(name, revision, kind)
        except MissingInput:
            raise
        except OSError as error:  # connection errors of every HTTP client derive from it
            reason = str(error).splitlines()[0][:120] if str(error) else type(error).__name__
    noted = _cached_ref(name, revision or "main", kind)
    if noted is not None:
        return noted
    raise NotKnownOffline(
        f"{kind} {name}: revision {revision or 'main'} is not known on this machine ({reason}); fetch it "
        "with "
        "prepare=true where the hub can be reached, or give a local path"
    )


def _ask_hub(name: str, revision: str | None, kind: str) -> str:
    import httpx2
    from huggingface_hub import HfApi
    from huggingface_hub.errors import (
        GatedRepoError,
        HFValidationError,
        OfflineModeIsEnabled,
        RepositoryNotFoundError,
    )

    try:
        info = HfApi().repo_info(name, revision=revision, repo_type=kind, timeout=10)
    except GatedRepoError as error:
        raise MissingInput(
            f"{kind} {name} is gated: accept its terms on the hub and log in (hf auth login)"
        ) from error
    except RepositoryNotFoundError as error:
        raise MissingInput(
            f"{kind} {name} does not exist on the hub, or needs a login (hf auth login)"
        ) from error
    except HFValidationError as error:
        raise MissingInput(f"{kind} {name}: no such folder, and no name on the hub") from error
    except OfflineModeIsEnabled as error:
        raise OSError("HF_HUB_OFFLINE is set") from error
    except httpx2.HTTPError as error:
        raise OSError(f"the hub cannot be reached: {type(error).__name__}") from error
    return str(info.sha)


def _cached_ref(name: str, revision: str, kind: str) -> str | None:
    from huggingface_hub.constants import HF_HUB_CACHE

    ref = Path(HF_HUB_CACHE) / f"{kind}s--{name.replace('/', '--')}" / "refs" / revision
    return ref.read_text(encoding="ascii").strip() if ref.is_file() else None


def fetch(name: str, revision: str | None, *, kind: str) -> Path:
    """Download a whole repository at a revision and return its folder.

    Raises:
        MissingInput: it cannot be had.
    """
    import httpx2
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HfHubHTTPError, LocalEntryNotFoundError

    try:
        return Path(snapshot_download(name, revision=revision, repo_type=kind))
    except (HfHubHTTPError, LocalEntryNotFoundError, httpx2.HTTPError, OSError) as error:
        line = str(error).splitlines()[0][:160] if str(error) else type(error).__name__
        raise MissingInput(f"{kind} {name} could not be fetched: {line}") from error
