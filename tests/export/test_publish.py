"""A published subset: loads, is valid Croissant, says its licence, and its checksums hold."""

from __future__ import annotations

import json
import subprocess

import pytest
from helpers.exported import KINDS, READ_FROM, finished_subset, rows

from ds2.export.publish import FILES, write_publication


@pytest.fixture
def folder(tmp_path):
    subset = finished_subset(tmp_path / "store", rows())
    folder = tmp_path / "published"
    folder.mkdir()
    write_publication(subset, folder, licence="cc-by-4.0", url="me/mine", name="mine")
    return folder


def test_checksums_hold_and_the_folder_loads(folder, tmp_path):
    assert {path.name for path in folder.iterdir()} == {*FILES}
    subprocess.run(["sha256sum", "-c", "--quiet", "SHA256SUMS"], cwd=folder, check=True)
    datasets = pytest.importorskip("datasets")
    loaded = datasets.load_dataset(str(folder), split="train", cache_dir=str(tmp_path / "c"))
    assert loaded["id"][:] == list(KINDS)
    assert loaded["score"][:3] == [0, 1, 2]


def test_the_croissant_is_valid_has_rai_fields_and_reads_the_data(folder, monkeypatch):
    mlcroissant = pytest.importorskip("mlcroissant")
    monkeypatch.chdir(folder)
    metadata = mlcroissant.Dataset("croissant.json").metadata
    assert not metadata.ctx.issues.errors
    assert not metadata.ctx.issues.warnings
    assert metadata.license == ["cc-by-4.0"]
    assert metadata.personal_sensitive_information
    assert metadata.data_biases
    records = mlcroissant.Dataset("croissant.json").records("conversations")
    first = next(iter(records))
    assert first["conversations/id"] == b"plain"


def test_the_card_says_licence_counts_and_what_is_not_known(folder):
    card = (folder / "README.md").read_text()
    assert card.startswith("---\nlicense: cc-by-4.0\n")
    assert "| web | 11 | 11 |" in card
    assert "Not examined" in card
    assert f"- Read from `pool.jsonl`, `{READ_FROM.digest}`" in card
    told = json.loads((folder / "croissant.json").read_text())
    assert READ_FROM.digest in told["rai:dataManipulationProtocol"]
    assert told["distribution"][0]["sha256"] in (folder / "SHA256SUMS").read_text()
