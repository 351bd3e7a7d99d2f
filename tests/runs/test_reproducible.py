"""The same choices give the same bytes: whoever computes them, wherever, with however many threads."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from helpers.planted import planted_rows
from helpers.worlds import differing, two_worlds

POOL = ["pool=jsonl", "pool.path=HERE/pool.jsonl", "budget.samples=20", "until=select"]
TINY = ["model=tiny", "finetune=tiny", "finetune.max_steps=3", "eval=tiny"]
SCORES = ["rater=from_column", "rater.column=true_score", "scale.low=0", "scale.high=5"]


def compared(folder: Path, runs: list[list[str]], files: dict[str, Path] | None = None) -> dict[str, str]:
    """Stage and artifact -> how its two computations differ; one entry for each artifact that differs."""
    worlds = two_worlds(folder)
    for world in worlds:
        rows = [
            row | {"other": (row["true_score"] + i % 2) % 6} for i, row in enumerate(planted_rows(160, 6))
        ]
        (world.folder / "pool.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
        for name, source in (files or {}).items():
            shutil.copytree(source, world.folder / name)
    processes = [world.start(runs) for world in worlds]
    for process in processes:
        output, _ = process.communicate(timeout=1000)
        assert process.returncode == 0, output
    plain, odd = worlds
    return differing(plain.artifacts, odd.artifacts)


def test_a_chain_computed_in_another_place_is_the_same_to_the_byte(tmp_path):
    assert compared(tmp_path, [[*POOL, *SCORES]]) == {}


def chains(*changes: str) -> list[list[str]]:
    return [[*POOL, *SCORES, "model=tiny", *change.split()] for change in changes]


GROUPS = {
    "curation": chains("curation=rank selection=ds2", "curation=posterior curation.bootstrap=5 selection=ds2",
                       "curation=none selection=ds2"),
    "selection": chains(*(f"selection={name}" for name in (
        "random", "full", "knn", "deita_curated", "facility_location", "alpagasus", "length"))),
    "language models": chains(
        "selection=perplexity_middle", "selection=ifd", "selection=rds_plus selection.target=HERE/pool.jsonl",
        "selection=less selection.target=HERE/pool.jsonl"),
    "raters": [[*POOL, *change] for change in (
        ["rater=simulated_gpt_4o_mini", "selection=ds2_without_curation"],
        ["rater=several", "rater.columns=[true_score,other]"],
        ["rater=panel", "rater.raters=[truth,{rater: from_column, name: other, column: other}]"],
        ["rater=llama_3_1_8b", "rater.model=HERE/model", "rater.backend=transformers", "rater.sample=0.05",
         "rater.retries=1", "rater.max_unrated=1", "until=rate"])],
    "neighbours": chains("knn=approximate selection=knn", "embedder.dimensions=16 selection=knn",
                         "embedder=sentence_transformers embedder.model=HERE/model selection=knn "
                         "embedder.max_tokens=64"),
    "training": [[*POOL[:-1], *SCORES, *TINY, "selection=random"],
                 ["pool.samples=120", "budget.samples=20", "model=mini", "model.steps=20",
                  "selection=random", "finetune.max_steps=3", "eval.data_samples=8"]],
}  # fmt: skip
"""What is computed together -> the runs."""


@pytest.mark.slow
@pytest.mark.timeout(1200)
@pytest.mark.parametrize("group", GROUPS)
def test_every_stage_computed_in_another_place_is_the_same_to_the_byte(group, tmp_path, tiny_model):
    assert compared(tmp_path, GROUPS[group], {"model": tiny_model}) == {}
