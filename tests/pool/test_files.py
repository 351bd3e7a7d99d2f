"""Which files a path names, and what in a folder is no part of the pool."""

from __future__ import annotations

import glob
import io
import json
import os
import sys
import threading
import time
from pathlib import Path

import pytest
from helpers.row_shapes import A, U

from ds2.base.errors import MissingInput, UserError
from ds2.config import DuplicateIds, FilesPoolConfig
from ds2.pool import PoolSource, files
from ds2.pool.folders import matching
from ds2.pool.hub import from_path
from ds2.pool.pool import Origin


def source(path: object, **options: object) -> PoolSource:
    return PoolSource(FilesPoolConfig(name="", path=path, **options), num_scores=6)


def shard(path: Path, *ids: object) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps({"id": i, "messages": [U, A]}) + "\n" for i in ids))
    return path


def test_a_folder_is_read_with_its_folders_and_without_what_is_hidden(tmp_path):
    shard(tmp_path / "b.jsonl", 3)
    shard(tmp_path / "a.jsonl", 1)
    shard(tmp_path / "aa" / "deep" / "x.ndjson", 2)
    shard(tmp_path / "._b.jsonl", 9)
    shard(tmp_path / ".git" / "b.jsonl", 8)
    pool = source(str(tmp_path)).load()
    assert pool.ids == ["1", "2", "3"]
    assert pool.warnings == ()


def test_a_folders_other_files_are_passed_over_and_said(tmp_path):
    shard(tmp_path / "rows.jsonl", 1)
    (tmp_path / "README.md").write_text("# rows")
    for name in ("dataset_info.json", "config.json"):
        (tmp_path / name).write_text(json.dumps({"rows": {"file_name": "rows.jsonl"}}, indent=2))
    (tmp_path / "scores.jsonl").write_text('{"id": 1, "score": 3}\n')
    pool = source(str(tmp_path)).load()
    assert pool.ids == ["1"]
    (warning,) = pool.warnings
    assert "passed over, for they hold no conversations: README.md, config.json, dataset_info.json" in warning
    assert "scores.jsonl" in warning


def test_a_folder_without_rows_says_why(tmp_path):
    (tmp_path / "a.json").write_text('{"a": 1,\n"b": 2}')
    (tmp_path / "b.txt").write_text("x")
    with pytest.raises(UserError, match=r"no file in it holds rows.*a\.json: .*holds neither a list.*b\.txt"):
        source(str(tmp_path)).load()


def test_a_broken_shard_is_refused_by_name_and_not_passed_over(tmp_path):
    shard(tmp_path / "a.jsonl", 1)
    (tmp_path / "b.jsonl").write_text("{oops\n" * 30)
    with pytest.raises(UserError, match=r"b\.jsonl, row 1, field \(line\): not JSON"):
        source(str(tmp_path)).load()


@pytest.mark.parametrize(
    "names",
    [
        ("train.jsonl", "test.jsonl", "validation.jsonl"),
        ("data/train-00000-of-00001.jsonl", "data/test-0.jsonl"),
        ("train/x.jsonl", "dev/x.jsonl"),
    ],
)  # fmt: skip
def test_of_a_data_set_in_splits_the_training_split_is_read(tmp_path, names):
    for i, name in enumerate(names):
        shard(tmp_path / name, i)
    pool = source(str(tmp_path)).load()
    assert pool.ids == ["0"]
    (warning,) = pool.warnings
    assert "the training split is read, not " in warning
    assert names[1] in warning


def test_links_into_themselves_and_broken_notes_of_datasets_are_no_tracebacks(tmp_path):
    shard(tmp_path / "a" / "x.jsonl", 1)
    (tmp_path / "a" / "loop").symlink_to(tmp_path)
    assert source(str(tmp_path)).load().ids == ["1"]
    (tmp_path / "dataset_dict.json").write_text("{oops")
    with pytest.raises(UserError, match="is not as datasets.save_to_disk leaves it"):
        source(str(tmp_path)).load()


