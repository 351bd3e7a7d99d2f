"""engine=ray: two actors of a local cluster give the artifacts of engine=local, byte for byte."""

from __future__ import annotations

import json
import os
import signal
import threading
import time
from pathlib import Path

import numpy as np
import pytest
from helpers.chat_server import GOOD, ChatServer, Reply, completion, running
from helpers.encoders import tiny_encoder

from ds2.artifacts.run import RunResult
from ds2.base.engine import HERE
from ds2.base.errors import UserError
from ds2.base.ray_engine import RayEngine
from ds2.config.compose import compose
from ds2.runs.chain import Chain

pytestmark = pytest.mark.slow
pytest.importorskip("openai")
ray = pytest.importorskip("ray")


@pytest.fixture(scope="module")
def engine():
    """Two actors of a cluster that ends with this module."""
    yield RayEngine("local", 2, 0)
    ray.shutdown()


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


def test_a_killed_actor_loses_no_answer_and_asks_at_most_what_was_in_flight_again(tmp_path, engine):
    pool = write_pool(tmp_path / "pool.jsonl", 400)
    killed: list[int] = []

    def kill() -> None:
        while len(server.answered) < 150:
            time.sleep(0.01)
        for process in Path("/proc").glob("[0-9]*"):
            try:
                name = (process / "cmdline").read_bytes()
            except OSError:
                continue
            if b"ray::" in name and b"MapWorker" in name and not killed and mine(int(process.name)):
                os.kill(int(process.name), signal.SIGKILL)
                killed.append(int(process.name))

    with running(ChatServer(by_content)) as server:
        killer = threading.Thread(target=kill)
        killer.start()
        result = chain(tmp_path / "ray", *rated(server, pool), *RAY).run()
        killer.join()
        assert killed
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


def test_what_a_worker_refuses_is_one_line_here(engine):
    def make():
        raise UserError("embedder.model=x cannot be loaded")

    with pytest.raises(UserError, match=r"^embedder\.model=x cannot be loaded$"):
        list(engine.map(make, [1, 2]))


def test_an_actor_that_always_dies_ends_in_a_line(engine):
    def make():
        return lambda shard: os._exit(1)

    with pytest.raises(UserError, match=r"^engine=ray: .*run the same command again"):
        list(engine.map(make, [1]))


def test_shards_come_back_with_their_numbers(engine):
    def make():
        return lambda shard: shard * 2

    expected = [(number, 2 * number) for number in range(20)]
    assert sorted(engine.map(make, range(20))) == expected == list(HERE.map(make, range(20)))
