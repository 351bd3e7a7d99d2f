"""Token cleaning in a run: planted noise is found and left out; other runs stay what they were."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from ds2.artifacts import adapter, token_scores
from ds2.base.errors import DamagedArtifact, MissingInput, UserError
from ds2.config.compose import compose
from ds2.config.stages import check, method_of
from ds2.runs import launcher
from ds2.runs.chain import Chain

TINY = "rater=truth selection=full model=tiny finetune=tiny eval=none tracking=none runtime.progress=false"
CLEAN = "the answer is blue"
NOISE = "zqxjkvwy"


@pytest.fixture
def noisy_pool(tmp_path: Path, monkeypatch) -> Path:
    """Equal answers; in a third of them eight random letters stand at the end."""
    monkeypatch.chdir(tmp_path)
    rng, rows = np.random.default_rng(0), []
    for i in range(48):
        letters = "".join(rng.choice(list(NOISE), 8)) if i % 3 == 0 else ""
        answer = f"{CLEAN} {letters}".strip()
        rows.append({"id": f"r{i}", "source": "s", "true_score": 1, "messages": [
            {"role": "user", "content": f"question {i}"}, {"role": "assistant", "content": answer},
        ]})  # fmt: skip
    path = tmp_path / "noisy.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def chain_of(pool: Path, *more: str) -> Chain:
    return Chain(compose(["pool=jsonl", f"pool.path={pool}", *TINY.split(), *more]))


CLEANED = ("finetune.token_weights=base_difference", "finetune.token_share=0.6")
TAUGHT = ("finetune.max_steps=30", "finetune.total_batch=8", "finetune.learning_rate=1e-2", "finetune.rank=8",
          "finetune.runtime.device_batch=8",
          "finetune.runtime.save_every_epoch=false")  # fmt: skip


def test_planted_noise_scores_below_what_can_be_learned_and_is_left_out(noisy_pool):
    run = chain_of(noisy_pool, *CLEANED, *TAUGHT).run()
    scores = token_scores.read(run.stages["tokens"].path)
    assert len(scores) == 48
    longest = len(CLEAN) + 1  # a byte a token, and the end
    noise = np.concatenate([s[len(CLEAN) + 1 : -1] for s in scores if len(s) > longest])
    clean = np.concatenate([s[: len(CLEAN)] for s in scores])
    assert len(noise) == 16 * 8
    higher = (clean[:, None] > noise[None, :]).mean()  # the area under the ROC curve
    assert higher > 0.9
    metrics = adapter.read_metrics(run.stages["finetune"].path)
    passes = metrics["epochs"] * run.stages["tokens"].record["counts"]["tokens"]
    assert metrics["trained_tokens"] == pytest.approx(0.6 * passes, rel=0.1)
    assert not (run.stages["tokens"].path / "references").exists()


def test_references_that_are_trained_are_kept_where_the_rest_was_interrupted(noisy_pool, monkeypatch):
    chain = chain_of(noisy_pool, *CLEANED, "finetune.max_steps=2", "until=finetune")
    with monkeypatch.context() as patch:
        patch.setattr(launcher, "score_tokens", lambda **_: (_ for _ in ()).throw(KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            chain.run()
    files = sorted(Path("artifacts/tokens").glob(".partial-*/references/*/metrics.json"))
    trained = [file.stat().st_mtime_ns for file in files]
    stamps = []
    with monkeypatch.context() as patch:
        score = launcher.score_tokens
        patch.setattr(launcher, "score_tokens", lambda **given: (stamps.extend(
            file.stat().st_mtime_ns for file in files), score(**given))[1])  # fmt: skip
        chain.run()
    assert len(trained) == 2
    assert stamps == trained


def test_another_share_measures_nothing_anew(noisy_pool):
    first, second = (
        chain_of(noisy_pool, *CLEANED),
        chain_of(noisy_pool, CLEANED[0], "finetune.token_share=0.3"),
    )
    prints = [{step.name: step.fingerprint for step in chain.steps} for chain in (first, second)]
    assert prints[0]["tokens"] == prints[1]["tokens"]
    assert prints[0]["finetune"] != prints[1]["finetune"]


def test_a_fine_tune_without_cleaning_has_no_such_stage_and_its_old_fingerprint(noisy_pool):
    plain, odd = chain_of(noisy_pool), chain_of(noisy_pool, "finetune.token_share=0.3")
    assert [step.name for step in plain.steps] == [step.name for step in odd.steps]
    assert "tokens" not in [step.name for step in plain.steps]
    assert plain.fingerprint == odd.fingerprint


def test_a_cleaned_run_has_a_row_of_its_own(noisy_pool):
    assert method_of(chain_of(noisy_pool, *CLEANED).config) == "full (tokens)"
    assert method_of(chain_of(noisy_pool).config) == "full"


def test_a_given_reference_judges_every_row(noisy_pool):
    taught = chain_of(noisy_pool, *TAUGHT).run()
    reference = adapter.weights(taught.stages["finetune"].path)
    chain = chain_of(noisy_pool, *CLEANED, f"finetune.token_reference={reference}", "until=finetune")
    counts = chain.run().stages["tokens"].record["counts"]
    assert counts["samples"] == 48
    assert counts["reference_loss"] < 0.8 * counts["base_loss"]


def test_what_cannot_be_is_refused_before_anything_runs(noisy_pool):
    config = compose(["experiment=mini", *CLEANED])
    with pytest.raises(UserError, match=r"finetune\.token_share=1 must be a share"):
        check(replace(config, finetune=replace(config.finetune, token_share=1.0)))
    with pytest.raises(UserError, match="no say without"):
        check(compose(["experiment=mini", "finetune.token_reference=x"]))
    with pytest.raises(MissingInput, match="no such folder of a PEFT adapter"):
        chain_of(noisy_pool, *CLEANED, "finetune.token_reference=absent/adapter")


def test_a_subset_without_two_halves_is_refused_by_its_options(noisy_pool):
    one = ("selection=random", *CLEANED)
    line = r"token_weights=base_difference fine-tunes a reference on each half .* finetune\.token_reference="
    with pytest.raises(UserError, match=rf"budget\.samples=1: finetune\.{line}"):
        chain_of(noisy_pool, *one, "budget.samples=1")
    with pytest.raises(UserError, match=line):  # a share of 48 that is one sample: before anything runs
        chain_of(noisy_pool, *one, "budget.samples=0.02").run()
    assert not Path("artifacts/select").exists()
    with pytest.raises(UserError, match=line):  # known when its tokens are counted
        chain_of(noisy_pool, *one, "budget.tokens=30").run()
    assert chain_of(noisy_pool, *one, "budget.samples=1", f"finetune.token_reference={noisy_pool.parent}")
    assert chain_of(noisy_pool, *one, "budget.samples=1", "until=select")


def test_samples_that_keep_no_token_are_counted_and_warned_of(noisy_pool):
    chain = chain_of(
        noisy_pool, CLEANED[0], "finetune.token_share=0.01", "finetune.max_steps=2", "until=finetune"
    )
    record = chain.run().stages["finetune"].record
    left_out, trained = record["counts"]["dropped_by_cleaning"], record["counts"]["samples"]
    assert left_out > 0
    assert left_out + trained == 48
    (line,) = record["warnings"]
    assert line.startswith(f"{left_out} of 48 samples keep no token under finetune.token_share=0.01")


def test_damaged_scores_are_refused_by_name(tmp_path):
    token_scores.write(tmp_path, [np.ones(3, np.float32), np.zeros(2, np.float32)])
    assert [len(each) for each in token_scores.read(tmp_path)] == [3, 2]
    np.save(tmp_path / "token_counts.npy", np.array([9], dtype=np.int64))
    with pytest.raises(DamagedArtifact, match="9 tokens"):
        token_scores.read(tmp_path)