def test_folders_that_link_to_each_other_are_read_once(tmp_path):
    for one, other in (("d", "e"), ("e", "d")):
        shard(tmp_path / one / "x.jsonl", one)
        for i in range(6):
            (tmp_path / one / f"l{i}").symlink_to(tmp_path / other)
    assert source(str(tmp_path / "d")).load().ids == ["e", "d"]
    for pattern in ("d/**/*.jsonl", "d/**", "d/**/x.jsonl"):
        assert sorted(source(str(tmp_path / pattern)).load().ids) == ["d", "e"]


def test_a_pattern_names_what_glob_finds(tmp_path, monkeypatch):
    for name in ("a.jsonl", "b/a.jsonl", "b/[x]/c/a.jsonl", "b/c/d.txt", ".h/a.jsonl", "b/.a.jsonl"):
        shard(tmp_path / name, name)
    monkeypatch.chdir(tmp_path)
    patterns = ("**/*.jsonl", "**", "b/**/a.jsonl", "**/c/**/*", "*/**", "?/*.jsonl", "**/**", "x/**", "[*")
    for pattern in (*patterns, *(str(tmp_path / pattern) for pattern in patterns)):
        found = {Path(name) for name in glob.glob(pattern, recursive=True)}  # noqa: PTH207
        assert [p for p in matching(Path(pattern)) if p.is_file()] == sorted(filter(Path.is_file, found))


SPLITS = (
    *("[]", '["."]', '[".."]', '[""]', "[5]", "null", "5", '"train"', '["a/b"]', '["/tmp"]', "[[1]]"),
    *('["a\\u0000"]', '["\\ud83d"]'),
)
DATA_FILES = (
    *('["x"]', "null", "[]", '[{"filename": 5}]', '[{"filename": null}]', "[{}]"),
    *(f'[{{"filename": "{name}"}}]' for name in ("/etc/x.jsonl", "../x.jsonl", "a\\u0000b.arrow")),
)


@pytest.mark.parametrize(
    ("name", "content"),
    [
        *(("dataset_dict.json", f'{{"splits": {splits}}}') for splits in SPLITS),
        *(("state.json", f'{{"_data_files": {files}}}') for files in DATA_FILES),
        *((name, text) for name in ("dataset_dict.json", "state.json") for text in ("[" * 100_000, "[]", "")),
    ],
)
def test_notes_of_datasets_of_another_shape_are_one_line(tmp_path, name, content):
    shard(tmp_path / "a" / "x.jsonl", 1)
    (tmp_path / "a" / "dataset_info.json").write_text("{}")
    (tmp_path / "a" / name).write_text(content)
    with pytest.raises(UserError, match=f"{name} is not as datasets.save_to_disk leaves it") as refused:
        source(str(tmp_path)).load()
    assert len(refused.value.lines) == 1


def test_what_notes_of_datasets_name_and_is_not_there_is_named(tmp_path):
    (tmp_path / "dataset_info.json").write_text("{}")
    (tmp_path / "state.json").write_text('{"_data_files": [{"filename": "nowhere.arrow"}]}')
    with pytest.raises(UserError, match=r"nowhere\.arrow is not there"):
        source(str(tmp_path)).load()


def test_names_that_only_look_like_splits_are_all_read(tmp_path):
    for i, name in enumerate(("trains.jsonl", "tests.jsonl", "trainer.jsonl")):
        shard(tmp_path / name, i)
    assert len(source(str(tmp_path)).load()) == 3


def test_what_datasets_saved_is_read(tmp_path):
    datasets = pytest.importorskip("datasets")
    rows = [{"id": f"r{i}", "messages": [U, A]} for i in range(7)]
    data = datasets.Dataset.from_list(rows)
    data.save_to_disk(str(tmp_path / "one"), num_shards=2)
    splits = datasets.DatasetDict({"train": data.select(range(5)), "test": data.select(range(5, 7))})
    splits.save_to_disk(str(tmp_path / "splits"))
    assert source(str(tmp_path / "one")).load().ids == [row["id"] for row in rows]
    pool = source(str(tmp_path / "splits")).load()
    assert pool.ids == ["r0", "r1", "r2", "r3", "r4"]
    assert "the split train is read, not test" in pool.warnings[0]
    assert source(str(tmp_path / "splits" / "test")).load().ids == ["r5", "r6"]


