"""Each file of an artifact is spelled in one module, and nobody else opens it."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from ds2.base.paths import project_root

ROOMS = ("ds2", "finetune", "eval", "experiments", "benchmarks")
NAMES = {
    "token_scores": ["token_scores.npy", "token_counts.npy"],
    "adapter": ["base.json"],
    "curation": [
        "curation.parquet", "transition.json", "posterior.npy", "uncertainty.json", "error_probability.npy",
    ],
    "embeddings": ["embeddings.npy"],
    "evaluation": ["results.json", "samples.parquet"],
    "graph": ["neighbors.npy", "distances.npy"],
    "page": ["report.html"],
    "ratings": ["ratings.parquet", "rating_report.json", "unrated.jsonl", "distribution.npy", "raters.json"],
    "record": ["record.json"],
    "sifted": ["sifted.json", "contamination.parquet", "near_duplicates.parquet"],
    "subset": ["subset.jsonl", "subset.parquet", "subset_report.json", "subset_report.md"],
    "training": ["curve.parquet", "metrics.json"],
    "values": ["values.npy"],
}  # fmt: skip
FOLDERS = {"adapter": ["adapter", "merged"], "base_model": ["model"], "values": ["parts", "warm_up"]}
"""Folders of artifacts, whose names are common words: only a path that is joined from one counts."""


@pytest.fixture(scope="module")
def code() -> dict[str, str]:
    """Module, relative to the project -> its text."""
    root = project_root()
    files = [file for room in ROOMS for file in (root / room).rglob("*.py")]
    return {str(file.relative_to(root)): file.read_text(encoding="utf-8") for file in files}


def spelled_in(code: dict[str, str], pattern: str) -> list[str]:
    return sorted(module for module, text in code.items() if re.search(pattern, text))


@pytest.mark.parametrize(("noun", "name"), [(noun, name) for noun, names in NAMES.items() for name in names])
def test_a_file_of_an_artifact_is_spelled_in_the_module_of_its_noun_alone(
    code: dict[str, str], noun: str, name: str
) -> None:
    assert spelled_in(code, rf"(?<![\w.-]){re.escape(name)}\b") == [f"ds2/artifacts/{noun}.py"]


@pytest.mark.parametrize(
    ("noun", "name"), [(noun, name) for noun, names in FOLDERS.items() for name in names]
)
def test_a_folder_of_an_artifact_is_joined_in_the_module_of_its_noun_alone(
    code: dict[str, str], noun: str, name: str
) -> None:
    assert spelled_in(code, rf'/ "{name}"|`{name}/`') == [f"ds2/artifacts/{noun}.py"]


def test_all_modules_of_nouns_are_told() -> None:
    """A module that spells a file's name is in the list above."""
    told = NAMES.keys() | FOLDERS.keys()
    files = (Path(project_root()) / "ds2" / "artifacts").glob("*.py")
    spelling = {f.stem for f in files if re.search(r'"\w+\.(json|jsonl|npy|parquet|html)"', f.read_text())}
    assert spelling == {*told} - {"base_model"}
