"""Every stage's identity stays what it was: a refactoring computes nothing anew.

`fingerprints.json` beside this file holds, for a list of configurations, each stage's version, identity and
fingerprint. Where this test fails, the assertion shows which field of which stage moved. Either that is a
mistake, or the stage gives another result for the same identity: then raise its version by hand and write
the list again with

    python tests/test_fingerprints.py
"""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from ds2.config.compose import compose
from ds2.runs.chain import Chain

KNOWN = Path(__file__).with_name("fingerprints.json")
TINY = "model=tiny finetune=tiny eval=tiny"

RUNS = {
    "default": "selection=ds2",
    "mini": "experiment=mini seed=11 selection=ds2",
    "demo_random": "experiment=mini selection=random",
    "demo_base": "experiment=mini selection=base",
    "demo_full": "experiment=mini selection=full",
    "demo_oracle": "experiment=mini selection=oracle",
    "demo_posterior": "experiment=mini rater=simulated_llama_3_1_8b selection=ds2_posterior",
    "demo_without_curation": "experiment=mini rater=simulated_mistral_7b selection=ds2_without_curation",
    "paper": "experiment=paper pool=jsonl pool.path=POOL rater=released rater.path=SCORES budget.samples=20 "
    "model=local model.path=MODEL embedder.model=MODEL eval.truth_judge=MODEL eval.info_judge=MODEL",
    "column_rater": "pool=jsonl pool.path=POOL rater=from_column rater.column=true_score budget.samples=0.1 "
    f"selection=ds2 {TINY}",
    "several_raters": "pool=jsonl pool.path=POOL rater=several rater.columns=[a,b] "
    f"selection=multi_rater {TINY}",
    "panel": "pool=jsonl pool.path=POOL rater=panel "
    f"rater.raters=[truth,{{rater:from_column,column:a}},gpt_4o_mini] {TINY}",
    "served_rater": f"pool=jsonl pool.path=POOL rater=gpt_4o_mini curation=none selection=ds2 {TINY}",
    "local_rater": "pool=jsonl pool.path=POOL rater=llama_3_1_8b rater.model=MODEL curation.k=8 "
    f"selection=ds2 {TINY}",
    "expected_rating": "pool=jsonl pool.path=POOL rater=openai_compatible rater.model=m "
    "rater.base_url=http://127.0.0.1:1/v1 rater.reading=expected rater.sample=0.5 "
    f"curation=posterior selection=ds2 {TINY}",
    "bootstrap": "pool=jsonl pool.path=POOL curation=posterior curation.bootstrap=20 rater=truth "
    f"selection=ds2 {TINY}",
    "approximate": f"knn=approximate knn.k=32 scale.low=3 scale.high=8 selection=ds2 {TINY}",
    "without_diversity": f"selection=ds2_without_diversity selection.filter.source_cap=0.5 {TINY}",
    "alpagasus": f"selection=alpagasus {TINY}",
    "deita": f"selection=deita_curated selection.filter.near_duplicates=0.95 {TINY}",
    "facility_location": f"selection=facility_location {TINY}",
    "knn_selection": f"selection=knn {TINY}",
    "length": f"selection=length selection.of=conversation {TINY}",
    "precomputed": f"selection=precomputed selection.path=SCORES {TINY}",
    "perplexity": f"selection=perplexity_middle {TINY}",
    "ifd_by_scorer": f"selection=ifd selection.scorer=MODEL {TINY}",
    "rds_plus": f"selection=rds_plus selection.target=POOL {TINY}",
    "refined": f"pool=jsonl pool.path=POOL rater=truth {TINY}",
    "refined_without_length": f"curation.length=ignore selection.diversity=long_tail {TINY}",
    "less": f"selection=less selection.target=POOL selection.scorer=MODEL {TINY}",
    "length_partialled": f"selection=ds2 selection.length_partialled=true until=select {TINY}",
    "qlora": "pool=jsonl pool.path=POOL finetune=qlora model=tiny eval=none selection=random budget=share_10",
    "paper_tasks": "selection=ds2 eval=paper eval.data_dir=FOLDER eval.truth_judge=MODEL "
    "eval.info_judge=MODEL model=tiny finetune=tiny",
}  # fmt: skip
"""Name -> overrides; upper-case words stand for files that `inputs` writes."""


@pytest.fixture(scope="module")
def inputs(tmp_path_factory) -> dict[str, Path]:
    return write_inputs(tmp_path_factory.mktemp("inputs"))


def write_inputs(folder: Path) -> dict[str, Path]:
    """Files whose bytes do not depend on any library's version."""
    pool = folder / "pool.jsonl"
    rows = [
        {
            "id": f"p{i}", "source": f"s{i % 3}", "true_score": i % 6, "a": i % 6, "b": (i + 1) % 6,
            "messages": [
                {"role": "user", "content": f"question {i}"}, {"role": "assistant", "content": f"answer {i}"},
            ],
        }
        for i in range(60)
    ]  # fmt: skip
    pool.write_text("".join(json.dumps(row) + "\n" for row in rows))
    scores = folder / "scores.npy"
    scores.write_bytes(b"not read before the stage runs")
    model, data = folder / "model", folder / "data"
    for name in (model, data):
        name.mkdir()
        (name / "config.json").write_text("{}")
    return {"POOL": pool, "SCORES": scores, "MODEL": model, "FOLDER": data, "STORE": folder / "store"}


def identities(overrides: str, inputs: dict[str, Path]) -> dict[str, Any]:
    """Stage -> version, identity and fingerprint, as JSON gives them back."""
    for word, path in inputs.items():
        overrides = overrides.replace(word, str(path))
    fixed = ["tracking=none", f"paths.artifacts={inputs['STORE']}", "runtime.offline=true"]
    chain = Chain(compose([*overrides.split(), *fixed]))
    fingerprints = {
        step.name: {"version": step.version, "identity": step.identity, "fingerprint": step.fingerprint}
        for step in chain.steps
    }
    return json.loads(json.dumps(fingerprints))


@cache
def known() -> dict[str, Any]:
    return json.loads(KNOWN.read_text(encoding="utf-8"))


def test_the_list_and_the_configurations_are_the_same():
    assert list(known()) == list(RUNS)


@pytest.mark.parametrize("name", RUNS)
def test_every_stage_keeps_its_identity(name, inputs):
    assert identities(RUNS[name], inputs) == known()[name]


if __name__ == "__main__":
    import tempfile

    with tempfile.TemporaryDirectory() as folder:
        written = write_inputs(Path(folder))
        fingerprints = {name: identities(overrides, written) for name, overrides in RUNS.items()}
    KNOWN.write_text(json.dumps(fingerprints, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
