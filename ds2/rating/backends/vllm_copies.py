"""Several copies of one model, each in a process of its own with its own GPUs; the pool is dealt out among them batch by batch."""

from __future__ import annotations

import multiprocessing
import os
import queue
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

from ds2.config import LlmRaterConfig
from ds2.errors import UserError
from ds2.rating.backends import Answer, Place, Request
from ds2.rating.backends.local import batches, load_tokenizer

_AHEAD = 2
"""Batches that wait for each copy, so that none idles."""
_LOOK = 5.0
"""Seconds between looks at whether the copies still live."""


def copies(config: LlmRaterConfig) -> int:
    """As many as are asked for, else as there are GPUs for. Raises UserError where they need more GPUs than there are."""
    import torch

    each, gpus = config.runtime.tensor_parallel, torch.cuda.device_count()
    wanted = config.runtime.data_parallel
    if gpus and (wanted or 1) * each > gpus:
        raise UserError(
            f"rater.runtime.data_parallel={wanted or 1} copies on rater.runtime.tensor_parallel={each} GPUs each need more "
            f"than the {gpus} that are here"
        )
    return wanted or max(1, gpus // each)


@contextmanager
def open_copies(
    config: LlmRaterConfig, revision: str | None, place: Place, count: int
) -> Iterator[CopiesBackend]:
    """`count` copies, started together."""
    tokenizer = load_tokenizer(config, revision, place)
    backend = CopiesBackend(config, revision, tokenizer, count)
    try:
        yield backend
    finally:
        backend.close()


class CopiesBackend:
    """Batches out, answers back, in whatever order the copies finish."""

    def __init__(self, config: LlmRaterConfig, revision: str | None, tokenizer: Any, count: int) -> None:
        self._tokenizer, self._size = tokenizer, config.runtime.batch_size
        spawn = multiprocessing.get_context("spawn")
        self._work: Any = spawn.Queue()
        self._done: Any = spawn.Queue()
        own = replace(config, runtime=replace(config.runtime, data_parallel=1))
        self._processes = [
            spawn.Process(target=_serve, args=(own, revision, gpus, self._work, self._done), daemon=False)
            for gpus in _shares(count, config.runtime.tensor_parallel)
        ]
        for process in self._processes:
            process.start()

    def close(self) -> None:
        for _ in self._processes:
            self._work.put(None)
        for process in self._processes:
            process.join(timeout=30)
            if process.is_alive():
                process.terminate()
                process.join()

    def count_tokens(self, text: str) -> int:
        """See `Backend`."""
        return len(self._tokenizer.encode(text, add_special_tokens=False))

    def answers(self, requests: Iterable[Request]) -> Iterator[Answer]:
        """See `Backend`."""
        source, out = batches(requests, self._size), 0
        while True:
            while out < _AHEAD * len(self._processes) and (batch := next(source, None)):
                self._work.put(batch)
                out += 1
            if not out:
                return
            yield from self._next()
            out -= 1

    def _next(self) -> list[Answer]:
        while True:
            try:
                found = self._done.get(timeout=_LOOK)
            except queue.Empty:
                dead = [p.exitcode for p in self._processes if not p.is_alive()]
                if dead:
                    raise UserError(
                        f"{len(dead)} of {len(self._processes)} copies of the rater ended (exit code {dead[0]}): see their "
                        "lines above. Answers so far are kept; the same command goes on from there"
                    ) from None
                continue
            if isinstance(found, str):
                raise UserError(found)
            return list(found)


def _shares(count: int, each: int) -> list[str | None]:
    """CUDA_VISIBLE_DEVICES of each copy; None where there are no GPUs to share out."""
    import torch

    if not torch.cuda.device_count():
        return [None] * count
    seen = os.environ.get("CUDA_VISIBLE_DEVICES")
    names = seen.split(",") if seen else [str(i) for i in range(torch.cuda.device_count())]
    return [",".join(names[i * each : (i + 1) * each]) for i in range(count)]


def _serve(config: LlmRaterConfig, revision: str | None, gpus: str | None, work: Any, done: Any) -> None:
    """A copy's life: batches of requests until None."""
    if gpus is not None:
        os.environ["CUDA_VISIBLE_DEVICES"] = gpus  # before anything looks for a GPU
    from pathlib import Path

    from ds2.rating.backends.vllm_engine import open_one

    try:
        with open_one(config, revision, Place(Path())) as backend:
            while (batch := work.get()) is not None:
                done.put(list(backend.answers(batch)))
    except UserError as error:
        done.put(str(error))
