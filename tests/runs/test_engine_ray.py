"""engine=ray: two actors of a local cluster give the artifacts of engine=local, byte for byte."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

import numpy as np
import psutil
import pytest
from helpers.chat_server import GOOD, ChatServer, Reply, completion, running
from helpers.encoders import tiny_encoder

from ds2.artifacts.run import RunResult
from ds2.base.engine import HERE
from ds2.base.errors import UserError
from ds2.base.ray_engine import RayEngine, end_idle
from ds2.config.compose import compose
from ds2.runs.chain import Chain

pytestmark = pytest.mark.slow
pytest.importorskip("openai")
ray = pytest.importorskip("ray")


@pytest.fixture(scope="module")
def engine():
    """Two actors of a cluster that ends with this module."""
    yield RayEngine("local", 2, 0)
    end_idle()


def chain(folder: Path, *overrides: str) -> Chain:
    fixed = [
        f"paths.artifacts={folder}", "tracking=none", "runtime.progress=false", "finetune=none", "eval=none",
    ]  # fmt: skip
    return Chain(compose([*fixed, *overrides]))


RAY = ("engine=ray", "engine.address=local", "engine.actors=2")


def files(result: RunResult, stage: str) -> dict[str, bytes]:
    """The files of an artifact, without the record, which holds times."""
    folder = result.stages[stage].path
    there = sorted(path for path in folder.rglob("*") if path.is_file() and path.name != "record.json")
    assert there
    return {str(path.relative_to(folder)): path.read_bytes() for path in there}


def write_pool(path: Path, count: int) -> Path:
    rng = np.random.default_rng(7)
    words = "red green blue tree house river stone cloud night music bread water".split()
    rows = [
        {"id": f"p{i}", "source": f"s{i % 3}", "messages": [
            {"role": "user", "content": f"question {i}"},
            {"role": "assistant", "content": " ".join(rng.choice(words, 8))},
        ]}
        for i in range(count)
    ]  # fmt: skip
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def rated(server: ChatServer, pool: Path) -> list[str]:
    return [
        "until=rate", "pool=jsonl", f"pool.path={pool}", "rater=openai_compatible", "rater.model=m",
        f"rater.base_url={server.url}", "rater.runtime.concurrency=16",
    ]  # fmt: skip


def by_content(body, times):
    """A rating that only the question decides."""
    number = sum(body["messages"][-1]["content"].encode()) % 10 + 1
    return Reply(completion(GOOD.replace("6", str(number))), delay=0.01)


def test_ratings_of_two_actors_are_those_of_one_process(tmp_path, engine):
    pool = write_pool(tmp_path / "pool.jsonl", 300)
    with running(ChatServer(by_content)) as server:
        here = chain(tmp_path / "local", *rated(server, pool))
        spread = chain(tmp_path / "ray", *rated(server, pool), *RAY)
        assert spread.fingerprint == here.fingerprint
        results = here.run(), spread.run()
        assert set(server.asked.values()) == {2}  # once by each engine
        assert server.most_in_flight <= 16
    one, other = (files(result, "rate") for result in results)
    assert one == other


@contextmanager
def one_actor_killed(when: Callable[[], bool]) -> Iterator[None]:
    """Kills one of this process's actors that is at work, as soon as that may be."""
    over = threading.Event()
    killed: list[int] = []

    def kill() -> None:
        while not killed and not over.wait(0.01):
            for process in at_work() if when() else ():
                os.kill(process, signal.SIGKILL)
                killed.append(process)
                return

    killer = threading.Thread(target=kill)
    killer.start()
    try:
        yield
    finally:
        over.set()
        killer.join()
    assert killed


def at_work() -> Iterator[int]:
    """Actors of this process that have a shard."""
    for process in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            name = (process / "cmdline").read_bytes()
            if name.startswith(b"ray::") and b"_Worker)).submit" in name and mine(int(process.name)):
                yield int(process.name)


def test_a_killed_actor_loses_no_answer_and_asks_at_most_what_was_in_flight_again(tmp_path, engine):
    pool = write_pool(tmp_path / "pool.jsonl", 400)
    with running(ChatServer(by_content)) as server:
        with one_actor_killed(lambda: len(server.answered) >= 150):
            result = chain(tmp_path / "ray", *rated(server, pool), *RAY).run()
        again = sum(server.asked.values()) - 400
        assert len(server.asked) == 400
        assert again <= 8  # of 16 in flight, one actor's half
        here = chain(tmp_path / "local", *rated(server, pool)).run()
    assert files(result, "rate") == files(here, "rate")


def mine(process: int) -> bool:
    """Whether a process descends from this one."""
    while process > 1:
        if process == os.getpid():
            return True
        status = Path(f"/proc/{process}/stat").read_text()
        process = int(status.rpartition(")")[2].split()[1])
    return False


def test_embeddings_and_perplexities_of_two_actors_are_those_of_one_process(tmp_path, engine):
    pytest.importorskip("torch")
    pytest.importorskip("sentence_transformers")
    encoder = tiny_encoder(tmp_path)
    pool = write_pool(tmp_path / "pool.jsonl", 1100)
    fixed = ["pool=jsonl", f"pool.path={pool}"]
    embedded = [*fixed, "until=embed", "embedder=sentence_transformers", f"embedder.model={encoder}"]
    measured = [*fixed, "until=select", "model=tiny", "selection=perplexity_high", "budget.samples=5"]
    for stage, run in (("embed", embedded), ("measure", measured)):
        here = chain(tmp_path / "local", *run).run()
        spread = chain(tmp_path / "ray", *run, *RAY).run()
        assert spread.fingerprint == here.fingerprint
        assert files(spread, stage) == files(here, stage)


