"""Measured claims about rating: ratings a second against a server that answers at once, and memory over
100,000 ratings.

    python benchmarks/rating.py                        100,000 ratings
    python benchmarks/rating.py --ratings 10000        fewer

The server runs in a process of its own on the same machine and writes a fixed answer. Everything else is what
`ds2 until=rate rater=openai_compatible` does: conversations are rendered, cut, asked about over HTTP with 64
requests in flight, logged and parsed. Writes benchmarks/results/rating-server.json and .md, with machine,
versions and date.
"""

from __future__ import annotations

import argparse
import asyncio
import datetime
import importlib.metadata
import json
import os
import platform
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from ds2.config import ChatBackend, LlmRaterConfig, RaterRuntime, ScaleConfig
from ds2.models.chat import Answer, Backend, ChatRequest, open_backend
from ds2.pool import Message, Pool, Sample
from ds2.rating import by_model

RESULTS = Path(__file__).resolve().parent / "results"
STEP = 10_000
MODEL = "instant"


class Instant(asyncio.Protocol):
    """One connection of a server that reads whole requests and answers each at once."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport, self.buffer, self.served = transport, b"", 0

    def data_received(self, data: bytes) -> None:
        self.buffer += data
        while (end := self.buffer.find(b"\r\n\r\n")) >= 0:
            head = self.buffer[:end].lower()
            _, header, rest = head.partition(b"content-length:")
            whole = end + 4 + (int(rest.split(b"\r\n", 1)[0]) if header else 0)
            if len(self.buffer) < whole:
                return
            self.buffer = self.buffer[whole:]
            self.transport.write(_models() if head.startswith(b"get") else _completion())


def _completion() -> bytes:
    rating = random.choice(range(1, 11))
    text = f'{{"rarity": 5, "complexity": 4, "informativeness": 6, "overall_rating": {rating}}}'
    usage = {"prompt_tokens": 600, "completion_tokens": 30, "prompt_tokens_details": {"cached_tokens": 320}}
    choice = {"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": text}}
    return _response(
        {"id": "x", "object": "chat.completion", "model": MODEL, "choices": [choice], "usage": usage}
    )


def _models() -> bytes:
    return _response({"object": "list", "data": [{"id": MODEL}]})


def _response(value: Any) -> bytes:
    body = json.dumps(value).encode()
    return b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s" % (
        len(body),
        body,
    )


async def serve() -> None:
    server = await asyncio.get_running_loop().create_server(Instant, "127.0.0.1", 0)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


@contextmanager
def instant_server() -> Iterator[str]:
    child = subprocess.Popen([sys.executable, __file__, "--serve"], stdout=subprocess.PIPE, text=True)
    try:
        assert child.stdout is not None
        yield f"http://127.0.0.1:{child.stdout.readline().strip()}/v1"
    finally:
        child.terminate()
        child.wait()


def pool_of(count: int) -> Pool:
    """Distinct conversations of about 1,000 characters; a few are too long and are cut."""
    rng = random.Random(0)
    words = [
        f"{a}{b}" for a in ("ra", "te", "mo", "li", "ku") for b in ("sen", "dor", "pal", "vit", "ner", "gas")
    ]
    samples = []
    for i in range(count):
        length = 2500 if i % 50 == 0 else rng.randint(20, 300)
        text = " ".join(rng.choices(words, k=length))
        turns = (
            Message("user", f"{i} {text[: len(text) // 3]}"),
            Message("assistant", text[len(text) // 3 :]),
        )
        samples.append(Sample(str(i), i, f"source {i % 5}", turns, {}))
    return Pool(samples, count)


class Watched:
    """A back end that notes time and resident memory every `STEP` answers."""

    def __init__(self, backend: Backend) -> None:
        self._backend, self.steps, self._started = backend, list[dict[str, float]](), time.perf_counter()

    def answers(self, requests: Iterable[ChatRequest]) -> Iterator[Answer]:
        self._note(0)
        for count, answer in enumerate(self._backend.answers(requests), start=1):
            yield answer
            if count % STEP == 0:
                self._note(count)

    def count_tokens(self, text: str) -> int:
        return self._backend.count_tokens(text)

    def _note(self, count: int) -> None:
        pages = int(Path("/proc/self/statm").read_text().split()[1])
        row = {
            "ratings": count,
            "seconds": round(time.perf_counter() - self._started, 2),
            "resident, MiB": round(pages * os.sysconf("SC_PAGE_SIZE") / 2**20, 1),
        }
        print(row, flush=True)
        self.steps.append(row)


def measure(count: int) -> tuple[list[dict[str, float]], float]:
    """Steps, and ratings a second of the whole."""
    pool, watched = pool_of(count), list[Watched]()

    @contextmanager
    def opened(*arguments: Any) -> Iterator[Watched]:
        with open_backend(*arguments) as backend:
            watched.append(Watched(backend))
            yield watched[0]

    with instant_server() as url, tempfile.TemporaryDirectory() as folder:
        config = LlmRaterConfig(
            name="instant", backend=ChatBackend.openai, model=MODEL, base_url=url, runtime=RaterRuntime()
        )
        by_model.open_backend = opened
        started = time.perf_counter()
        ratings = by_model.rate(
            config, pool, ScaleConfig(), model={"served": MODEL}, revision=None, folder=Path(folder),
            progress=False,
        )  # fmt: skip
        seconds = time.perf_counter() - started
    assert (ratings.scores >= 0).all()
    assert ratings.details is not None
    print(ratings.details.report.counts())
    return watched[0].steps, count / seconds


def write(steps: list[dict[str, float]], speed: float) -> None:
    machine = {
        "machine": platform.machine(),
        "cores": os.cpu_count(),
        "load average": round(os.getloadavg()[1], 1),
        "python": platform.python_version(),
        **{name: importlib.metadata.version(name) for name in ("openai", "httpx2", "numpy")},
        "date": datetime.datetime.now(datetime.UTC).date().isoformat(),
    }
    count = int(steps[-1]["ratings"])
    RESULTS.mkdir(exist_ok=True)
    whole = {"machine": machine, "ratings": count, "ratings_per_second": round(speed, 1), "steps": steps}
    (RESULTS / "rating-server.json").write_text(json.dumps(whole, indent=2) + "\n")
    lines = [
        "# Rating: a server that answers at once",
        "",
        f"{count:,} **synthetic** conversations, 64 requests in flight; server in a process of its own on "
        "the same machine: "
        f"**{speed:.0f} ratings a second** end to end (rendering, HTTP client, log, parser).",
        "",
        "| " + " | ".join(steps[0]) + " |",
        "|---" * len(steps[0]) + "|",
        *("| " + " | ".join(f"{value:,}" for value in row.values()) + " |" for row in steps),
        "",
        ", ".join(f"{key} {value}" for key, value in machine.items()),
        "",
    ]
    (RESULTS / "rating-server.md").write_text("\n".join(lines))


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--ratings", type=int, default=100_000)
    parser.add_argument("--serve", action="store_true", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.serve:
        asyncio.run(serve())
        return
    steps, speed = measure(arguments.ratings)
    print(f"{speed:.1f} ratings a second")
    write(steps, speed)


if __name__ == "__main__":
    main()
