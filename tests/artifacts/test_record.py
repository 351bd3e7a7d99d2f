"""A record from outside: what is not as DS2 writes it is refused by name, also with a checksum of its own."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from helpers.hostile import TARGETS, changed
from hypothesis import given, settings
from hypothesis import strategies as st

from ds2.artifacts.record import RECORD, checksum, read_record
from ds2.artifacts.store import ArtifactStore
from ds2.base.errors import DamagedArtifact

WHOLE: dict[str, Any] = json.loads(TARGETS["record"].seeds[0])
FILE = {"sha256": "0" * 64, "bytes": 3}


def forged(folder: Path, **changes: Any) -> Path:
    """An artifact whose record has these fields otherwise (None: not at all), and the right checksum."""
    record = {key: value for key, value in (WHOLE | changes).items() if value is not None}
    (folder / "subset.jsonl").write_text("{}\n")
    text = json.dumps(record | {"checksum": checksum(record)})  # type: ignore[arg-type]
    (folder / RECORD).write_text(text)
    return folder


def test_a_whole_record_is_read_and_its_files_verified(tmp_path):
    assert read_record(forged(tmp_path))["slug"] == "x"
    assert ArtifactStore(tmp_path.parent).verify(tmp_path)["stage"] == "select"


@pytest.mark.parametrize("value", [None, [1], 7.5, "text", {"a": "b"}], ids=repr)
@pytest.mark.parametrize("name", ["stage", "version", "fingerprint", "config", "files", "host", "warnings"])
def test_a_forged_record_of_another_shape_is_refused_by_name(tmp_path, name, value):
    if isinstance(value, type(WHOLE[name])) and name != "files":
        return
    with pytest.raises(DamagedArtifact, match=RECORD):
        read_record(forged(tmp_path, **{name: value}))


FORGED = {
    "inputs": [{"pool": ["00"]}, {"pool": None}],
    "counts": [{"selected": "1", "pool": 2}, {"selected": 1, "pool": [2]}],
    "peak_memory_bytes": ["n", [1], {}],
    "packages": [{"numpy": 1}, []],
    "compute": [{}, {"tokens": "1", "seconds": 1, "flops": 1, "dollars": 1, "device": "cpu"}, []],
    "wall_seconds": [True, "1"],
    "host": [{"name": 1}],
    "run": [[1]],
    "files": [{"subset.jsonl": {"sha256": 3, "bytes": 3}}, {"subset.jsonl": {"sha256": "0"}}],
}


@pytest.mark.parametrize(("name", "value"), [(name, v) for name, values in FORGED.items() for v in values])
def test_a_forged_record_is_refused_by_the_shape_of_its_parts_too(tmp_path, name, value):
    with pytest.raises(DamagedArtifact, match=RECORD):
        read_record(forged(tmp_path, **{name: value}))


def test_a_record_that_is_nested_without_end_is_refused(tmp_path):
    deep: Any = 1
    for _ in range(500):
        deep = [deep]
    with pytest.raises(DamagedArtifact, match=RECORD):
        read_record(forged(tmp_path, config={"a": deep}))


@pytest.mark.parametrize("name", ["../x", "/etc/passwd", "a/../../x"])
def test_a_record_names_no_file_outside_its_folder(tmp_path, name):
    with pytest.raises(DamagedArtifact, match=RECORD):
        read_record(forged(tmp_path, files={name: FILE}))


@settings(deadline=None, max_examples=200)
@given(st.sampled_from(TARGETS["record"].seeds), st.randoms(use_true_random=False))
def test_no_change_of_a_record_is_more_than_a_line(tmp_path_factory, seed, rng):
    TARGETS["record"].read(changed(seed, TARGETS["record"].words, rng), tmp_path_factory.getbasetemp())
