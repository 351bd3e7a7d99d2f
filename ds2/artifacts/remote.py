"""Finished artifacts in an object store, any that fsspec knows, beside the artifact store of a machine.

    STAGE/FINGERPRINT/<sha256>      a file of the artifact, under its content's hash
    STAGE/FINGERPRINT/<RECORD>      written last: without it there is nothing
    STAGE/FINGERPRINT/lease         who computes it, and how many times that was renewed

Files lie under their hashes, so that an interrupted copy goes on where it was, and two machines that computed
the same stage never mix theirs: the record that was written last names files that are all there.

A file system (`file://`, `sftp://`) shows an object while it is being written: there it is written as a draft
beside its place and moved into it. A machine that dies over that leaves the draft, which nobody reads.
"""

from __future__ import annotations

import json
import os
import socket
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from threading import Event, Thread
from typing import Any

from ds2.artifacts.record import RECORD, Record, parse_record
from ds2.base.drafts import draft_name, is_disk_full, replacing
from ds2.base.errors import DamagedArtifact, UserError
from ds2.base.hashes import file_sha256
from ds2.base.json_files import parse_json

LEASE = "lease"
LEASE_SECONDS = 60.0
"""How long a lease is believed that nobody renews; it is renewed every third of that. Whoever waits measures
it, by its own clock, from when it first saw the lease as it is: machines' clocks are never compared.
"""

_OF_BUCKETS = frozenset({"s3", "s3a", "gs", "gcs", "az", "abfs", "abfss"})
_OBJECT_STORES = _OF_BUCKETS | {"memory"}
"""Where an object is there when it was written whole, and not before."""


@contextmanager
def _asking() -> Iterator[None]:
    """Each file system has errors of its own for a server that cannot be reached: OSError all of them."""
    try:
        yield
    except (OSError, UserError):
        raise
    except Exception as error:
        raise OSError(str(error) or type(error).__name__) from error


@contextmanager
def _placing(fs: Any, path: str) -> Iterator[str]:
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


def _address(url: str) -> str:
    """An address without slashes at its end. Raises UserError where it names no place: all of a machine, or
    all buckets of a service, are none.
    """
    protocol, mark, place = url.strip().rpartition("://")
    if not place.strip("/"):
        raise UserError(f"paths.store={url!r} names no folder and no bucket; null: no second level")
    if protocol in _OF_BUCKETS and place.startswith("/"):
        raise UserError(f"paths.store={url} names no bucket: {protocol}://BUCKET{place}")
    return protocol + mark + place.rstrip("/")