def test_several_paths_and_patterns_are_one_pool_in_their_order(tmp_path):
    for i in range(4):
        shard(tmp_path / f"part-{i}.jsonl", i)
    paths = [
        str(tmp_path / "part-3.jsonl"),
        str(tmp_path / "part-[01].jsonl"),
        str(tmp_path / "part-3.jsonl"),
    ]
    assert source(paths).load().ids == ["3", "0", "1"]
    assert source(str(tmp_path / "**" / "*.jsonl")).load().ids == ["0", "1", "2", "3"]


@pytest.mark.parametrize(
    "name",
    ["数据", "data (1)", "a=b", "a,b", "a[1]", "it's", "{x}", "é #&~", "*", "a b\tc", "$HOME %20"],
)
def test_a_file_of_any_name_is_read(tmp_path, name):
    shard(tmp_path / f"{name}.jsonl", 1)
    shard(tmp_path / "a1.jsonl", 2)
    assert source(str(tmp_path / f"{name}.jsonl")).load().ids == ["1"]


@pytest.mark.parametrize(
    ("path", "label"),
    [
        ("data/mine.v2.jsonl.gz", "mine"), ("data/part-*.jsonl", "part"), ("data/*.jsonl", "data"),
        ("data/", "data"), ("~/x/**/*.parquet", "x"), ("*.jsonl", "pool"), ("-", "stdin"),
        ("p[0-9].jsonl", "p"), (["a/one.jsonl", "b/two.jsonl"], "one"), ("hf://org/name", "name"),
    ],
)  # fmt: skip
def test_a_pool_is_called_after_its_file_or_folder(path, label):
    assert FilesPoolConfig(name="", path=path).label == label


def test_shards_that_count_from_0_are_refused_with_the_remedy_or_kept(tmp_path):
    shard(tmp_path / "p0.jsonl", 0, 1)
    shard(tmp_path / "p1.jsonl", 0, 1)
    with pytest.raises(UserError, match=r"p1\.jsonl, row 1 \(id '0'\), .*p0\.jsonl, row 1; .*=prefix"):
        source(str(tmp_path)).load()
    pool = source(str(tmp_path), on_duplicate_ids=DuplicateIds.prefix).load()
    assert pool.ids == ["p0/0", "p0/1", "p1/0", "p1/1"]


def test_nothing_there_is_named(tmp_path):
    for path in ("nowhere.jsonl", "nowhere/*.jsonl"):
        with pytest.raises(MissingInput, match="no such file or folder, and no file matches it"):
            source(str(tmp_path / path)).load()
    with pytest.raises(MissingInput, match="DS2 reads files and hf://ORG/NAME"):
        source("https://example.org/x.jsonl").load()


def test_rows_come_by_standard_input(tmp_path, monkeypatch):
    content = shard(tmp_path / "p.jsonl", 1, 2).read_bytes()
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(content)))
    files._standard_input.cache_clear()
    piped = source("-")
    assert piped.load().ids == ["1", "2"]
    assert piped.fingerprint == source(str(tmp_path / "p.jsonl")).fingerprint
    files._standard_input.cache_clear()
    monkeypatch.setattr(sys.stdin, "isatty", lambda: True)
    with pytest.raises(UserError, match="standard input is a terminal"):
        source("-").load()


def test_a_pipe_is_read_once(tmp_path):
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    row = json.dumps({"id": 1, "messages": [U, A]}) + "\n"
    writer = threading.Thread(target=pipe.write_text, args=(row,))
    writer.start()
    piped = source(str(pipe))
    assert (piped.fingerprint, piped.load().ids) == (piped.fingerprint, ["1"])
    writer.join()


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("hf://org/name", ("org/name", None, "train", None)),
        ("hf://datasets/org/name", ("org/name", None, "train", None)),
        ("hf://org/na.me-1/config/test", ("org/na.me-1", "config", "test", None)),
        ("hf://org/name@v1.0/config", ("org/name", "config", "train", "v1.0")),
    ],
)
def test_a_hub_name_has_a_configuration_a_split_and_a_revision(path, expected):
    config = from_path(FilesPoolConfig(name="", path=path, limit=3))
    assert (config.dataset, config.subset, config.split, config.revision) == expected
    assert (config.limit, config.name) == (3, expected[0].split("/")[1].split(".")[0])