def test_an_embedding_whose_actor_was_killed_is_equal(tmp_path, engine):
    pytest.importorskip("torch")
    pytest.importorskip("sentence_transformers")
    embedded = [
        "pool=jsonl", f"pool.path={write_pool(tmp_path / 'pool.jsonl', 1100)}", "until=embed",
        "embedder=sentence_transformers", f"embedder.model={tiny_encoder(tmp_path)}",
    ]  # fmt: skip
    here = chain(tmp_path / "local", *embedded).run()
    with one_actor_killed(lambda: any((tmp_path / "ray" / "embed").glob(".partial-*"))):
        spread = chain(tmp_path / "ray", *embedded, *RAY).run()
    assert files(spread, "embed") == files(here, "embed")


def test_what_a_worker_refuses_is_one_line_here(engine):
    def make():
        raise UserError("embedder.model=x cannot be loaded")

    with pytest.raises(UserError, match=r"^embedder\.model=x cannot be loaded$"):
        list(engine.map(make, [1, 2]))


def test_an_actor_that_always_dies_ends_in_a_line(engine):
    def make():
        return lambda shard: os._exit(1)

    with pytest.raises(UserError, match=r"^engine=ray: actors died .*run the same command again"):
        list(engine.map(make, [1]))


@contextmanager
def head(token: str | None = None) -> Iterator[str]:
    """A cluster that others have started, with two cores and one GPU by name: its address. It is killed at
    the end, and with it its processes.
    """
    folder = tempfile.mkdtemp(prefix="ds2ray")  # short, as Ray's sockets need
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    mode = {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": token} if token else {"RAY_AUTH_MODE": "disabled"}
    options = f"--head --block --port={port} --num-cpus=2 --num-gpus=1 --include-dashboard=false"
    process = psutil.Popen(
        [sys.executable, "-m", "ray.scripts.scripts", "start", *options.split()],
        env={**os.environ, "RAY_TMPDIR": folder, "RAY_gcs_rpc_server_reconnect_timeout_s": "2", **mode},
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    try:
        until(lambda: any(name.startswith("raylet") for name in names_below(process)))
        yield f"127.0.0.1:{port}"
    finally:
        for each in [process, *process.children(recursive=True)]:
            with suppress(psutil.NoSuchProcess):
                each.kill()
        process.wait()
        shutil.rmtree(folder, ignore_errors=True)


def names_below(process: psutil.Process) -> list[str]:
    names = []
    for each in process.children(recursive=True):
        with suppress(psutil.NoSuchProcess):
            names.append(each.name())
    return names


def until(happened: Callable[[], bool], seconds: float = 120) -> None:
    deadline = time.monotonic() + seconds
    while not happened():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_actors_hold_gpus(monkeypatch, capfd):
    monkeypatch.setenv("RAY_AUTH_MODE", "disabled")

    def make():
        return lambda shard: ray.get_gpu_ids()

    with head() as address:
        assert list(RayEngine(address, 1, 1.0).map(make, [1])) == [(0, [0])]
        end_idle()
    assert capfd.readouterr().err == ""  # no warning of Ray's


def test_gpus_that_this_machine_lacks_are_a_line():
    if shutil.which("nvidia-smi"):
        pytest.skip("there may be one")
    with pytest.raises(UserError, match=r"^engine\.gpus=1: this machine has 0 GPUs"):
        list(RayEngine("local", 1, 1.0).map(lambda: str, [1]))


def test_an_address_at_which_nobody_answers_is_a_line_at_once():
    began = time.monotonic()
    with pytest.raises(UserError, match=r"^engine\.address=127\.0\.0\.1:1: nobody answers there"):
        list(RayEngine("127.0.0.1:1", 1, 0).map(lambda: str, [1]))
    assert time.monotonic() - began < 60


def test_a_cluster_that_asks_for_another_token_is_a_line(monkeypatch):
    monkeypatch.setenv("RAY_AUTH_TOKEN", "b" * 64)
    with head("a" * 64) as address, pytest.raises(UserError, match="asks for a token.*RAY_AUTH_TOKEN"):
        list(RayEngine(address, 1, 0).map(lambda: str, [1]))


def test_a_lost_cluster_is_a_line_and_the_rerun_asks_only_what_is_missing(tmp_path, monkeypatch):
    monkeypatch.setenv("RAY_AUTH_MODE", "disabled")
    monkeypatch.setenv("RAY_gcs_rpc_server_reconnect_timeout_s", "5")  # a minute otherwise
    pool = write_pool(tmp_path / "pool.jsonl", 400)
    with running(ChatServer(by_content)) as server, ExitStack() as cluster:
        address = cluster.enter_context(head())
        spread = chain(
            tmp_path / "ray", *rated(server, pool), "engine=ray", f"engine.address={address}",
            "engine.actors=2",
        )  # fmt: skip

        def kill() -> None:
            until(lambda: len(server.answered) >= 100)
            cluster.close()

        killer = threading.Thread(target=kill)
        killer.start()
        with pytest.raises(UserError, match="^engine=ray: the cluster is lost.*run the same command again"):
            spread.run()
        killer.join()
        assert not list((tmp_path / "ray" / "rate").glob("*/record.json"))
        again = chain(tmp_path / "ray", *rated(server, pool)).run()
        assert len(server.asked) == 400
        assert sum(server.asked.values()) - 400 <= 16  # in flight
        here = chain(tmp_path / "local", *rated(server, pool)).run()
    table = "ratings.parquet"  # the report tells answers of the log from new ones
    assert files(again, "rate")[table] == files(here, "rate")[table]


def test_shards_come_back_with_their_numbers(engine):
    def make():
        return lambda shard: shard * 2

    expected = [(number, 2 * number) for number in range(20)]
    assert sorted(engine.map(make, range(20))) == expected == list(HERE.map(make, range(20)))
