"""The Batch API of an OpenAI-compatible server: half the price, an answer within a day.

Requests become input files, files are uploaded and submitted, batches are looked at until they end, their output and error
files are read. `ds2.rating.backends.batch_ledger` holds every step on disk, so that a process that dies between any two
loses nothing and pays for nothing twice: the same command takes up each batch where it was left. A batch whose submission
has an unknown outcome is looked for in the server's list, by the name in its metadata, before it is submitted again.
"""

from __future__ import annotations

import hashlib
import json
import re
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing, contextmanager
from itertools import takewhile
from typing import TYPE_CHECKING, Any, TypeVar

import openai

from ds2.config import LlmRaterConfig, RaterRuntime
from ds2.errors import UserError
from ds2.rating.backends import Answer, Place, Request, openai_server
from ds2.rating.backends.batch_ledger import Batch, Draft, Ledger
from ds2.rating.backends.openai_chat import ChatFormat
from ds2.rating.conversation import estimate_tokens

if TYPE_CHECKING:
    from openai.types import Batch as Remote
    from openai.types import BatchRequestCounts, FileObject

    Entry = TypeVar("Entry", Remote, FileObject)

METADATA = "ds2_batch"
"""Key of the batch's name in its metadata."""
PATIENCE = 30
"""Looks in a row at a server that does not answer, before the wait for it ends."""
UPLOAD_TIMEOUT = 600.0
"""Seconds for one call, at least: an input file may be large."""
CLOCKS = 86_400
"""Seconds by which the server's clock may differ from this one's."""
ENDED = frozenset({"completed", "expired", "cancelled"})
QUEUE_FULL = "token_limit_exceeded"
"""The account has as many tokens waiting in batches as it may."""
UNAVAILABLE = (openai.APIConnectionError, openai.InternalServerError, openai.RateLimitError)
"""The server may have done what was asked, or not; another time it will say."""


@contextmanager
def open(config: LlmRaterConfig, revision: str | None, place: Place) -> Iterator[BatchBackend]:
    """The server, checked for the model, and its batches. Raises UserError where either cannot be had."""
    format = ChatFormat.of(config)
    server = hashlib.sha256(format.connection.name.encode()).hexdigest()[:8]
    folder = place.folder / "batches" / f"{re.sub('[^A-Za-z0-9._-]+', '_', config.model)}-{server}"
    with openai_server.open(config, revision, place), Ledger(folder) as ledger:
        backend = BatchBackend(format, config.runtime, ledger, place.say)
        with closing(backend):
            yield backend


