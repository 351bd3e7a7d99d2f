"""What a store of objects, any that fsspec knows, does not do by itself: errors of one kind, objects that are
there whole or not at all, addresses that name a place.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

from ds2.base.drafts import draft_name
from ds2.base.errors import UserError

_OF_BUCKETS = frozenset({"s3", "s3a", "gs", "gcs", "az", "abfs", "abfss"})
_OBJECT_STORES = _OF_BUCKETS | {"memory"}
"""Where an object is there when it was written whole, and not before."""


@contextmanager
def asking() -> Iterator[None]:
    """Each file system has errors of its own for a server that cannot be reached: OSError all of them."""
    try:
        yield
    except (OSError, UserError):
        raise
    except Exception as error:
        raise OSError(str(error) or type(error).__name__) from error


@contextmanager
def placing(fs: Any, path: str) -> Iterator[str]:
    """Give the name to write an object under: it is at `path` whole, or as it was."""
    if _OBJECT_STORES.intersection([fs.protocol] if isinstance(fs.protocol, str) else fs.protocol):
        yield path
        return
    folder, _, name = path.rpartition("/")
    draft = f"{folder}/{draft_name(name)}"
    try:
        yield draft
        fs.mv(draft, path)
    except BaseException:  # also an interrupt: nobody tidies up in a store that machines share
        with suppress(Exception):  # what went wrong is worth more than that its draft stays
            fs.rm_file(draft)
        raise


def address_of(url: str) -> str:
    """An address without slashes at its end. Raises UserError where it names no place: all of a machine, or
    all buckets of a service, are none.
    """
    protocol, mark, place = url.strip().rpartition("://")
    if not place.strip("/"):
        raise UserError(f"paths.store={url!r} names no folder and no bucket; null: no second level")
    if protocol in _OF_BUCKETS and place.startswith("/"):
        raise UserError(f"paths.store={url} names no bucket: {protocol}://BUCKET{place}")
    return protocol + mark + place.rstrip("/")