class RemoteStore:
    """The artifacts below an address. Raises UserError for an address that names no place or that fsspec
    cannot take.
    """

    def __init__(self, url: str) -> None:
        self.url = _address(url)
        self._seen: dict[str, tuple[bytes, float]] = {}  # leases: the bytes, and since when they are these
        try:
            from fsspec.core import url_to_fs

            self._fs, self._root = url_to_fs(self.url, use_listings_cache=False)
        except ModuleNotFoundError as error:
            raise UserError(
                f"paths.store={url} needs the package {error.name}: pip install 'ds2[s3]'"
            ) from error
        except (ImportError, ValueError) as error:
            raise UserError(f"paths.store={url} cannot be used: {error}") from error

    @property
    def folder(self) -> Path | None:
        """Where it is a folder of this machine; None: it is none."""
        from fsspec.implementations.local import LocalFileSystem

        return Path(self._root) if isinstance(self._fs, LocalFileSystem) else None

    @_asking()
    def read(self, stage: str, fingerprint: str) -> Record | None:
        """The record of an artifact, None where there is none. Raises DamagedArtifact, and OSError where the
        store cannot be asked.
        """
        path = self._path(stage, fingerprint, RECORD)
        try:
            record, intact = parse_record(self._fs.cat_file(path))
        except FileNotFoundError:
            return None
        except ValueError as error:
            raise self._damaged(stage, fingerprint, RECORD) from error
        if not intact or (record["stage"], record["fingerprint"]) != (stage, fingerprint):
            raise self._damaged(stage, fingerprint, RECORD)
        return record

    @_asking()
    def fetch(self, record: Record, folder: Path) -> None:
        """Copy an artifact's files into a folder; those that are there and whole are not copied again.

        Raises:
            DamagedArtifact: a file is missing, or is not what the record says. OSError.
        """
        for name, expected in record["files"].items():
            file = folder / name
            if _is(file, expected["sha256"], expected["bytes"]):
                continue
            file.parent.mkdir(parents=True, exist_ok=True)
            source = self._path(record["stage"], record["fingerprint"], expected["sha256"])
            with replacing(file) as draft:
                try:
                    self._fs.get_file(source, str(draft))
                except FileNotFoundError as error:
                    raise self._damaged(record["stage"], record["fingerprint"], name) from error
                if not _is(draft, expected["sha256"], expected["bytes"]):
                    raise self._damaged(record["stage"], record["fingerprint"], name)

    @_asking()
    def push(self, folder: Path, record: Record) -> None:
        """Copy a finished artifact into the store, its record last; what is there is not copied again, and a
        record that is not what was written gives way. Raises OSError.
        """
        stage, fingerprint = record["stage"], record["fingerprint"]
        with suppress(DamagedArtifact):
            if self.read(stage, fingerprint) is not None:
                return
        self._fs.makedirs(self._path(stage, fingerprint), exist_ok=True)
        for name, each in record["files"].items():
            target = self._path(stage, fingerprint, each["sha256"])
            if not (self._fs.exists(target) and self._fs.size(target) == each["bytes"]):
                with _placing(self._fs, target) as place:
                    self._fs.put_file(str(folder / name), place)
        with _placing(self._fs, self._path(stage, fingerprint, RECORD)) as place:
            self._fs.pipe_file(place, json.dumps(record, indent=2, ensure_ascii=False).encode())

    @_asking()
    def lease(self, stage: str, fingerprint: str) -> Lease | None:
        """The right to compute an artifact; None while another has it. Raises OSError."""
        path = self._path(stage, fingerprint, LEASE)
        if (text := self._text_of(path)) is not None:
            if not self._expired(path, text):
                return None
            if self._text_of(path) == text:
                self._remove(path)  # its holder died
        lease = Lease(self._fs, path)
        return lease if lease.taken else None

    def _expired(self, path: str, text: bytes) -> bool:
        """Whether this process has seen these bytes of a lease for long enough."""
        seen, since = self._seen.get(path, (None, 0.0))
        if seen != text:
            self._seen[path] = text, time.monotonic()
            return False
        return time.monotonic() - since >= LEASE_SECONDS

    def _text_of(self, path: str) -> bytes | None:
        try:
            return bytes(self._fs.cat_file(path))
        except FileNotFoundError:
            return None

    def _remove(self, path: str) -> None:
        try:
            self._fs.rm_file(path)
        except FileNotFoundError:
            return  # another was faster

    def _path(self, *parts: str) -> str:
        return "/".join((self._root.rstrip("/"), *parts))

    def _damaged(self, stage: str, fingerprint: str, name: str) -> DamagedArtifact:
        where = f"{self.url}/{stage}/{fingerprint}"
        return DamagedArtifact(f"{name} in {where} is not what was written; delete {where} and run again")


class Lease:
    """A lease object, renewed by a thread until it is released. Where the store cannot create an object only
    if it is absent, two may have one: both then compute the same.
    """

    def __init__(self, fs: Any, path: str) -> None:
        self._fs, self._path, self._holder = fs, path, uuid.uuid4().hex
        self._renewed = 0
        self._over = Event()
        try:
            fs.makedirs(path.rpartition("/")[0], exist_ok=True)
            fs.pipe_file(path, self._text(), mode="create")
            self.taken = True
        except OSError as error:  # S3 says in words of its own that it is there
            if is_disk_full(error) or not (isinstance(error, FileExistsError) or fs.exists(path)):
                raise
            self.taken = False
            return
        Thread(target=self._renew, daemon=True).start()

    @_asking()
    def release(self) -> None:
        """Give it back. Raises OSError."""
        self._over.set()
        try:
            if parse_json(self._fs.cat_file(self._path))["holder"] == self._holder:
                self._fs.rm_file(self._path)
        except (FileNotFoundError, ValueError, KeyError, TypeError):
            return  # it was taken over

    def _renew(self) -> None:
        while not self._over.wait(LEASE_SECONDS / 3):
            self._renewed += 1
            try:
                with _asking(), _placing(self._fs, self._path) as place:
                    self._fs.pipe_file(place, self._text())
            except OSError:
                continue  # once more before it expires; at worst another computes the same

    def _text(self) -> bytes:
        known = {"holder": self._holder, "host": socket.gethostname(), "pid": os.getpid()}
        return json.dumps(known | {"renewed": self._renewed}).encode()


def _is(file: Path, sha256: str, size: int) -> bool:
    return file.is_file() and file.stat().st_size == size and file_sha256(file) == sha256