class BatchBackend:
    """Requests in, answers out, through batches that outlive the process."""

    def __init__(
        self,
        format: ChatFormat,
        runtime: RaterRuntime,
        ledger: Ledger,
        say: Callable[[str], None],
    ) -> None:
        self._format, self._connection = format, format.connection
        self._runtime, self._ledger, self._say = runtime, ledger, say
        self._endpoint: Any = (
            "/v1/chat/completions" if self._connection.api_version is None else "/chat/completions"
        )
        self._client = self._connection.client(max(runtime.timeout, UPLOAD_TIMEOUT))
        self._counts: dict[str, BatchRequestCounts] = {}
        self._done, self._started = 0, time.monotonic()

    def close(self) -> None:
        self._client.close()

    def count_tokens(self, text: str) -> int:
        """See `Backend`; a server's tokenizer is not at hand."""
        return estimate_tokens(text)

    def answers(self, requests: Iterable[Request]) -> Iterator[Answer]:
        """Answers as their batches end; those that earlier batches hold are not asked for again."""
        self._ledger.ask_nothing()
        self._seal(
            (request.key, self._line(request)) for request in requests if self._ledger.ask(request.key)
        )
        unheard = 0
        while True:
            yield from self._ledger.ready()
            waiting = self._ledger.waiting()
            if not waiting:
                return
            ended = False
            try:
                for batch in waiting:
                    failed = self._look(batch)
                    ended = ended or failed is not None
                    yield from failed or ()
                unheard = 0
            except UNAVAILABLE as error:
                unheard += 1
                if unheard == PATIENCE:
                    raise UserError(
                        f"{self._connection.name} does not answer ({self._connection.reason(error)}); batches submitted go on there: "
                        "run the same command again to collect them"
                    ) from error
            except openai.APIStatusError as error:
                raise UserError(
                    f"{self._connection.name} refuses: {self._connection.reason(error)}"
                ) from error
            if not ended:
                time.sleep(self._runtime.poll_seconds)

    def _line(self, request: Request) -> bytes:
        line = {
            "custom_id": request.key,
            "method": "POST",
            "url": self._endpoint,
            "body": self._format.body(request),
        }
        return json.dumps(line, ensure_ascii=False).encode("utf-8", errors="replace") + b"\n"

    def _seal(self, lines: Iterable[tuple[str, bytes]]) -> None:
        """Put requests into input files within the API's limits, and send each file as soon as it is full."""
        draft: Draft | None = None
        most, room = self._runtime.batch_requests, self._runtime.batch_megabytes * 1e6
        for key, line in lines:
            if draft and (len(draft.keys) >= most or draft.bytes + len(line) > room):
                self._try_send(self._ledger.seal(draft))
                draft = None
            draft = draft or Draft(self._ledger.folder)
            draft.add(key, line)
        if draft:
            self._try_send(self._ledger.seal(draft))

    def _try_send(self, batch: Batch) -> None:
        try:
            self._send(batch)
        except UNAVAILABLE:
            return  # it waits in the ledger for the next look

    def _send(self, batch: Batch) -> Batch:
        """The batch, submitted; each call that is still to be made is made once.

        Raises:
            UserError: the server refuses; the requests are then free again.
        """
        try:
            return self._submit(self._upload(batch))
        except UNAVAILABLE as error:
            if error.code == "insufficient_quota":
                raise UserError(f"{self._connection.name} has no credit left for this key") from error
            raise
        except openai.APIStatusError as error:
            self._ledger.finish(batch, ())
            raise UserError(
                f"{self._connection.name} refuses a batch: {self._connection.reason(error)}"
            ) from error

    def _upload(self, batch: Batch) -> Batch:
        if batch.step not in ("sealed", "uploading"):
            return batch
        file_id = self._find(batch, self._uploaded) if batch.step == "uploading" else None
        if file_id is None:
            self._ledger.move(batch, "uploading")
            path = self._ledger.input_file(batch.name)
            with path.open("rb") as content:
                file_id = self._client.files.create(file=(path.name, content), purpose="batch").id
        return self._ledger.move(batch, "uploaded", file_id=file_id)

    def _submit(self, batch: Batch) -> Batch:
        if batch.step not in ("uploaded", "submitting"):
            return batch
        batch_id = self._find(batch, self._submitted) if batch.step == "submitting" else None
        if batch_id is None:
            assert batch.file_id is not None
            self._ledger.move(batch, "submitting")
            made = self._client.batches.create(
                input_file_id=batch.file_id, endpoint=self._endpoint, completion_window="24h",
                metadata={METADATA: batch.name},
            )  # fmt: skip
            batch_id = made.id
        return self._ledger.move(batch, "submitted", batch_id=batch_id)

    def _find(self, batch: Batch, look: Callable[[Batch], str | None]) -> str | None:
        """What a call of unknown outcome made, if it did; looked for twice, because lists lag."""
        found = look(batch)
        if found is None:
            time.sleep(self._runtime.poll_seconds)
            found = look(batch)
        return found

    def _uploaded(self, batch: Batch) -> str | None:
        name = self._ledger.input_file(batch.name).name
        recent = _since(self._client.files.list(purpose="batch", order="desc"), batch.sealed_at)
        return next((file.id for file in recent if file.filename == name and file.status != "error"), None)

    def _submitted(self, batch: Batch) -> str | None:
        recent = _since(self._client.batches.list(limit=100), batch.sealed_at)
        named = (b for b in recent if (b.metadata or {}).get(METADATA) == batch.name and b.status != "failed")
        return next((remote.id for remote in named), None)

    def _look(self, batch: Batch) -> list[Answer] | None:
        """None while a batch runs. Once it has ended, its answers are stored; returns what it did not answer.

        Raises:
            UserError: the batch was refused or cancelled, or is not known; what it answered is stored.
        """
        batch = self._send(batch)
        assert batch.batch_id is not None
        try:
            remote = self._client.batches.retrieve(batch.batch_id)
        except openai.NotFoundError as error:
            raise UserError(
                f"{self._connection.name} does not know batch {batch.batch_id}, submitted there before: use the account "
                f"it was submitted with, or delete {self._ledger.folder} to pay for its requests again"
            ) from error
        self._show(batch, remote)
        if remote.status == "failed":
            self._put_off(batch, remote)
            return None
        if remote.status not in ENDED:
            return None
        failed = self._collect(batch, remote)
        if remote.status == "cancelled":
            raise UserError(
                f"batch {remote.id} was cancelled at the server; its answers are kept, run the same command again for "
                "the rest"
            )
        return failed

    def _show(self, batch: Batch, remote: Remote) -> None:
        """Say how far the batches of this run are, when that has changed."""
        if remote.request_counts is not None:
            self._counts[batch.name] = remote.request_counts
        done = sum(counts.completed + counts.failed for counts in self._counts.values())
        if done == self._done:
            return
        minutes = (time.monotonic() - self._started) / 60
        total = sum(counts.total for counts in self._counts.values())
        self._say(
            f"{len(self._counts)} batches: {done:,} of {total:,} done at the server, {done / minutes:,.0f}/min"
        )
        self._done = done

    def _put_off(self, batch: Batch, remote: Remote) -> None:
        """Submit a batch later that was refused because others fill the queue.

        Raises:
            UserError: it was refused for good.
        """
        errors = (remote.errors and remote.errors.data) or []
        if any(error.code == QUEUE_FULL for error in errors):
            if any(other.step == "submitted" and other != batch for other in self._ledger.waiting()):
                self._ledger.move(batch, "uploaded")
                return
            advice = "; lower rater.runtime.batch_requests, or wait for other batches of the account to end"
        else:
            advice = ""
        self._ledger.finish(batch, ())
        said = (
            "; ".join(
                dict.fromkeys(self._connection.without_key(error.message or error.code) for error in errors)
            )
            or "no reason given"
        )
        raise UserError(f"{self._connection.name} refused batch {remote.id}: {said}{advice}")

    def _collect(self, batch: Batch, remote: Remote) -> list[Answer]:
        """Store an ended batch's answers; returns what was not answered."""
        reasons: dict[str, str] = {}

        def answered() -> Iterator[Answer]:
            for file_id in filter(None, (remote.output_file_id, remote.error_file_id)):
                for line in self._lines(file_id):
                    answer = self._outcome(line)
                    if answer.finish == "failed":
                        reasons[answer.key] = answer.text
                    else:
                        yield answer

        unanswered = self._ledger.finish(batch, answered())
        why = f"batch {remote.id} ended without an answer ({remote.status})"
        return [Answer(key, reasons.get(key, why), finish="failed") for key in unanswered]

    def _lines(self, file_id: str) -> Iterator[dict[str, Any]]:
        path = self._ledger.folder / "download"
        with self._client.files.with_streaming_response.content(file_id) as response:
            response.stream_to_file(path)
        with path.open("rb") as lines:
            for line in lines:
                try:
                    yield dict(json.loads(line))
                except (ValueError, TypeError):
                    continue  # a damaged line answers nothing: its request is among the unanswered
        path.unlink()

    def _outcome(self, line: dict[str, Any]) -> Answer:
        """What one line of an output or error file says."""
        key, response, error = str(line.get("custom_id")), line.get("response") or {}, line.get("error") or {}
        body = response.get("body") or {}
        if response.get("status_code") == 200 and not error:
            return self._format.answer(key, body)
        refusal = error or body.get("error") or {}
        said = self._connection.without_key(refusal.get("message") or f"status {response.get('status_code')}")
        return Answer(key, said, finish="filtered" if refusal.get("code") == "content_filter" else "failed")


def _since(listed: Iterable[Entry], moment: int) -> Iterator[Entry]:
    """The newest entries of a list that runs from new to old."""
    return takewhile(lambda entry: entry.created_at >= moment - CLOCKS, listed)
