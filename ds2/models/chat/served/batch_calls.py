"""The calls of a Batch API, each made once, and what may come of them.

A call ends in one of three ways: with what was asked for, checked for its form; `Unavailable`, where the
server may have done it or not and will say another time (no connection, a busy server, a page that is not of
the API); `Refused`, where it has not.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx2
import openai

from ds2.base.errors import UserError
from ds2.base.json_files import numbered_lines, parse_json_line
from ds2.models.chat.served.format import Connection
from ds2.models.chat.served.policy import PASSING
from ds2.models.chat.served.words import count, mapping

METADATA = "ds2_batch"
"""Key of the batch's name in its metadata."""
CLOCKS = 86_400
"""Seconds by which the server's clock may differ from this one's."""
UPLOAD_TIMEOUT = 600.0
"""Seconds for one call, at least: an input file may be large."""


class Unavailable(Exception):
    """Whether the call was done is not known."""


class Refused(Exception):
    """The call was not done, and will not be."""

    def __init__(self, reason: str, status: int) -> None:
        super().__init__(reason)
        self.status = status


@dataclass(frozen=True)
class Remote:
    """A batch as the server describes it."""

    id: str
    status: str
    done: int
    """Requests that have a line in one of its files, as the server counts them."""
    total: int
    files: tuple[str, ...]
    """Ids of its output and error file, those that there are."""
    errors: tuple[tuple[str, str], ...]
    """Code and message of each reason why it was refused."""


class BatchApi:
    """The Batch API of one server."""

    def __init__(self, connection: Connection, timeout: float) -> None:
        self._connection = connection
        self._client = connection.client(max(timeout, UPLOAD_TIMEOUT))
        self.endpoint: Any = "/v1/chat/completions" if connection.api_version is None else "/chat/completions"

    def close(self) -> None:
        self._client.close()

    def upload(self, path: Path) -> str:
        """The id of the file made of this one."""
        with path.open("rb") as content, self._translated():
            made = self._client.files.with_raw_response.create(file=(path.name, content), purpose="batch")
            return _text(_object(made.content), "id")

    def submit(self, file_id: str, name: str) -> str:
        """The id of the batch made of an uploaded file, with its name in its metadata."""
        with self._translated():
            made = self._client.batches.with_raw_response.create(
                input_file_id=file_id,
                endpoint=self.endpoint,
                completion_window="24h",
                metadata={METADATA: name},
            )
            return _text(_object(made.content), "id")

    def uploaded(self, name: str, since: int) -> str | None:
        """The id of the file with this name, if there is one."""

        def page(**after: str) -> bytes:
            listed = self._client.files.with_raw_response.list
            return listed(purpose="batch", order="desc", **after).content  # type: ignore[arg-type]

        for file in self._listed(page, since):
            if file.get("filename") == name and file.get("status") != "error":
                return _text(file, "id")
        return None

    def submitted(self, name: str, since: int) -> str | None:
        """The id of the batch with this name that was not refused, if there is one."""

        def page(**after: str) -> bytes:
            listed = self._client.batches.with_raw_response.list
            return listed(limit=100, **after).content  # type: ignore[arg-type]

        for batch in self._listed(page, since):
            if mapping(batch.get("metadata")).get(METADATA) == name and batch.get("status") != "failed":
                return _text(batch, "id")
        return None

    def retrieve(self, batch_id: str) -> Remote:
        with self._translated():
            batch = _object(self._client.batches.with_raw_response.retrieve(batch_id).content)
            counts, listed = mapping(batch.get("request_counts")), mapping(batch.get("errors")).get("data")
            errors = [mapping(error) for error in listed] if isinstance(listed, list) else []
            reasons = [(str(error.get("code")), error.get("message")) for error in errors]
            return Remote(
                batch_id,
                _text(batch, "status"),
                count(counts.get("completed")) + count(counts.get("failed")),
                count(counts.get("total")),
                tuple(str(batch[name]) for name in ("output_file_id", "error_file_id") if batch.get(name)),
                tuple((code, str(message or code)) for code, message in reasons),
            )  # fmt: skip

    def download(self, file_id: str, path: Path) -> None:
        """A file's content."""
        with (
            self._translated(),
            self._client.files.with_streaming_response.content(file_id) as response,
        ):
            response.stream_to_file(path)

    def _listed(self, page: Callable[..., bytes], since: int) -> Iterator[Mapping[str, Any]]:
        """The newest entries of a list that runs from new to old, page by page."""
        after: dict[str, str] = {}
        while True:
            with self._translated():
                reply = _object(page(**after))
                if not isinstance(reply.get("data"), list):
                    raise ValueError("a list without data")
                entries = [mapping(entry) for entry in reply["data"]]
                after = {"after": _text(entries[-1], "id")} if entries else {}
            for entry in entries:
                if count(entry.get("created_at")) < since - CLOCKS:
                    return
                yield entry
            if not entries or not reply.get("has_more"):
                return

    @contextmanager
    def _translated(self) -> Iterator[None]:
        try:
            yield
        except openai.APIStatusError as error:
            if error.code == "insufficient_quota":
                raise UserError(f"{self._connection.name} has no credit left for this key") from error
            reason = self._connection.reason(error)
            if error.status_code in PASSING or error.status_code >= 500:
                raise Unavailable(reason) from error
            raise Refused(reason, error.status_code) from error
        except openai.APIError as error:
            raise Unavailable(self._connection.reason(error)) from error
        except (httpx2.HTTPError, ValueError) as error:  # a broken download; what is not of the API
            raise Unavailable(
                self._connection.without_key(f"{type(error).__name__}: {error}")[:300]
            ) from error


def _object(body: bytes) -> Mapping[str, Any]:
    reply = json.loads(body)
    if not isinstance(reply, dict):
        raise ValueError("no JSON object")
    return reply


def _text(reply: Mapping[str, Any], name: str) -> str:
    value = reply.get(name)
    if not isinstance(value, str) or not value:
        raise ValueError(f"a reply without {name}")
    return value


def digest(path: Path) -> str:
    """A file's hash."""
    with path.open("rb") as content:
        return hashlib.file_digest(content, "sha256").hexdigest()


def readable(paths: Iterable[Path]) -> Iterator[dict[str, Any]]:
    """The lines of downloaded results that name their request; a damaged line is left out."""
    for path in paths:
        for _, line in numbered_lines(path):
            try:
                result = parse_json_line(line)
            except ValueError:
                continue
            if isinstance(result, dict) and "custom_id" in result:
                yield result
