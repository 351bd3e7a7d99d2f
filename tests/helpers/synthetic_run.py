"""A finished run that was never run: its artifacts, written by their own modules from planted data.

The pool is small talk about fruit, with one sample whose text tries to be a script. Ratings are drawn from a
published transition matrix, so that the figures look like something.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ds2.artifacts.curation import write_curation
from ds2.artifacts.evaluation import Evaluation, Result
from ds2.artifacts.ratings import write_ratings
from ds2.artifacts.record import checksum
from ds2.artifacts.run import RunResult
from ds2.artifacts.step import StageResult, Status
from ds2.artifacts.subset import write_subset
from ds2.artifacts.training import write_curve, write_metrics
from ds2.base.hashes import fingerprint as identify
from ds2.config import (
    BudgetConfig,
    CurationConfig,
    CurationMethod,
    EmbedderConfig,
    EvalConfig,
    FilesPoolConfig,
    FinetuneConfig,
    MiniModelConfig,
    PathsConfig,
    RaterConfig,
    RunConfig,
)  # fmt: skip
from ds2.config.selection import Ds2SelectionConfig
from ds2.method.curation.result import (
    Clusterability,
    CurationResult,
    Diagnostics,
    FitSummary,
    RaterDiagnostics,
)  # fmt: skip
from ds2.pool import Message, Pool, PoolSource, Sample
from ds2.rating.raters import Ratings
from ds2.selection.request import Choice

CHAIN = ("rate", "embed", "knn", "curate", "select", "model", "finetune", "evaluate")
HOSTILE = "<script>document.title = 'owned'</script> & <b>bold</b>"
TRANSITION = [
    [0.72, 0.20, 0.05, 0.02, 0.01, 0.00],
    [0.12, 0.60, 0.20, 0.05, 0.02, 0.01],
    [0.03, 0.17, 0.52, 0.22, 0.05, 0.01],
    [0.01, 0.06, 0.20, 0.50, 0.21, 0.02],
    [0.01, 0.02, 0.07, 0.25, 0.55, 0.10],
    [0.00, 0.02, 0.06, 0.12, 0.42, 0.38],
]
PRIOR = [0.08, 0.14, 0.24, 0.28, 0.18, 0.08]
FRUIT = (
    "apple",
    "pear",
    "quince",
    "medlar",
    "plum",
    "cherry",
    "fig",
    "date",
    "olive",
    "lemon",
    "orange",
    "melon",
)
TASKS = ("Sort", "Reverse", "Count", "Join by dashes", "Say the longest of", "Repeat the last of")


def make_run(
    root: Path, *, samples: int = 600, budget: int = 60, stages: tuple[str, ...] = CHAIN,
    rater: str = "gpt_4o_mini",
    seed: int = 0, pool_file: bool = True, name: str | None = None, unrated: int = 7,
) -> RunResult:  # fmt: skip
    """A run under `root` with the given stages; `pool_file=False` leaves the pool's own file out."""
    pool = _pool(samples, seed)
    config = _config(root, rater, budget, seed)
    if pool_file:
        root.mkdir(parents=True, exist_ok=True)
        rows = [
            {"id": s.id, "source": s.source, "messages": [asdict(message) for message in s.messages]}
            for s in pool.samples
        ]
        (root / "pool.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    scores, result = _curation(pool, seed, unrated)
    writers: Mapping[str, Callable[[Path], dict[str, Any]]] = {
        "rate": lambda path: _rate(path, pool, scores),
        "embed": lambda path: {"counts": {"samples": samples, "dimensions": 128}},
        "knn": lambda path: {"counts": {"samples": samples, "neighbors": 96}},
        "curate": lambda path: _curate(path, pool, scores, result),
        "select": lambda path: _select(path, pool, scores, result, budget),
        "model": _model,
        "finetune": lambda path: _finetune(path, seed),
        "evaluate": lambda path: _evaluate(path, seed),
    }
    source = PoolSource(config.pool, num_scores=len(PRIOR))
    identity = {
        "pool": source.fingerprint if pool_file else "gone",
        "rater": rater,
        "budget": budget,
        "seed": seed,
    }
    finished = {stage: _stage(root, stage, i, identity, writers[stage]) for i, stage in enumerate(stages)}
    label = name or f"mini {rater} ds2 {budget} seed {config.seed}"
    return RunResult(config, label, finished[stages[-1]].fingerprint, finished)


def _config(root: Path, rater: str, budget: int, seed: int) -> RunConfig:
    return RunConfig(
        pool=FilesPoolConfig(name="orchard", path=str(root / "pool.jsonl")),
        rater=RaterConfig(name=rater),
        embedder=EmbedderConfig(name="tfidf_svd"),
        curation=CurationConfig(method=CurationMethod.rank),
        selection=Ds2SelectionConfig(name="ds2", strategy="ds2"),
        budget=BudgetConfig(samples=float(budget)),
        model=MiniModelConfig(name="mini", steps=2000),
        finetune=FinetuneConfig(name="mini"),
        eval=EvalConfig(name="mini", tasks=["mini_held_out", "mini_new_phrasings"]),
        paths=PathsConfig(artifacts=str(root / "artifacts"), wandb=str(root / "wandb")),
        seed=42 + seed,
    )


def _pool(samples: int, seed: int) -> Pool:
    rng = np.random.default_rng(seed)
    made = []
    for i in range(samples):
        words = " ".join(rng.choice(FRUIT, size=int(rng.integers(2, 7))))
        question = HOSTILE if i == 0 else f"{TASKS[i % len(TASKS)]}: {words}"
        messages = (Message("user", question), Message("assistant", " ".join(sorted(words.split()))))
        made.append(Sample(f"orchard-{i:05d}", i, f"grove {int(rng.geometric(0.25)):02d}", messages, {}))
    return Pool(made, samples)


def _curation(pool: Pool, seed: int, unrated: int) -> tuple[NDArray[np.int16], CurationResult]:
    """Given scores, and what curation made of them."""
    rng = np.random.default_rng(seed + 1)
    levels = len(PRIOR)
    true = rng.choice(levels, size=len(pool), p=PRIOR)
    score = np.array([rng.choice(levels, p=TRANSITION[t]) for t in true], dtype=np.int16)
    curated = np.where(rng.random(len(pool)) < 0.7, true, score)
    true[0] = score[0] = curated[0] = levels - 1  # the hostile sample is selected
    score[1 : 1 + unrated] = -1
    rater = RaterDiagnostics(
        num_rated=int((score >= 0).sum()),
        score_counts=[1, 2, 3, 4, 5, 6],
        largest_share=0.28,
        empty_scores=[],
        clusterability=Clusterability(
            agreement=0.412,
            chance=0.203,
            ratio=2.03,
            ratio_low=1.95,
            ratio_high=2.11,
            triple_agreement=0.218,
            triple_chance=0.057,
            informative=True,
        ),
        length_correlation=0.31,
        diagonally_dominant=False,
    )
    fit = FitSummary(objective=0.0123, starts=8, iterations=1501, spread=0.21)
    return score, CurationResult(
        transition=np.array(TRANSITION),
        prior=np.array(PRIOR),
        curated=curated,
        confidence=rng.random(len(pool)),
        flagged=curated != score,
        posterior=None,
        long_tail=rng.beta(6, 14, size=len(pool)),
        diagnostics=Diagnostics("rank", len(pool), [rater], fit, warnings=["said elsewhere"]),
    )


def _rate(path: Path, pool: Pool, scores: NDArray[np.int16]) -> dict[str, Any]:
    write_ratings(path, pool, Ratings(scores, np.where(scores >= 0, scores + 4.0, np.nan)))
    return {"counts": {"rated": int((scores >= 0).sum()), "unrated": int((scores < 0).sum())}}


def _curate(path: Path, pool: Pool, scores: NDArray[np.int16], result: CurationResult) -> dict[str, Any]:
    write_curation(path, pool, scores, result, len(PRIOR))
    changed = int((scores != result.curated).sum())
    warnings = ["two near-equal optima of the transition matrix differ by 0.21 in row 5; see the diagnostics"]
    return {"counts": {"changed": changed, "flagged": changed}, "warnings": warnings}


def _select(
    path: Path, pool: Pool, scores: NDArray[np.int16], result: CurationResult, budget: int
) -> dict[str, Any]:
    order = np.lexsort((-result.long_tail, -result.curated))
    order = np.concatenate([[0], order[order != 0]])  # the hostile sample first
    choice = Choice(
        order[:budget], ["highest curated score"] * budget, next_in_line=order[budget : budget + 10]
    )
    known = {"score": scores, "curated": result.curated, "long_tail": result.long_tail}
    write_subset(path, pool, choice, known, title="orchard")
    return {"counts": {"selected": budget}}


def _model(path: Path) -> dict[str, Any]:
    steps = np.arange(20, 1841, 20)
    write_curve(path, {"step": steps.tolist(), "loss": (4.2 * np.exp(-steps / 380) + 0.61).tolist()})
    write_metrics(path, {"steps": 1840, "seconds": 300.2, "capped": True})
    warning = "pre-training reached its wall-clock cap of 300 s after 1,840 of 2,000 steps"
    return {"counts": {"parameters": 382176}, "warnings": [warning]}


def _finetune(path: Path, seed: int) -> dict[str, Any]:
    rng = np.random.default_rng(seed)
    steps = np.arange(1, 121)
    loss = 1.1 * np.exp(-steps / 30) + 0.34 + rng.normal(0, 0.02, 120)
    rate = 2e-3 * 0.5 * (1 + np.cos(np.pi * steps / 120))
    columns = {
        "step": steps,
        "epoch": steps / 12,
        "loss": loss,
        "learning_rate": rate,
    }
    write_curve(path, {name: values.tolist() for name, values in columns.items()})
    counts = {"samples": 40, "parameters": 432_000, "trainable_parameters": 51_840, "tokens": 61_234}
    write_metrics(path, {"steps": 120, "train_loss": float(loss.mean()), "trained_tokens": 20_000, **counts})
    return {"counts": {name: counts[name] for name in ("trainable_parameters", "tokens")}}


def _evaluate(path: Path, seed: int) -> dict[str, Any]:
    base = 0.72 + 0.01 * seed
    tasks = [("mini_held_out", base, 0.0177), ("mini_new_phrasings", base + 0.006, 0.0176)]
    common = {"n": 640, "num_fewshot": 0, "version": 1.0}
    results = [
        Result(task=task, metric="exact_match", value=value, stderr=error, **common)
        for task, value, error in tasks
    ]
    results.append(Result(task="mini_held_out", metric="nll", value=1.061, stderr=None, **common))
    scores = {task: value for task, value, _ in tasks}
    Evaluation(results=results, scores=scores, average=base + 0.003, harness_version="0.4.13").write(path)
    return {"counts": {"tasks": len(tasks)}}


def _stage(
    root: Path, name: str, place: int, identity: dict[str, Any], write: Callable[[Path], dict[str, Any]]
) -> StageResult:
    fingerprint = identify({"stage": name, **identity})
    path = root / "artifacts" / name / f"orchard-{name}-{fingerprint}"
    path.mkdir(parents=True, exist_ok=True)
    record = {
        "stage": name, "version": 1, "fingerprint": fingerprint, "slug": f"orchard-{name}",
        "config": {"name": name}, "inputs": {"pool": identity["pool"]}, "counts": {}, "files": {},
        "finished": "2026-11-26T12:00:00+00:00",
        "wall_seconds": [2.1, 3.4, 0.8, 14.2, 0.3, 171.5, 7.1, 4.6][place % 8],
        "peak_memory_bytes": (place + 2) * 90_000_000,
        "warnings": [], "versions": {"numpy": "2.3"}, "git_commit": "0123456789abcdef",
        "host": {"machine": "x86_64"},
        **write(path),
    }  # fmt: skip
    record["checksum"] = checksum(record)
    status = Status.reused if place < 3 else Status.computed
    result = StageResult(name, fingerprint, path, status, 0.1, record)
    result.record_file.write_text(json.dumps(record), encoding="utf-8")
    return result
