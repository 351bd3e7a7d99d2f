"""Fine-tune and evaluate on real data, as the chain does: the tiny model, a slice of the pool, real
benchmark questions.
"""

from __future__ import annotations

import gzip
import json
import os
from dataclasses import replace
from itertools import islice
from pathlib import Path

import pytest

from ds2.artifacts.evaluation import read_answered
from ds2.artifacts.training import read_curve
from ds2.base.paths import project_root
from ds2.config import EvalConfig, EvalRuntime, FinetuneConfig, FinetuneRuntime

SHARED = Path(os.environ.get("DS2_DATA", project_root().parent / "shared"))


@pytest.mark.slow
@pytest.mark.skipif(not SHARED.is_dir(), reason=f"the real pool and benchmarks are not in {SHARED}")
def test_loss_falls_answers_change_and_real_benchmarks_are_scored(tmp_path: Path) -> None:
    from ds2.models.tiny import build
    from eval.run import evaluate
    from eval.spec import EvalSpec
    from finetune.spec import FinetuneSpec
    from finetune.train import train

    build(tmp_path / "base", seed=0)
    with gzip.open(SHARED / "pools" / "ds2_67k.jsonl.gz", "rt", encoding="utf-8") as pool:
        (tmp_path / "rows.jsonl").write_text("".join(islice(pool, 2000)), encoding="utf-8")
    config = FinetuneConfig(
        name="slice", rank=8, dropout=0.0, learning_rate=5e-3, max_steps=40, total_batch=16,
        max_tokens=512, dtype="float32", runtime=FinetuneRuntime(device_batch=16),
    )  # fmt: skip
    out = tmp_path / "tuned"
    metrics = train(
        FinetuneSpec(str(tmp_path / "base"), None, str(tmp_path / "rows.jsonl"), str(out), 42, config)
    )
    curve = read_curve(out)
    assert curve["loss"].iloc[-5:].mean() < 0.9 * curve["loss"].iloc[:5].mean()
    assert metrics["samples"] + metrics["dropped_without_assistant"] == 2000

    questions = EvalConfig(
        name="slice", tasks=["paper_tydiqa"], limit=10, data_dir=str(SHARED / "evals"), dtype="float32",
        runtime=EvalRuntime(batch_size=30),
    )  # fmt: skip
    answers = {}
    for name, adapter in (("base", None), ("tuned", str(out / "adapter"))):
        spec = EvalSpec(str(tmp_path / "base"), None, adapter, str(tmp_path / f"eval_{name}"), 0, questions)
        results = evaluate(spec)
        assert (results.missing, results.results[0].n) == ([], 90)
        answers[name] = read_answered(Path(spec.output_dir))["answer"]
    assert (answers["base"] != answers["tuned"]).mean() > 0.9

    gsm8k = replace(questions, tasks=["paper_gsm8k"], limit=20)
    spec = EvalSpec(str(tmp_path / "base"), None, str(out / "adapter"), str(tmp_path / "gsm8k"), 0, gsm8k)
    results = evaluate(spec)
    assert (results.results[0].n, json.dumps(results.errors)) == (20, "{}")
