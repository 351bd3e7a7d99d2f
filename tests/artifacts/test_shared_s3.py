"""The store that machines share on a real S3-compatible server, which the test starts."""

from __future__ import annotations

import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace

import pytest

from ds2.artifacts.leases import LEASE
from ds2.artifacts.record import RECORD
from ds2.artifacts.remote import RemoteStore
from ds2.artifacts.shared import SharedStore
from ds2.artifacts.step import Outcome, Status, Step
from ds2.base.errors import DamagedArtifact
from ds2.base.paths import project_root
from ds2.cli.main import run as command

pytest.importorskip("s3fs")
pytest.importorskip("moto.server")
pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    """The address of a server that speaks S3."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    process = subprocess.Popen(
        [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)],
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    try:
        for _ in range(600):
            with socket.socket() as knock:
                if knock.connect_ex(("127.0.0.1", port)) == 0:
                    break
            time.sleep(0.1)
        yield f"http://127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait(30)


@pytest.fixture
def s3(server, monkeypatch) -> Iterator[str]:
    """The address of an empty bucket."""
    import s3fs

    for name, value in (
        ("AWS_ENDPOINT_URL", server), ("AWS_ACCESS_KEY_ID", "a"), ("AWS_SECRET_ACCESS_KEY", "b"),
        ("AWS_DEFAULT_REGION", "us-east-1"), ("NO_PROXY", "127.0.0.1"),
    ):  # fmt: skip
        monkeypatch.setenv(name, value)
    s3fs.S3FileSystem.clear_instance_cache()
    files = s3fs.S3FileSystem()
    files.mkdir("bucket")
    yield "s3://bucket/ds2"
    files.rm("bucket", recursive=True)
    s3fs.S3FileSystem.clear_instance_cache()


def make_step(compute=None) -> Step:
    def write(folder: Path) -> Outcome:
        (folder / "values.json").write_text("[1, 2, 3]")
        return Outcome({"values": 3})

    return Step("rate", 1, "slug", {"k": 3}, {}, compute or write)


def never(folder: Path) -> Outcome:
    raise AssertionError("computed though it is in the store")


def test_pushed_fetched_and_checked_over_s3(s3, tmp_path):
    one = SharedStore(tmp_path / "a", RemoteStore(s3))
    computed = one.obtain(make_step())
    assert one.settle() == []
    fetched = SharedStore(tmp_path / "b", RemoteStore(s3)).obtain(make_step(never))
    assert fetched.status is Status.fetched
    assert (fetched.path / "values.json").read_bytes() == (computed.path / "values.json").read_bytes()

    remote = RemoteStore(s3)
    digest = computed.record["files"]["values.json"]["sha256"]
    remote._fs.pipe_file(remote._path("rate", computed.fingerprint, digest), b"[1, 2, 4]")
    with pytest.raises(DamagedArtifact, match=r"values\.json in s3://"):
        SharedStore(tmp_path / "c", RemoteStore(s3)).obtain(make_step(never))


def test_one_lease_at_a_time(s3):
    remote = RemoteStore(s3)
    lease = remote.lease("rate", "f" * 16)
    assert lease is not None
    assert remote.lease("rate", "f" * 16) is None
    lease.release()
    assert not remote._fs.exists(remote._path("rate", "f" * 16, LEASE))
    again = RemoteStore(s3).lease("rate", "f" * 16)
    assert again is not None
    again.release()


def test_a_server_that_is_gone_costs_a_warning(s3, tmp_path, monkeypatch):
    import s3fs

    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
    s3fs.S3FileSystem.clear_instance_cache()
    store = SharedStore(tmp_path / "a", RemoteStore(s3))
    assert store.obtain(make_step()).status is Status.computed
    lines = store.settle()
    assert any("rate was not pushed" in line for line in lines)
    monkeypatch.undo()


def test_gc_frees_what_a_dead_machine_left(s3, tmp_path, monkeypatch, capsys):
    """A half and a finished artifact of an older version; the half when it is two days old."""
    monkeypatch.chdir(tmp_path)
    store, remote = SharedStore(tmp_path / "a", RemoteStore(s3)), RemoteStore(s3)
    kept, half = make_step(), Step("select", 4, "s", {"k": 4}, {}, make_step().compute)
    old = Step("select", 1, "s", {"k": 4}, {}, make_step().compute)
    for step in (kept, half, old):
        store.obtain(step)
    assert store.settle() == []
    remote._fs.rm_file(remote._path("select", half.fingerprint, RECORD))

    def gc(*words: str) -> str:
        assert command(["gc", *words, f"paths.store={s3}"]) == 0
        return capsys.readouterr().out

    assert half.fingerprint not in gc("delete")
    days = datetime.now(UTC) + timedelta(days=2)
    monkeypatch.setattr("ds2.artifacts.remote.datetime", SimpleNamespace(now=lambda zone: days))
    assert f"unfinished {s3}/select/{half.fingerprint}: 1 object, 9 B" in gc()
    assert f"older {s3}/select/{old.fingerprint}: version 1 of stage select" in gc()
    gc("older", "delete")
    monkeypatch.undo()
    assert [*remote.listing()] == [("rate", kept.fingerprint)]
    assert SharedStore(tmp_path / "b", RemoteStore(s3)).obtain(make_step(never)).status is Status.fetched


def test_gc_of_a_bucket_that_is_not_there_is_one_line(s3, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    command(["gc", "paths.store=s3://no-such-bucket/ds2"])
    said = capsys.readouterr()
    (line,) = (said.out + said.err).splitlines()[1:]
    assert "s3://no-such-bucket/ds2" in line


def test_a_run_of_two_machines_computes_each_stage_once(s3, tmp_path):
    """The command itself, as two machines would type it."""

    def run(name: str) -> str:
        ended = subprocess.run(
            [
                sys.executable, "-m", "ds2", "until=select", "pool.samples=60", "budget.samples=10",
                "tracking=none", f"paths.artifacts={tmp_path / name}", f"paths.store={s3}",
            ],
            cwd=project_root(), capture_output=True, text=True, timeout=280,
        )  # fmt: skip
        assert ended.returncode == 0, ended.stderr
        return ended.stdout

    assert "computed" in run("a")
    second = run("b")
    assert "fetched" in second
    stages = [line.split()[:2] for line in second.splitlines() if "computed" in line.split()[:2]]
    assert [stage for stage, _ in stages] in ([], ["report"])
    one, other = (sorted((tmp_path / name / "select").rglob("subset.jsonl")) for name in "ab")
    assert one[0].read_bytes() == other[0].read_bytes()
