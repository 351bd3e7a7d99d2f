"""The store that machines share: pushed, fetched, checksummed, resumed; one of two machines computes."""

from __future__ import annotations

import errno
import json
import threading
import time
from pathlib import Path

import pytest

from ds2.artifacts import leases, remote, shared
from ds2.artifacts.leases import LEASE
from ds2.artifacts.record import RECORD, checksum
from ds2.artifacts.remote import RemoteStore
from ds2.artifacts.shared import SharedStore
from ds2.artifacts.step import Outcome, Status, Step
from ds2.artifacts.store import ArtifactStore
from ds2.base.errors import DamagedArtifact, UserError

pytest.importorskip("fsspec")


def make_step(compute=None) -> Step:
    def write(folder: Path) -> Outcome:
        (folder / "values.json").write_text("[1, 2, 3]")
        (folder / "deeper").mkdir()
        (folder / "deeper" / "more.bin").write_bytes(b"\0" * 5000)
        return Outcome({"values": 3})

    return Step("rate", 1, "a slug", {"k": 3}, {"pool": "f00"}, compute or write)


def never(folder: Path) -> Outcome:
    raise AssertionError("computed though it is in the store")


@pytest.fixture
def url(tmp_path) -> str:
    return f"file://{tmp_path}/second"


@pytest.fixture
def machine(tmp_path, url):
    """A machine of its own: `machine("a")`."""
    return lambda name: SharedStore(tmp_path / name, RemoteStore(url))


def test_what_one_machine_finished_the_other_fetches(machine):
    one, other = machine("a"), machine("b")
    computed = one.obtain(make_step())
    assert one.settle() == []
    fetched = other.obtain(make_step(never))
    assert (computed.status, fetched.status) == (Status.computed, Status.fetched)
    assert fetched.record == computed.record
    for name in ("values.json", "deeper/more.bin", RECORD):
        assert (fetched.path / name).read_bytes() == (computed.path / name).read_bytes()
    assert machine("b").obtain(make_step(never)).status is Status.reused


def test_no_lease_is_left_when_it_is_pushed(machine, tmp_path):
    store = machine("a")
    store.obtain(make_step())
    store.settle()
    assert not list((tmp_path / "second").rglob(LEASE))
    assert len(list((tmp_path / "second").rglob("*.json"))) == 1  # the record


def test_an_artifact_of_before_is_pushed_when_it_is_used(machine, tmp_path):
    here = ArtifactStore(tmp_path / "a")
    here.obtain(make_step())
    store = machine("a")
    assert store.obtain(make_step(never)).status is Status.reused
    store.settle()
    assert machine("b").obtain(make_step(never)).status is Status.fetched


@pytest.mark.parametrize("name", ["values.json", RECORD])
def test_a_flipped_bit_in_the_store_is_refused_by_name(machine, tmp_path, name):
    store = machine("a")
    record = store.obtain(make_step()).record
    store.settle()
    stored = name if name == RECORD else record["files"][name]["sha256"]
    (file,) = (tmp_path / "second").rglob(stored)
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 1
    file.write_bytes(content)
    with pytest.raises(DamagedArtifact, match=rf"{name} in file://.*delete file://.* and run again"):
        machine("b").obtain(make_step(never))
    assert not (tmp_path / "b" / "rate").exists()


def test_an_interrupted_push_and_fetch_go_on_where_they_were(machine, monkeypatch, url):
    copied: list[str] = []
    file_system = type(RemoteStore(url)._fs)

    def failing(method, at):
        whole = getattr(file_system, method)

        def copy(self, source, target, **options):
            if len(copied) == at:
                raise OSError("the network is gone")
            copied.append(str(source))
            return whole(self, source, target, **options)

        return copy

    with monkeypatch.context() as patch:
        patch.setattr(file_system, "put_file", failing("put_file", 1))
        store = machine("a")
        store.obtain(make_step())
        (line,) = store.settle()
        assert "rate was not pushed (the network is gone)" in line
    copied.clear()
    monkeypatch.setattr(file_system, "put_file", failing("put_file", -1))
    again = machine("a")
    again.obtain(make_step(never))
    assert again.settle() == []
    assert len(copied) == 1  # the other file was there

    copied.clear()
    with monkeypatch.context() as patch:
        patch.setattr(file_system, "get_file", failing("get_file", 1))
        broken = machine("b")
        assert broken.obtain(make_step()).status is Status.computed  # the store was lost: computed here
        assert "was not asked for" in broken.settle()[0]
    copied.clear()
    monkeypatch.setattr(file_system, "get_file", failing("get_file", -1))
    third = machine("c")
    folder = third.root / shared.FETCHING / make_step().fingerprint
    folder.mkdir(parents=True)
    (folder / "values.json").write_text("[1, 2, 3]")
    assert third.obtain(make_step(never)).status is Status.fetched
    assert len(copied) == 1