def test_a_hub_name_that_is_none_and_one_that_cannot_be_had_are_one_line():
    pytest.importorskip("huggingface_hub")
    with pytest.raises(UserError, match="write hf://ORG/NAME"):
        source("hf://name").load()
    config = FilesPoolConfig(name="", path="hf://org/name")
    with pytest.raises(MissingInput, match=r"dataset org/name: revision main is not known .*prepare=true"):
        _ = PoolSource(config, num_scores=6, offline=True).fingerprint


COMMIT = "0123456789abcdef0123456789abcdef01234567"


@pytest.fixture
def hub(tmp_path, monkeypatch):
    """A folder with two configurations, one of two splits, that stands in for the hub's `org/name`."""
    datasets = pytest.importorskip("datasets")
    folder = tmp_path / "org" / "name"
    shard(folder / "chat" / "train.jsonl", "c0", "c1", "c2")
    shard(folder / "chat" / "test.jsonl", "t0")
    shard(folder / "code" / "train.jsonl", "k0", "k1")
    (folder / "README.md").write_text(
        "---\nconfigs:\n"
        "- config_name: chat\n  default: true\n  data_files:\n"
        "  - {split: train, path: chat/train.jsonl}\n  - {split: test, path: chat/test.jsonl}\n"
        "- config_name: code\n  data_files:\n  - {split: train, path: code/train.jsonl}\n---\n"
    )
    load = datasets.load_dataset

    def from_folder(name, subset, *, split, revision):
        assert (name, revision) == ("org/name", COMMIT)
        return load(str(folder), subset, split=split, cache_dir=str(tmp_path / "cache"))

    monkeypatch.setattr(datasets, "load_dataset", from_folder)


@pytest.mark.parametrize(
    ("path", "ids", "name"),
    [
        ("", ["c0", "c1", "c2"], "train"),
        ("/chat/test", ["t0"], "chat/test"),
        ("/code", ["k0", "k1"], "code/train"),
    ],
)
def test_a_hub_data_set_is_read_by_configuration_and_split(hub, path, ids, name):
    pool = source(f"hf://org/name@{COMMIT}{path}").load()
    assert pool.ids == ids
    assert [m.content for m in pool.samples[0].messages] == ["q", "a"]
    assert pool.samples[-1].named == f"{ids[-1]!r} (org/name, row {len(ids)})"
    assert pool.origins == {"org/name": Origin(f"hf://org/name/{name}", f"commit:{COMMIT}")}


def test_each_configuration_and_split_of_a_hub_data_set_is_another_pool(hub):
    paths = ("", "/chat", "/chat/test", "/code")
    assert len({source(f"hf://org/name@{COMMIT}{path}").fingerprint for path in paths}) == len(paths)


@pytest.mark.parametrize(("path", "known"), [("/chat/tset", "'train', 'test'"), ("/caht", "'chat', 'code'")])
def test_a_configuration_or_split_that_a_hub_data_set_lacks_is_one_line_with_those_it_has(hub, path, known):
    with pytest.raises(MissingInput, match=f"dataset org/name .* could not be loaded: .*{known}") as refused:
        source(f"hf://org/name@{COMMIT}{path}").load()
    assert "\n" not in str(refused.value)


def test_a_link_to_nothing_is_named(tmp_path):
    (tmp_path / "a.jsonl").symlink_to("/nowhere/a.jsonl")
    (tmp_path / "loop").symlink_to("loop")
    shard(tmp_path / "b.jsonl", 1)
    for name in ("a.jsonl", "loop"):
        with pytest.raises(MissingInput, match=f"{name} is a link to nothing"):
            source(str(tmp_path / name)).fingerprint  # noqa: B018
    with pytest.raises(UserError, match=r"a\.jsonl is a link to nothing; remove it"):
        source(str(tmp_path)).load()
    with pytest.raises(UserError, match=r"a\.jsonl is a link to nothing"):
        source(str(tmp_path / "*.jsonl")).load()


