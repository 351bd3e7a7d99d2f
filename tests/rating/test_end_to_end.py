"""`ds2 until=rate` as a person runs it: killed and run again, and with a key that must never be seen."""

from __future__ import annotations

import json
import signal
import sqlite3
import subprocess
import sys
import time
from contextlib import closing
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from helpers.chat_server import GOOD, ChatServer, Reply, completion, error, running

pytest.importorskip("openai")

from ds2.cli import main as cli
from ds2.config.compose import compose
from ds2.models.chat.answer_log import FILE

KEY = "sk-do-not-print-5f1c9b27"


def command(folder: Path, server: ChatServer, *overrides: str) -> list[str]:
    return [
        "until=rate", "pool=jsonl", f"pool.path={folder / 'pool.jsonl'}", "rater=openai_compatible",
        "rater.model=m",
        f"rater.base_url={server.url or 'http://127.0.0.1:9/v1'}", f"paths.artifacts={folder / 'artifacts'}",
        f"paths.wandb={folder / 'wandb'}",
        *overrides,
    ]  # fmt: skip


def write_pool(folder: Path, count: int) -> None:
    rows = [
        {"id": f"p{i}", "source": f"s{i % 3}", "messages": [
            {"role": "user", "content": f"question {i}"}, {"role": "assistant", "content": f"answer {i}"},
        ]}
        for i in range(count)
    ]  # fmt: skip
    (folder / "pool.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))


def ratings_of(folder: Path) -> pd.DataFrame:
    (path,) = (folder / "artifacts" / "rate").glob("*/ratings.parquet")
    return pd.read_parquet(path)


@pytest.mark.parametrize("kills", [[100], pytest.param([1, 50, 150, 390], marks=pytest.mark.slow)])
def test_a_killed_run_loses_no_answer_and_asks_at_most_what_was_in_flight_again(tmp_path, kills):
    count, in_flight = 400, 8
    write_pool(tmp_path, count)

    def say(body, times):
        """Another rating each time it is asked, so that a lost answer would show."""
        return Reply(completion(GOOD.replace("6", str(4 + times))), delay=0.02)

    with running(ChatServer(say)) as server:
        options = ("tracking=none", "runtime.progress=false", f"rater.runtime.concurrency={in_flight}")
        run = [sys.executable, "-m", "ds2", *command(tmp_path, server, *options)]
        for kill_at in kills:
            child = subprocess.Popen(run, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
            while len(server.answered) < kill_at and child.poll() is None:
                time.sleep(0.005)
            child.send_signal(signal.SIGKILL)
            assert child.wait() == -signal.SIGKILL
            with closing(sqlite3.connect(tmp_path / "artifacts" / "answers" / FILE)) as log:
                (kept,) = log.execute("SELECT count(*) FROM answers").fetchone()
                assert kept >= len(set(server.answered)) - in_flight
        done = subprocess.run(run, capture_output=True, text=True, check=True)
    assert "asked 400, rated 400, repaired 0, unrated 0" in done.stdout
    again = {chat for chat, times in server.asked.items() if times > 1}
    assert len(server.asked) == count
    assert len(again) <= len(kills) * in_flight
    table = ratings_of(tmp_path)
    assert (table["rating"] != 4).sum() <= len(again)


def test_the_key_is_nowhere_in_what_is_written_or_said(tmp_path, monkeypatch, capfd):
    """Answers, errors and lists that repeat the key, good and bad ends, with tracking and report."""
    write_pool(tmp_path, 30)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    leak = f"Incorrect API key provided: {KEY}"

    def say(body, times):
        number = int(body["messages"][0]["content"].partition("question ")[2].split()[0])
        if number == 7:
            return f"{leak}, no rating"
        if number % 3 == 0 and not times:
            return error(500, leak)
        return completion(f"{GOOD} {KEY}") | {"model": f"m for {KEY}"} if number % 3 == 1 else GOOD

    with running(ChatServer(say)) as server:
        assert cli.run(command(tmp_path, server, "tracking=offline", "rater.retries=1")) == 0
    for status in (400, 401, 403, 404, 500):
        with running(ChatServer(lambda body, times, status=status: error(status, leak))) as server:
            tracking = "tracking=offline" if status == 400 else "tracking=none"
            overrides = [tracking, "rater.seed=1", "rater.retries=0", "rater.max_unrated=0"]
            monkeypatch.setattr("ds2.models.chat.served.courier.DELIVERIES", 1)
            assert cli.run(command(tmp_path, server, *overrides)) == 2
    with running(ChatServer(lambda body, times: error(401, leak), models=error(401, leak))) as server:
        assert cli.run(command(tmp_path, server, "tracking=none", "rater.seed=2")) == 2
    said = capfd.readouterr()
    assert "refuses the key in OPENAI_API_KEY" in said.err
    assert "***" in said.err
    files = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert any(path.suffix == ".wandb" for path in files)
    assert any(path.name == "unrated.jsonl" and "***" in path.read_text() for path in files)
    holding = [str(path) for path in files if KEY.encode() in path.read_bytes()]
    assert not holding
    assert KEY not in said.out + said.err
    sent = [headers.get("authorization") for headers in server.headers]
    assert sent.count(f"Bearer {KEY}") >= 2
    assert set(sent) <= {f"Bearer {KEY}", None}


def test_what_the_stage_leaves_can_be_read(tmp_path, monkeypatch, capsys):
    write_pool(tmp_path, 60)
    with running(
        ChatServer(lambda body, times: "?" if "question 5\n" in body["messages"][0]["content"] else GOOD)
    ) as server:
        assert (
            cli.run(command(tmp_path, server, "tracking=none", "rater.retries=0", "runtime.progress=false"))
            == 0
        )
    assert "THE RATER HAS COLLAPSED: 100.0% of its scores are 2" in capsys.readouterr().out
    table = ratings_of(tmp_path)
    assert list(table.columns) == [
        "id", "row", "source", "score", "rating", "rarity", "complexity", "informativeness", "outcome",
    ]  # fmt: skip
    assert table["score"].tolist() == [-1 if i == 5 else 2 for i in range(60)]
    assert np.isnan(table["rating"][5])
    (folder,) = (tmp_path / "artifacts" / "rate").glob("*-*")
    (unrated,) = map(json.loads, (folder / "unrated.jsonl").read_text().splitlines())
    assert (unrated["id"], unrated["outcome"], unrated["text"]) == ("p5", "unreadable", "?")
    report = json.loads((folder / "rating_report.json").read_text())
    assert report["by_source"]["s2"]["unreadable"] == 1
    assert report["models"] == {"m-2026-01-01": 60}
    counts = json.loads((folder / "record.json").read_text())["counts"]
    assert (counts["parsed"], counts["prompt_tokens"], counts["cached_tokens"]) == (59, 6000, 2400)


@pytest.mark.parametrize(
    ("override", "same"),
    [
        ("rater.runtime.concurrency=3", True), ("rater.max_cost=5", True), ("rater.max_unrated=0.5", True),
        ("rater.base_url=http://127.0.0.1:1/v1", True), ("rater.name=other", True),
        ("rater.model=other", False), ("rater.temperature=0.5", False),
        ("rater.max_prompt_tokens=999", False),
        ("rater.repeats=2", False), ("rater.retries=1", False), ("rater.sample=0.5", False),
        ("rater.seed=1", False),
        ("rater.reading=expected", False), ("rater.backend=openai_batch", False), ("scale.high=8", False),
    ],
)  # fmt: skip
def test_what_decides_a_rating_is_its_identity_and_nothing_else(tmp_path, override, same):
    from ds2.runs.chain import Chain

    write_pool(tmp_path, 3)
    base = command(tmp_path, ChatServer())
    one, other = (Chain(compose(overrides)).fingerprint for overrides in (base, [*base, override]))
    assert (one == other) is same


def test_a_local_model_is_identified_by_its_content(tmp_path):
    from ds2.runs.chain import Chain

    write_pool(tmp_path, 3)
    prints = []
    for name, weights in (("a", "1"), ("b", "1"), ("c", "2")):
        folder = tmp_path / name
        folder.mkdir()
        (folder / "model.safetensors").write_text(weights)
        overrides = [*command(tmp_path, ChatServer()), "rater.backend=transformers", f"rater.model={folder}"]
        prints.append(Chain(compose(overrides)).fingerprint)
    assert prints[0] == prints[1] != prints[2]