@pytest.fixture
def full(monkeypatch, url):
    """Let writes to the second level stop halfway: `full(method)`, of names that hold `of`."""

    def fill(method: str, of: str = "") -> None:
        def write(self, first, second, **options):
            target, content = (second, Path(first).read_bytes()) if method == "put_file" else (first, second)
            if of not in target:
                return whole(self, first, second, **options)
            Path(target).write_bytes(content[: len(content) // 2])
            raise OSError(errno.ENOSPC, "No space left on device")

        file_system = type(RemoteStore(url)._fs)
        whole = getattr(file_system, method)
        monkeypatch.setattr(file_system, method, write)

    return fill


@pytest.mark.parametrize(("method", "of"), [("put_file", ""), ("pipe_file", RECORD)])
def test_a_push_that_a_full_disk_cuts_off_leaves_no_half(machine, monkeypatch, tmp_path, full, method, of):
    full(method, of)
    store = machine("a")
    record = store.obtain(make_step()).record
    assert "No space left on device" in store.settle()[0]
    there = {path.name: path.stat().st_size for path in (tmp_path / "second").rglob("*") if path.is_file()}
    whole = {file["sha256"]: file["bytes"] for file in record["files"].values()}
    assert there.items() <= whole.items()
    monkeypatch.undo()
    again = machine("a")
    again.obtain(make_step(never))
    assert again.settle() == []
    assert machine("b").obtain(make_step(never)).status is Status.fetched


def full_here(root: Path, monkeypatch) -> None:
    def write(self, source, target, **options):
        Path(target).write_bytes(b"half")
        raise OSError(errno.EFBIG, "File too large")

    monkeypatch.setattr(type(RemoteStore(f"file://{root}")._fs), "get_file", write)


def closed_here(root: Path, monkeypatch) -> None:
    (root / ".fetching").write_text("a file where the folder is to be")


@pytest.mark.parametrize(
    ("break_here", "reason"), [(full_here, "File too large"), (closed_here, "Not a directory|File exists")]
)
def test_what_cannot_be_fetched_for_this_machine_s_disk_is_not_computed(
    machine, monkeypatch, break_here, reason
):
    one, other = machine("a"), machine("b")
    one.obtain(make_step())
    one.settle()
    other.root.mkdir()
    with monkeypatch.context() as patch:
        break_here(other.root, patch)
        with pytest.raises(UserError, match=rf"rate .*paths\.artifacts={other.root}: ({reason})$"):
            other.obtain(make_step(never))
    assert machine("c").obtain(make_step(never)).status is Status.fetched


def test_a_draft_of_a_killed_fetch_is_no_part_of_the_artifact(machine):
    one, other = machine("a"), machine("b")
    one.obtain(make_step())
    one.settle()
    folder = other.root / shared.FETCHING / make_step().fingerprint
    folder.mkdir(parents=True)
    (folder / ".values.json.0a1b2c3d.draft").write_text("[1,")
    fetched = other.obtain(make_step(never))
    assert sorted(p.name for p in fetched.path.iterdir()) == ["deeper", RECORD, "values.json"]


def test_half_a_record_gives_way_to_the_next_push(machine, tmp_path):
    store = machine("a")
    store.obtain(make_step())
    store.settle()
    (file,) = (tmp_path / "second").rglob(RECORD)
    content = file.read_bytes()
    file.write_bytes(content[: len(content) // 2])
    again = machine("a")
    again.obtain(make_step(never))
    assert again.settle() == []
    assert file.read_bytes() == content
    assert machine("b").obtain(make_step(never)).status is Status.fetched


def test_a_full_second_level_has_no_room_for_a_lease_and_the_run_goes_on(machine, full):
    full("pipe_file")
    store = machine("a")
    assert store.obtain(make_step()).status is Status.computed
    assert "No space left on device" in store.settle()[0]


def test_a_lease_that_could_not_be_renewed_is_as_it_was(machine, monkeypatch, tmp_path, full):
    monkeypatch.setattr(leases, "LEASE_SECONDS", 0.3)
    held: list[object] = []

    def slowly(folder: Path) -> Outcome:
        full("pipe_file")
        time.sleep(0.2)
        (lease,) = (tmp_path / "second").rglob(LEASE)
        held.append(json.loads(lease.read_text())["holder"])
        return Outcome()

    machine("a").obtain(make_step(slowly))
    assert held


def test_of_two_machines_one_computes_and_the_other_waits(machine, monkeypatch):
    monkeypatch.setattr(shared, "LOOK_SECONDS", 0.02)
    begun, computed, waited = threading.Event(), [], []

    def slowly(folder: Path) -> Outcome:
        computed.append(1)
        begun.set()
        time.sleep(0.3)
        (folder / "values.json").write_text("[1]")
        return Outcome()

    one, other = machine("a"), machine("b")
    first = threading.Thread(target=lambda: one.obtain(make_step(slowly)))
    first.start()
    begun.wait()
    result = other.obtain(make_step(slowly), on_wait=lambda: waited.append(1))
    first.join()
    assert (computed, waited, result.status) == ([1], [1], Status.fetched)


@pytest.mark.parametrize("left", [json.dumps({"holder": "x", "renewed": 3}), '{"holder": "x', ""])
def test_a_lease_whose_holder_died_runs_out(left, machine, monkeypatch, tmp_path):
    monkeypatch.setattr(shared, "LOOK_SECONDS", 0.02)
    monkeypatch.setattr(leases, "LEASE_SECONDS", 0.3)
    folder = tmp_path / "second" / "rate" / make_step().fingerprint
    folder.mkdir(parents=True)
    (folder / LEASE).write_text(left)
    started = time.time()
    assert machine("a").obtain(make_step()).status is Status.computed
    assert time.time() - started > 0.25


@pytest.mark.parametrize("ahead", [3600, -3600])
def test_machines_whose_clocks_differ_compute_once(ahead, machine, monkeypatch):
    monkeypatch.setattr(shared, "LOOK_SECONDS", 0.02)
    begun, computed = threading.Event(), []

    def slowly(folder: Path) -> Outcome:
        computed.append(1)
        begun.set()
        time.sleep(0.3)
        return Outcome()

    first = threading.Thread(target=lambda: machine("a").obtain(make_step(slowly)))
    first.start()
    begun.wait()
    now = time.time
    monkeypatch.setattr(remote.time, "time", lambda: now() + ahead)
    assert machine("b").obtain(make_step(slowly)).status is Status.fetched
    first.join()
    assert computed == [1]


def test_a_lease_is_renewed_while_its_holder_works(machine, monkeypatch, tmp_path):
    monkeypatch.setattr(leases, "LEASE_SECONDS", 0.3)
    seen = []

    def slowly(folder: Path) -> Outcome:
        (lease,) = (tmp_path / "second").rglob(LEASE)
        for _ in range(4):
            time.sleep(0.2)
            seen.append(json.loads(lease.read_text())["renewed"])
        return Outcome()

    machine("a").obtain(make_step(slowly))
    assert seen == sorted(seen)
    assert seen[-1] >= 3


def test_a_failed_computation_gives_its_lease_back(machine, tmp_path):
    def fail(folder: Path) -> Outcome:
        raise UserError("no such column")

    with pytest.raises(UserError, match="no such column"):
        machine("a").obtain(make_step(fail))
    assert not list((tmp_path / "second").rglob(LEASE))


def test_two_machines_that_computed_the_same_never_mix_their_files(machine, url):
    """Where both pushed other bytes, the record that stands names files that are all there."""
    for name in ("a", "b"):
        store = ArtifactStore(machine(name).root)
        result = store.obtain(make_step(lambda folder, name=name: written(folder, name)))
        target = RemoteStore(url)
        if name == "a":  # died before its record
            target._fs.makedirs(target._path("rate", result.fingerprint), exist_ok=True)
            digest = result.record["files"]["values.json"]["sha256"]
            target._fs.put_file(
                str(result.path / "values.json"), target._path("rate", result.fingerprint, digest)
            )
        else:
            target.push(result.path, result.record)
    assert (machine("c").obtain(make_step(never)).path / "values.json").read_text() == "b"


def written(folder: Path, text: str) -> Outcome:
    (folder / "values.json").write_text(text)
    return Outcome()


def test_an_address_that_cannot_be_used_is_one_line():
    with pytest.raises(UserError, match=r"^paths\.store=nonsense://x cannot be used: "):
        RemoteStore("nonsense://x")


def test_the_memory_of_a_process_is_a_store_too(tmp_path):
    url = "memory://second"
    one = SharedStore(tmp_path / "a", RemoteStore(url))
    one.obtain(make_step())
    assert one.settle() == []
    assert SharedStore(tmp_path / "b", RemoteStore(url)).obtain(make_step(never)).status is Status.fetched


@pytest.mark.parametrize("name", ["../../outside.json", "/tmp/outside.json"])
def test_a_record_in_the_store_that_names_a_file_elsewhere_is_refused(machine, tmp_path, name):
    store = machine("a")
    record = dict(store.obtain(make_step()).record)
    store.settle()
    record["files"] = {name: next(iter(record["files"].values()))}
    record["checksum"] = checksum(record)
    (file,) = (tmp_path / "second").rglob(RECORD)
    file.write_text(json.dumps(record))
    with pytest.raises(DamagedArtifact, match="is not what was written"):
        machine("b").obtain(make_step(never))
