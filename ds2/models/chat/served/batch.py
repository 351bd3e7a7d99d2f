"""The Batch API of an OpenAI-compatible server: half the price, an answer within a day.

Requests become input files, files are uploaded and submitted, batches are looked at until they end, their
output and error files are read. `ds2.models.chat.served.batch_state` holds every step on disk, so that a
process that dies between any two loses nothing and pays for nothing twice: the same command takes up each
batch where it was left. A batch whose submission has an unknown outcome is looked for in the server's list,
by the name in its metadata, before it is submitted again.
"""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from ds2.base.errors import UserError
from ds2.base.json_files import json_line
from ds2.config import ChatConfig, ChatRuntime
from ds2.models.chat import Answer, AnswerForm, ChatRequest, Place
from ds2.models.chat.served import server as openai_server
from ds2.models.chat.served.batch_calls import BatchApi, Refused, Remote, Unavailable, digest, readable
from ds2.models.chat.served.batch_state import Batch, BatchState, Draft, folder_of
from ds2.models.chat.served.format import ChatFormat
from ds2.models.chat.served.policy import Fate, Fault
from ds2.models.chat.served.words import count, error_of, mapping
from ds2.models.chat.tokens import estimate_tokens

PATIENCE = 30
"""Looks in a row at a server that does not answer, before the wait for it ends."""
DOWNLOADS = 3
"""Times that a damaged download must be the same until it is taken for what the server has."""
ENDED = frozenset({"completed", "expired", "cancelled"})
QUEUE_FULL = "token_limit_exceeded"
"""The account has as many tokens waiting in batches as it may."""


@contextmanager
def open(config: ChatConfig, form: AnswerForm, revision: str | None, place: Place) -> Iterator[BatchBackend]:
    """The server, checked for the model, and its batches. Raises UserError where either cannot be had."""
    folder = folder_of(config, place.folder)
    try:
        with openai_server.open(config, form, revision, place) as server, BatchState(folder) as state:
            found = replace(config, base_url=server.check())
            backend = BatchBackend(ChatFormat.of(found, form), config.runtime, state, place.show)
            with closing(backend):
                yield backend
    except (OSError, sqlite3.Error) as error:
        raise UserError(f"the state of batches in {folder} cannot be kept: {error}") from error


