"""Real engines and servers on the tiny random model: slow to start, so once a test module."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path

import pytest

CHAT = "{% for m in messages %}{{ m['role'] + ': ' + m['content'] + '\n' }}{% endfor %}{{ 'assistant: ' }}"
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
    """A server on a free port of 127.0.0.1, as `http://127.0.0.1:PORT`, once `path` answers; ended
    afterwards."""
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


@pytest.fixture(scope="session")
def rater_model(tiny_model: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The tiny random Llama with a chat template."""
    from transformers import AutoModelForCausalLM, AutoTokenizer

    folder = tmp_path_factory.mktemp("rater")
    AutoModelForCausalLM.from_pretrained(tiny_model).save_pretrained(folder)
    tokenizer = AutoTokenizer.from_pretrained(tiny_model)
    tokenizer.chat_template = CHAT
    tokenizer.save_pretrained(folder)
    return folder


@pytest.fixture
def rate(tmp_path: Path, planted_pool: Path) -> Callable[..., tuple[int, str, dict]]:
    """`ds2 until=rate` on 24 planted samples, as a person runs it: exit code, output, rating report."""

    def run(*overrides: str) -> tuple[int, str, dict]:
        pool = tmp_path / "pool.jsonl"
        pool.write_text("\n".join(planted_pool.read_text().splitlines()[:24]))
        command = [
            sys.executable,
            "-m",
            "ds2",
            "pool=jsonl",
            f"pool.path={pool}",
            "until=rate",
            "tracking=none",
        ]
        paths = [f"paths.artifacts={tmp_path / 'artifacts'}", f"hydra.run.dir={tmp_path / 'hydra'}"]
        done = subprocess.run(
            [*command, *paths, *overrides], capture_output=True, text=True, timeout=280, check=False,
            env={**os.environ, "HF_HUB_OFFLINE": "1", "COLUMNS": "300"},
        )  # fmt: skip
        reports = list((tmp_path / "artifacts" / "rate").glob("*/rating_report.json"))
        report = json.loads(reports[0].read_text()) if reports else {}
        return done.returncode, done.stdout + done.stderr, report

    return run
