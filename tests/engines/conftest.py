"""Real engines and servers on the tiny random model: slow to start, so each test module starts its own once."""

from __future__ import annotations

import os
import socket
import subprocess
import time
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path

import pytest

from ds2.pool import Message, Pool, Sample

START = 240.0
"""Seconds that a server may take to start: engines import and warm up for half a minute on a busy machine."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark everything here, and say why it is skipped where vLLM is absent."""
    here = Path(__file__).parent
    for item in items:
        if here in item.path.parents:
            item.add_marker(pytest.mark.vllm)
            if find_spec("vllm") is None:
                item.add_marker(pytest.mark.skip(reason="no vLLM here: make test-vllm"))


@pytest.fixture(scope="session", autouse=True)
def quiet_engine() -> None:
    """What vLLM reads from the environment, on a machine without a GPU."""
    os.environ.setdefault("VLLM_CPU_KVCACHE_SPACE", "1")
    os.environ.setdefault("VLLM_LOGGING_LEVEL", "ERROR")


@contextmanager
def serving(command: Sequence[str], path: str, log: Path) -> Iterator[str]:
    """A server on a free port of 127.0.0.1, as `http://127.0.0.1:PORT`, once `path` answers; ended afterwards."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    address = f"http://127.0.0.1:{port}"
    with log.open("w") as written:
        server = subprocess.Popen(
            [*command, "--host", "127.0.0.1", "--port", str(port)], stdout=written, stderr=subprocess.STDOUT
        )
        try:
            _wait(server, f"{address}{path}", log)
            yield address
        finally:
            server.terminate()
            try:
                server.wait(timeout=30)
            except subprocess.TimeoutExpired:
                server.kill()
                server.wait()


def _wait(server: subprocess.Popen, url: str, log: Path) -> None:
    until = time.monotonic() + START
    while time.monotonic() < until:
        if server.poll() is not None:
            raise RuntimeError(f"the server ended with {server.returncode}:\n{log.read_text()[-3000:]}")
        try:
            with urllib.request.urlopen(url, timeout=5) as reply:
                if reply.status == 200:
                    return
        except OSError:
            time.sleep(0.5)
    raise RuntimeError(f"no server within {START:g} s:\n{log.read_text()[-3000:]}")


def pool_of(count: int) -> Pool:
    """Conversations that differ in their last words."""
    turns = [
        (Message("user", f"What is {i} and {i}?"), Message("assistant", f"It is {2 * i}.")) for i in range(count)
    ]
    return Pool([Sample(f"p{i}", i, "s", turn, {}) for i, turn in enumerate(turns)], count)
