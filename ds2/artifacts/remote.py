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
import re
import time
from collections.abc import Iterable, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path

from ds2.artifacts import leases
from ds2.artifacts.objects import address_of, asking, placing
from ds2.artifacts.record import RECORD, Record, parse_record
from ds2.base.drafts import replacing
from ds2.base.errors import DamagedArtifact, UserError
from ds2.base.hashes import file_sha256

Place = tuple[str, str]
"""Stage and fingerprint."""

_NAME = rf"{re.escape(RECORD)}|{leases.LEASE}|[0-9a-f]{{64}}"
_OBJECT = re.compile(
    rf"/(?P<stage>\w+)/(?P<fingerprint>[0-9a-f]{{16}})/(?P<name>{_NAME}|\.(?:{_NAME})\.[0-9a-f]{{8}}\.draft)"
)


class RemoteStore:
    """The artifacts below an address. Raises UserError for an address that names no place or that fsspec
    cannot take.
    """

    def __init__(self, url: str) -> None:
        self.url = address_of(url)
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

    @asking()
    def read(self, stage: str, fingerprint: str) -> Record | None:
        """The record of an artifact, None where there is none. Raises DamagedArtifact, and OSError where the
        store cannot be asked.
        """
        text = self._text_of(self._path(stage, fingerprint, RECORD))
        found = None if text is None else self._parsed(stage, fingerprint, text)
        if isinstance(found, DamagedArtifact):
            raise found
        return found

    def _parsed(self, stage: str, fingerprint: str, text: bytes) -> Record | DamagedArtifact:
        """The record in a text; the error where it is not what was written."""
        try:
            record, intact = parse_record(text)
        except ValueError:
            return self._damaged(stage, fingerprint, RECORD)
        if not intact or (record["stage"], record["fingerprint"]) != (stage, fingerprint):
            return self._damaged(stage, fingerprint, RECORD)
        return record

    @asking()
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
                if self._is_odd(source):
                    raise self._damaged(record["stage"], record["fingerprint"], name)
                try:
                    self._fs.get_file(source, str(draft))
                except FileNotFoundError as error:
                    raise self._damaged(record["stage"], record["fingerprint"], name) from error
                if not _is(draft, expected["sha256"], expected["bytes"]):
                    raise self._damaged(record["stage"], record["fingerprint"], name)

    @asking()
    def push(self, folder: Path, record: Record) -> None:
        """Copy a finished artifact into the store, its record last; what is there is not copied again, and a
        record that is not what was written gives way. Raises OSError.
        """
        stage, fingerprint = record["stage"], record["fingerprint"]
        with suppress(DamagedArtifact):
            if self.read(stage, fingerprint) is not None:
                return
        self._fs.makedirs(self._path(stage, fingerprint), exist_ok=True)
        self._put_absent(folder, record)
        with placing(self._fs, self._path(stage, fingerprint, RECORD)) as place:
            self._fs.pipe_file(place, json.dumps(record, indent=2, ensure_ascii=False).encode())
        self._put_absent(folder, record)  # `ds2 gc` may have taken them for an old half: see `remove`

    def _put_absent(self, folder: Path, record: Record) -> None:
        """Copy those files of an artifact that are not there whole."""
        place = self._path(record["stage"], record["fingerprint"])
        there = self._there(place)
        for name, each in record["files"].items():
            if there.get(each["sha256"]) != each["bytes"]:
                with placing(self._fs, f"{place}/{each['sha256']}") as target:
                    self._fs.put_file(str(folder / name), target)

    @asking()
    def listing(self) -> dict[Place, dict[str, int]]:
        """What lies in the store: of each artifact, finished or not, its objects and their bytes. What has no
        name that DS2 gives is left out. Raises OSError.
        """
        found: dict[Place, dict[str, int]] = {}
        root = self._root.rstrip("/")
        for path, about in self._fs.find(root, detail=True).items():
            named = _OBJECT.fullmatch(path.removeprefix(root))
            if named is not None and about["type"] == "file":
                found.setdefault((named["stage"], named["fingerprint"]), {})[named["name"]] = about["size"]
        return found

    @asking()
    def records(self, places: Sequence[Place]) -> list[Record | DamagedArtifact | None]:
        """The record of each, asked for together; the error where it is damaged, None where there is none.
        Raises OSError.
        """
        paths = [self._path(*place, RECORD) for place in places]
        texts = self._fs.cat(paths, on_error="return") if paths else {}
        found: list[Record | DamagedArtifact | None] = []
        for place, path in zip(places, paths, strict=True):
            text = texts[path]
            if isinstance(text, Exception) and not isinstance(text, FileNotFoundError):
                raise text
            found.append(None if isinstance(text, Exception) else self._parsed(*place, text))
        return found

    @asking()
    def seconds_since(self, place: Place, name: str) -> float:
        """How long ago an object was written, by this machine's clock and the store's; 0 where it has just
        gone, or the store tells no times. Raises OSError.
        """
        try:
            written = self._fs.modified(self._path(*place, name))
        except (FileNotFoundError, NotImplementedError):  # the second is fsspec's for a store without times
            return 0.0
        known = written if written.tzinfo else written.replace(tzinfo=UTC)
        return float((datetime.now(UTC) - known).total_seconds())

    @asking()
    def remove(self, place: Place, names: Iterable[str]) -> None:
        """Remove objects of an artifact, its record first where it is among them. Raises OSError.

        One that is pushed meanwhile comes to no half: who pushes looks again after its record (`push`), and a
        record that came before files went is removed here.
        """
        for name in sorted(names, key=lambda name: name != RECORD):
            self._remove(self._path(*place, name))
        record = self._text_of(self._path(*place, RECORD))
        if record is not None:
            named = self._parsed(*place, record)
            there = self._there(self._path(*place)).keys()
            if isinstance(named, DamagedArtifact) or {f["sha256"] for f in named["files"].values()} - there:
                self._remove(self._path(*place, RECORD))
        if self.folder is not None:
            with suppress(OSError):  # it is not empty
                Path(self._path(*place)).rmdir()

    @asking()
    def lease(self, stage: str, fingerprint: str) -> leases.Lease | None:
        """The right to compute an artifact; None while another has it. Raises OSError."""
        path = self._path(stage, fingerprint, leases.LEASE)
        if (text := self._text_of(path)) is not None:
            if not self._expired(path, text):
                return None
            if self._text_of(path) == text:
                self._remove(path)  # its holder died
        lease = leases.Lease(self._fs, path)
        return lease if lease.taken else None

    def _expired(self, path: str, text: bytes) -> bool:
        """Whether this process has seen these bytes of a lease for long enough."""
        seen, since = self._seen.get(path, (None, 0.0))
        if seen != text:
            self._seen[path] = text, time.monotonic()
            return False
        return time.monotonic() - since >= leases.LEASE_SECONDS

    def _there(self, place: str) -> dict[str, int]:
        """The names of a folder's objects, and their bytes."""
        try:
            return {each["name"].rpartition("/")[2]: each["size"] for each in self._fs.ls(place, detail=True)}
        except FileNotFoundError:  # a bucket has no empty folders
            return {}

    def _is_odd(self, path: str) -> bool:
        """Whether something else than a file is in its place: a named pipe would be waited for."""
        return self.folder is not None and Path(path).exists() and not Path(path).is_file()

    def _text_of(self, path: str) -> bytes | None:
        if self._is_odd(path):
            return b""  # which is no record and no lease
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


def _is(file: Path, sha256: str, size: int) -> bool:
    return file.is_file() and file.stat().st_size == size and file_sha256(file) == sha256
