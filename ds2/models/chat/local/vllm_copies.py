"""Copies of one model, each in a process of its own with its own GPUs; requests are dealt out one by one.

The next request goes to whichever copy holds fewest.
 A pipe joins each copy to this process, so that the end of either is
known to the other at once. That is why a single copy has its process too: killed with SIGKILL, this process
cannot stop vLLM's own processes, which would keep the GPU; the copy can.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from multiprocessing.connection import Connection, wait
from pathlib import Path
from queue import SimpleQueue
from typing import Any

from ds2.base.errors import UserError
from ds2.config import ChatConfig
from ds2.models.chat import Answer, AnswerForm, ChatRequest, Opener, Place
from ds2.models.chat.local.tokenizer import load_tokenizer

AHEAD = 2048
"""Requests that a copy may hold: more than its engine does, so that it never waits."""


def shares(config: ChatConfig) -> list[str | None]:
    """CUDA_VISIBLE_DEVICES of each copy; None: as it is.

    Raises:
        UserError: the copies need more GPUs than there are.
    """
    import torch

    runtime, name = config.runtime, f"{config.group}.runtime"
    each, count = runtime.tensor_parallel, torch.cuda.device_count()
    copies = max(1, count // each) if runtime.data_parallel is None else runtime.data_parallel
    if each < 1 or copies < 1:
        raise UserError(f"{name}.tensor_parallel and {name}.data_parallel must be at least 1")
    if count and copies * each > count:
        raise UserError(
            f"{name}.data_parallel={copies} copies on {name}.tensor_parallel={each} GPUs each need more than "
            f"the {count} that are here"
        )
    if copies == 1 or not count:
        return [None] * copies
    seen = os.environ.get("CUDA_VISIBLE_DEVICES")
    names = seen.replace(" ", "").split(",") if seen else [str(i) for i in range(count)]
    return [",".join(names[i * each : (i + 1) * each]) for i in range(copies)]


@contextmanager
def open_copies(
    opener: Opener, config: ChatConfig, form: AnswerForm, revision: str | None, place: Place,
    gpus: list[str | None],
) -> Iterator[CopiesBackend]:  # fmt: skip
    """A copy for each entry of `gpus`, all started at once; `opener` is a function of a module and opens one
    of them."""
    tokenizer = load_tokenizer(config, revision, place)
    copies = [_Copy(opener, config, form, revision, place.folder, visible) for visible in gpus]
    try:
        for copy in copies:
            copy.receive()  # it is ready
        yield CopiesBackend(copies, lambda text: len(tokenizer.encode(text, add_special_tokens=False)))
    finally:
        for copy in copies:
            copy.connection.close()
        for copy in copies:
            copy.end()


class CopiesBackend:
    """One back end over all copies."""

    def __init__(self, copies: list[_Copy], count_tokens: Callable[[str], int]) -> None:
        self._copies, self._count_tokens = copies, count_tokens

    def count_tokens(self, text: str) -> int:
        """See `Backend`."""
        return self._count_tokens(text)

    def answers(self, requests: Iterable[ChatRequest]) -> Iterator[Answer]:
        """See `Backend`."""
        source = iter(requests)
        held, drained = dict.fromkeys(self._copies, 0), False
        ends: dict[Any, _Copy] = {copy.connection: copy for copy in self._copies}
        while True:
            while not drained and min(held.values()) < AHEAD:
                request = next(source, None)
                if request is None:
                    drained = True
                    for copy in self._copies:
                        copy.send(None)  # what it holds is all for now
                    break
                least = min(held, key=held.__getitem__)
                least.send(request)
                held[least] += 1
            if not any(held.values()):
                return
            for ready in wait(list(ends)):
                answer = ends[ready].receive()
                assert answer is not None
                held[ends[ready]] -= 1
                yield answer


class _Copy:
    """This side of one copy."""

    def __init__(
        self, opener: Opener, config: ChatConfig, form: AnswerForm, revision: str | None, folder: Path,
        gpus: str | None,
    ) -> None:  # fmt: skip
        self._model = f"{config.group}.model={config.model}"
        spawn = multiprocessing.get_context("spawn")
        self.connection, other = spawn.Pipe()
        # Not a daemon: an engine starts processes of its own.
        self.process = spawn.Process(
            target=_serve, args=(opener, config, form, revision, folder, gpus, other), daemon=False
        )
        self.process.start()
        other.close()

    def send(self, request: ChatRequest | None) -> None:
        """Raises UserError where the copy has ended."""
        try:
            self.connection.send(request)
        except OSError as error:
            raise self._ended() from error

    def receive(self) -> Answer | None:
        """An answer, or None once the copy is ready. Raises the copy's UserError, or one where it has
        ended."""
        try:
            sent = self.connection.recv()
        except (EOFError, OSError) as error:
            raise self._ended() from error
        if isinstance(sent, UserError):
            raise sent
        assert sent is None or isinstance(sent, Answer)
        return sent

    def end(self) -> None:
        self.process.join(timeout=30)
        if self.process.is_alive():
            self.process.terminate()
            self.process.join()

    def _ended(self) -> UserError:
        self.process.join(timeout=5)
        return UserError(
            f"a process of {self._model} ended (exit code {self.process.exitcode}): see its lines above. "
            "Answers so far are kept; the same command goes on from there"
        )


def _serve(
    opener: Opener, config: ChatConfig, form: AnswerForm, revision: str | None, folder: Path,
    gpus: str | None, connection: Connection,
) -> None:  # fmt: skip
    """A copy's life: answers requests, round after round, until the other end of the pipe is closed."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the other process is interrupted too, and closes the pipe
    if gpus is not None:
        os.environ["CUDA_VISIBLE_DEVICES"] = gpus  # before anything looks for a GPU
    try:
        with opener(config, form, revision, Place(folder)) as backend:
            connection.send(None)
            requests, closed = SimpleQueue[ChatRequest | None](), threading.Event()
            threading.Thread(target=_receive, args=(connection, requests, closed), daemon=True).start()
            while not closed.is_set():
                for answer in backend.answers(iter(requests.get, None)):
                    connection.send(answer)
    except UserError as error:
        connection.send(error)
    except BrokenPipeError:
        pass  # nobody is left to hear the answers


def _receive(
    connection: Connection, requests: SimpleQueue[ChatRequest | None], closed: threading.Event
) -> None:
    """Take requests off the pipe as they come, so that the other end never waits for an answer to be
    written."""
    try:
        while True:
            requests.put(connection.recv())
    except (EOFError, OSError):
        closed.set()
        requests.put(None)