def test_a_device_and_a_pipe_in_a_folder_are_refused(tmp_path):
    (tmp_path / "zero.jsonl").symlink_to("/dev/zero")
    with pytest.raises(UserError, match="is a device or a socket"):
        source(str(tmp_path / "zero.jsonl")).load()
    (tmp_path / "zero.jsonl").unlink()
    os.mkfifo(tmp_path / "pipe.jsonl")
    with pytest.raises(UserError, match=r"pipe\.jsonl is a pipe, device or socket"):
        source(str(tmp_path)).load()


def test_a_pipe_that_nothing_writes_to_is_refused_once(tmp_path, monkeypatch):
    monkeypatch.setattr(files, "_PATIENCE", 0.3)
    os.mkfifo(tmp_path / "pipe")
    piped, before = source(str(tmp_path / "pipe")), time.perf_counter()
    for _ in range(5):  # each stage of a run asks
        with pytest.raises(UserError, match="is a pipe that nothing writes to"):
            piped.fingerprint  # noqa: B018
    assert time.perf_counter() - before < 1.2


@pytest.mark.parametrize("trusted", [True, False])
def test_a_file_that_changes_after_it_was_hashed_is_refused(tmp_path, trusted):
    path = shard(tmp_path / "p.jsonl", 1, 2)
    before = path.stat()
    changing = PoolSource(FilesPoolConfig(name="", path=str(path)), num_scores=6, trust_times=trusted)
    known = changing.fingerprint
    shard(path, 1, 3)
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    with pytest.raises(UserError, match=r"p\.jsonl was changed while it was read: run again"):
        changing.load()
    again = source(str(path))
    assert again.fingerprint != known
    assert again.load().ids == ["1", "3"]
    gone = source(str(path))
    assert gone.found.files == [path]
    path.unlink()
    with pytest.raises(UserError, match=r"p\.jsonl cannot be read: No such file"):
        gone.load()


def test_times_that_are_not_trusted_do_not_say_that_a_file_is_the_same(tmp_path, monkeypatch):
    path = shard(tmp_path / "p.jsonl", 1)
    monkeypatch.setattr("ds2.pool.hashed.stamp_of", lambda stat: [])
    for trusted in (True, False):
        changing = PoolSource(FilesPoolConfig(name="", path=str(path)), num_scores=6, trust_times=trusted)
        assert changing.fingerprint
        shard(path, f"other {trusted}")
        if trusted:
            assert changing.load().ids == ["other True"]
        else:
            with pytest.raises(UserError, match="was changed while it was read"):
                changing.load()


def test_an_empty_path_is_not_the_working_folder(tmp_path, monkeypatch):
    shard(tmp_path / "p.jsonl", 1)
    monkeypatch.chdir(tmp_path)
    for path in ("", " ", ["p.jsonl", ""]):
        with pytest.raises(UserError, match=r"pool\.path is empty"):
            source(path).load()


@pytest.mark.skipif(not Path("/proc/self/mem").exists(), reason="Linux has a file that fails when it is read")
def test_a_file_that_fails_while_it_is_read_is_one_line(tmp_path):
    (tmp_path / "p.jsonl").symlink_to("/proc/self/mem")
    for path in ("/proc/self/mem", str(tmp_path)):
        with pytest.raises(UserError, match=r"(mem|p\.jsonl) cannot be read: Input/output error"):
            source(path).load()


def test_a_file_whose_name_is_no_utf8_is_refused_and_another_is_passed_over(tmp_path):
    shard(tmp_path / "a.jsonl", 1)
    (tmp_path / "b\udcff.txt").write_text("x")
    pool = source(str(tmp_path)).load()
    assert pool.ids == ["1"]
    assert r"passed over, for they hold no conversations: b\udcff.txt" in pool.warnings[0]
    bad = shard(tmp_path / "c\udcff.jsonl", 2)
    for path in (tmp_path, bad, tmp_path / "c*"):
        with pytest.raises(UserError, match=r"c\\udcff\.jsonl: its name is not UTF-8") as refused:
            source(str(path)).load()
        assert str(refused.value).isprintable()
