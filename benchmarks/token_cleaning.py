"""Measured claims about token cleaning, in miniature: noise that is planted in answers, found and left out.

    python benchmarks/token_cleaning.py [--seeds 1 2 3] [--store DIR]

For each seed: the 800 best rows of a generated pool by their true scores, whose answers are right; half of
them are trained on, the others are kept apart. To half of the training answers two words of the miniature's
vocabulary that have nothing to do with the question are added. The miniature's base model is fine-tuned on
them, all tokens alike and with `finetune.token_weights=base_difference` for several shares. Measured: the
area under the ROC curve of the token scores (noise against answers), the share of the trained tokens that is
noise, exact match, and the loss on responses of the clean rows that were kept apart. Writes
benchmarks/results/token-cleaning.json and .md.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from random import Random
from typing import Any

import numpy as np

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

import ds2  # noqa: E402
from ds2.artifacts import base_model, token_scores  # noqa: E402
from ds2.method.token_cleaning import keep_best  # noqa: E402
from ds2.mini.language import vocabulary  # noqa: E402
from ds2.mini.pool import generate_pool  # noqa: E402
from ds2.models.trained_tokens import encode_samples, load_tokenizer, set_template  # noqa: E402

SHARES = (0.5, 0.6, 0.7, 0.8)
ROWS, NOISE = 400, 2
OUT = ROOT / "benchmarks" / "results"


def plant(seed: int, folder: Path) -> tuple[Path, Path, list[int]]:
    """The files of noisy rows and of clean ones, and where noise begins in each answer (-1: none)."""
    rows = [r for r in generate_pool(samples=4000, seed=seed, num_scores=6) if r["answer_right"]]
    rows.sort(key=lambda row: -row["true_score"])
    rng = Random(f"token cleaning {seed}")
    best = rows[: 2 * ROWS]
    rng.shuffle(best)
    words = [word for word in vocabulary() if word.isalpha()]
    train, apart, begins = best[:ROWS], best[ROWS:], []
    for i, row in enumerate(train):
        begins.append(-1)
        if i % 2:
            answer = row["messages"][1]["content"]
            begins[-1] = len(answer)
            row["messages"][1]["content"] = " ".join([answer, *rng.choices(words, k=NOISE)])
    folder.mkdir(parents=True, exist_ok=True)
    paths = folder / f"noisy_{seed}.jsonl", folder / f"clean_{seed}.jsonl"
    for path, chosen in zip(paths, (train, apart), strict=True):
        path.write_text("".join(json.dumps(row) + "\n" for row in chosen), encoding="utf-8")
    return *paths, begins


def run(store: Path, seed: int, noisy: Path, clean: Path, *more: str) -> Any:
    return ds2.run([
        "experiment=mini", "pool=jsonl", f"pool.path={noisy}", f"pool.name=noisy_{seed}", "rater=truth",
        "selection=full", f"seed={seed}", f"paths.artifacts={store}", "tracking=none",
        f"eval.held_out=[{clean}]", *more,
    ])  # fmt: skip


def noise_mask(done: Any, begins: list[int]) -> np.ndarray:
    """(T,) which response tokens are planted noise; the token that ends the answer is none."""
    config = done.config.finetune
    tokenizer = load_tokenizer(str(base_model.weights(done.path("model"))), None)
    set_template(tokenizer, config.template)
    rows = [json.loads(line) for line in done.subset_file.read_text(encoding="utf-8").splitlines()]
    first = {row["id"]: begin for row, begin in zip(_rows_of(done), begins, strict=True)}
    masks = []
    for row in rows:
        begin = first[row["id"]]
        answer = row["messages"][-1]["content"]
        encoded = encode_samples(tokenizer, [row["messages"]], max_tokens=config.max_tokens)
        count = int(encoded.trained[0].sum())
        mask = np.zeros(count, dtype=bool)
        if begin >= 0:
            noise = len(tokenizer(answer[begin:].strip(), add_special_tokens=False)["input_ids"])
            mask[count - 1 - noise : count - 1] = True
        masks.append(mask)
    return np.concatenate(masks)


def _rows_of(done: Any) -> list[dict[str, Any]]:
    text = Path(done.config.pool.path).read_text(encoding="utf-8")
    return [json.loads(line) for line in text.splitlines()]


def measured(done: Any) -> dict[str, float]:
    results = done.results.set_index("task")["value"]
    loss = next(name for name in results.index if name.startswith("clean"))
    return {"exact_match": float(results[["mini_familiar", "mini_new"]].mean()), "loss": float(results[loss])}


def one(seed: int, store: Path) -> list[dict[str, Any]]:
    noisy, clean, begins = plant(seed, store / "planted")
    rows = [{"seed": seed, "share": 1.0, **measured(run(store, seed, noisy, clean))}]
    for share in SHARES:
        done = run(store, seed, noisy, clean, "finetune.token_weights=base_difference",
                   f"finetune.token_share={share}")  # fmt: skip
        scores = np.concatenate(token_scores.read(done.path("tokens")))
        noise = noise_mask(done, begins)
        kept = keep_best(scores, share)
        above = (scores[~noise][:, None] > scores[noise][None, :]).mean()
        rows[0]["noise_trained"] = float(noise.mean())
        rows.append({
            "seed": seed, "share": share, **measured(done), "auroc": float(above),
            "noise_trained": float(noise[kept].mean()), "noise_left_out": float(1 - kept[noise].mean()),
        })  # fmt: skip
        print(json.dumps(rows[-1]), flush=True)
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--seeds", type=int, nargs="+", default=[1, 2, 3])
    parser.add_argument("--store", type=Path, default=ROOT / "artifacts" / "token_cleaning")
    options = parser.parse_args()
    import pandas as pd

    frame = pd.DataFrame([row for seed in options.seeds for row in one(seed, options.store)])
    (OUT / "token-cleaning.json").write_text(frame.to_json(orient="records", indent=1), encoding="utf-8")
    plain = frame[frame["share"] == 1].set_index("seed")
    head = ("share kept", "exact match", "loss on clean rows", "to all tokens, each seed",
            "noise among trained", "AUROC")  # fmt: skip
    lines = [f"| {' | '.join(head)} |", "|---:|---:|---:|---|---:|---:|"]
    for share, group in frame.groupby("share", sort=False):
        gaps = group.set_index("seed")["loss"] - plain["loss"]
        told = "" if share == 1 else ", ".join(f"{gap:+.3f}" for gap in gaps)
        auroc = "" if share == 1 else f"{group['auroc'].mean():.3f}"
        lines.append(f"| {share:g} | {100 * group['exact_match'].mean():.1f} | {group['loss'].mean():.3f} | "
                     f"{told} | {100 * group['noise_trained'].mean():.1f} % | {auroc} |")  # fmt: skip
    seeds = ", ".join(map(str, options.seeds))
    text = f"Seeds {seeds}; {ROWS} rows, half of them with {NOISE} words of noise.\n\n"
    (OUT / "token-cleaning.md").write_text(text + "\n".join(lines) + "\n", encoding="utf-8")
    print("\n".join(lines))


if __name__ == "__main__":
    main()