class BatchBackend:
    """Requests in, answers out, through batches that outlive the process."""

    def __init__(
        self,
        format: ChatFormat,
        runtime: ChatRuntime,
        state: BatchState,
        show: Callable[[str], None] = lambda words: None,
    ) -> None:
        self._format, self._connection = format, format.connection
        self._runtime, self._state, self._show = runtime, state, show
        self._api = BatchApi(format.connection, runtime.timeout)
        self._remotes: dict[str, Remote] = {}
        """Each batch of this run as it was last seen."""
        self._first: tuple[float, int] | None = None
        """When this run first looked at its batches, and what was done by then."""
        self._damaged: dict[str, list[str]] = {}
        """Hashes of the downloads of a batch that could not be read in full."""

    def close(self) -> None:
        self._api.close()

    def count_tokens(self, text: str) -> int:
        """See `Backend`; a server's tokenizer is not at hand."""
        return estimate_tokens(text)

    def answers(self, requests: Iterable[ChatRequest]) -> Iterator[Answer]:
        """Answers as their batches end; those that earlier batches hold are not asked for again."""
        self._state.ask_nothing()
        self._seal((request.key, self._line(request)) for request in requests if self._state.ask(request.key))
        unheard = 0
        while True:
            yield from self._state.ready()
            waiting = self._state.waiting()
            if not waiting:
                return
            ended = False
            try:
                for batch in waiting:
                    failed = self._look(batch)
                    ended = ended or failed is not None
                    yield from failed or ()
                unheard = 0
            except Unavailable as error:
                unheard += 1
                if unheard == PATIENCE:
                    raise UserError(
                        f"{self._connection.name} does not answer ({error}); batches submitted go on there: "
                        "run the same command again to collect them"
                    ) from error
            except Refused as error:
                raise UserError(f"{self._connection.name} refuses: {error}") from error
            self._show(self._progress())
            if not ended:
                time.sleep(self._runtime.poll_seconds)

    def _line(self, request: ChatRequest) -> bytes:
        line = {
            "custom_id": request.key,
            "method": "POST",
            "url": self._api.endpoint,
            "body": self._format.body(request),
        }
        return json_line(line)

    def _seal(self, lines: Iterable[tuple[str, bytes]]) -> None:
        """Put requests into input files within the API's limits, and send each file as soon as it is full."""
        draft: Draft | None = None
        most, room = self._runtime.batch_requests, self._runtime.batch_megabytes * 1e6
        for key, line in lines:
            if draft and (len(draft.keys) >= most or draft.bytes + len(line) > room):
                self._try_send(self._state.seal(draft))
                draft = None
            draft = draft or Draft(self._state.folder)
            draft.add(key, line)
        if draft:
            self._try_send(self._state.seal(draft))

    def _try_send(self, batch: Batch) -> None:
        try:
            self._send(batch)
        except Unavailable:
            return  # it waits for the next look

    def _send(self, batch: Batch) -> Batch:
        """The batch, submitted; each call that is still to be made is made once.

        Raises:
            UserError: the server refuses; the requests are then free again.
        """
        return self._submit(self._upload(batch))

    def _upload(self, batch: Batch) -> Batch:
        if batch.step not in ("sealed", "uploading"):
            return batch
        path = self._state.input_file(batch.name)
        look = partial(self._api.uploaded, path.name, batch.sealed_at)
        file_id = self._find(look) if batch.step == "uploading" else None
        if file_id is None:
            self._state.move(batch, "uploading")
            file_id = self._make(batch, partial(self._api.upload, path))
        return self._state.move(batch, "uploaded", file_id=file_id)

    def _submit(self, batch: Batch) -> Batch:
        if batch.step not in ("uploaded", "submitting"):
            return batch
        look = partial(self._api.submitted, batch.name, batch.sealed_at)
        batch_id = self._find(look) if batch.step == "submitting" else None
        if batch_id is None:
            assert batch.file_id is not None
            self._state.move(batch, "submitting")
            batch_id = self._make(batch, partial(self._api.submit, batch.file_id, batch.name))
        return self._state.move(batch, "submitted", batch_id=batch_id)

    def _make(self, batch: Batch, call: Callable[[], str]) -> str:
        """The id of what the call makes. Raises UserError where it is refused: then nothing was made."""
        try:
            return call()
        except Refused as error:
            self._state.finish(batch, ())
            raise UserError(f"{self._connection.name} refuses a batch: {error}") from error

    def _find(self, look: Callable[[], str | None]) -> str | None:
        """What a call of unknown outcome made, if it did; looked for twice, because lists lag."""
        made = look()
        if made is None:
            time.sleep(self._runtime.poll_seconds)
            made = look()
        return made

    def _look(self, batch: Batch) -> list[Answer] | None:
        """None while a batch runs. Once it has ended, its answers are stored; returns what it did not answer.

        Raises:
            UserError: the batch was refused or cancelled, or is not known; what it answered is stored.
        """
        batch = self._send(batch)
        assert batch.batch_id is not None
        try:
            remote = self._api.retrieve(batch.batch_id)
        except Refused as error:
            if error.status != 404:
                raise
            raise UserError(
                f"{self._connection.name} does not know batch {batch.batch_id}, submitted there before: use "
                f"the account it was submitted with, or delete {self._state.folder} to pay for its requests "
                "again"
            ) from error
        self._remotes[batch.name] = remote
        if remote.status == "failed":
            self._put_off(batch, remote)
            return None
        if remote.status not in ENDED:
            return None
        failed = self._collect(batch, remote)
        if remote.status == "cancelled":
            raise UserError(
                f"batch {remote.id} was cancelled at the server; its answers are kept, run the same command "
                "again for the rest"
            )
        return failed

    def _progress(self) -> str:
        """How far the batches of this run are, and how fast since it first looked."""
        done, now = sum(remote.done for remote in self._remotes.values()), time.monotonic()
        first, before = self._first = self._first or (now, done)
        total = sum(remote.total for remote in self._remotes.values())
        pace = f", {(done - before) / (now - first) * 60:,.0f}/min" if done > before else ""
        return f"{done:,} of {total:,} done in {len(self._remotes)} batches at the server{pace}"

    def _put_off(self, batch: Batch, remote: Remote) -> None:
        """Submit a batch later that was refused because others fill the queue.

        Raises:
            UserError: it was refused for good.
        """
        if any(code == QUEUE_FULL for code, _ in remote.errors):
            if any(other.step == "submitted" and other != batch for other in self._state.waiting()):
                self._state.move(batch, "uploaded")
                return
            setting = f"{self._connection.group}.runtime.batch_requests"
            advice = f"; lower {setting}, or wait for other batches of the account to end"
        else:
            advice = ""
        self._state.finish(batch, ())
        messages = dict.fromkeys(self._connection.without_key(message) for _, message in remote.errors)
        said = "; ".join(messages) or "no reason given"
        raise UserError(f"{self._connection.name} refused batch {remote.id}: {said}{advice}")

    def _collect(self, batch: Batch, remote: Remote) -> list[Answer]:
        """Store an ended batch's answers; returns what was not answered.

        Raises:
            Unavailable: its files are not what the server says of them.
        """
        failed: dict[str, Answer] = {}

        def answered() -> Iterator[Answer]:
            for line in readable(paths):
                answer = self._outcome(line)
                if answer.finish == "failed":
                    failed[answer.key] = answer
                else:
                    yield answer

        paths = [self._state.folder / f"download-{i}" for i in range(len(remote.files))]
        for file_id, path in zip(remote.files, paths, strict=True):
            self._api.download(file_id, path)
        self._check(batch, remote, paths)
        unanswered = self._state.finish(batch, answered())
        for path in paths:
            path.unlink()
        why = f"batch {remote.id} ended without an answer ({remote.status})"
        return [failed.get(key, Answer(key, why, finish="failed")) for key in unanswered]

    def _check(self, batch: Batch, remote: Remote, paths: Sequence[Path]) -> None:
        """Doubt a download with fewer lines than the server counts, until it came `DOWNLOADS` times the same.

        What is in it was paid for: forgotten too early, it would be paid for again.
        """
        lines, expected = sum(1 for _ in readable(paths)), max(remote.done, len(paths))
        if lines >= expected:
            return
        seen = self._damaged.setdefault(batch.name, [])
        seen.append("".join(digest(path) for path in paths))
        if seen[-DOWNLOADS:] != [seen[-1]] * DOWNLOADS:
            raise Unavailable(
                f"{lines:,} lines of the results of batch {remote.id} can be read, of {expected:,}"
            )

    def _outcome(self, line: dict[str, Any]) -> Answer:
        """What one line of an output or error file says."""
        key, response, error = str(line["custom_id"]), mapping(line.get("response")), line.get("error")
        body = mapping(response.get("body"))
        if response.get("status_code") == 200 and not error:
            answer = self._format.answer(key, body)
            if isinstance(answer, Answer):
                return answer
            fault = answer
        else:
            words, code = error_of(error or body)
            status = count(response.get("status_code")) or None
            shown = words or f"status {response.get('status_code')}"
            fault = Fault(self._connection.without_key(shown), status, code)
        fate = fault.fate(heard=True)
        finish = "filtered" if fate is Fate.filtered else "failed"
        return Answer(key, fault.words, finish, final=fate in (Fate.row, Fate.run))
