"""Measured claims about the page that compares runs: time to build it, its size, time to open it in Chromium.

    python benchmarks/report.py                         needs Playwright (pip) and a Chromium on the PATH
    DS2_ARTIFACTS=folder python benchmarks/report.py    keeps the runs there; again: only the page

60 runs (3 raters x 2 curations x 2 budgets x 5 seeds) over a generated pool of 30,000 conversations. Rating,
embedding, graph, curation and selection are computed by the chain; base model, fine-tune and evaluation are
planted in the store, in their own formats. Writes benchmarks/results/report.json and .md, with machine,
versions and date.
"""

from __future__ import annotations

import contextlib
import datetime
import importlib.metadata
import itertools
import json
import os
import platform
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np

from ds2.artifacts.evaluation import AnsweredQuestion, Evaluation, Result, write_answered
from ds2.artifacts.page import write_page
from ds2.artifacts.run import RunResult
from ds2.artifacts.step import Outcome, Step
from ds2.artifacts.training import write_curve, write_metrics
from ds2.report import render_many
from ds2.report.page.many_page import MOST_SAMPLES
from ds2.report.page.samples import samples
from ds2.runs.chain import Chain
from ds2.runs.expected import compose_all

RESULTS = Path(__file__).resolve().parent / "results"
SAMPLES, TOPICS, WORDS = 30_000, 60, 20_000
RATERS = {"careful": 0.25, "hasty": 0.4, "harsh": 0.55}
"""Rater -> how often it errs by one."""
TASKS = ("mmlu", "truthfulqa", "gsm8k", "bbh", "tydiqa")
QUESTIONS, OPENINGS = 500, 5
LIMITS = {"build, s": 20, "open, s": 3, "size, MB": 15}


def write_pool(path: Path) -> None:
    """Conversations of a thousand characters on average (lognormal), words by Zipf's law, a share of them the
    topic's own.
    """
    rng = np.random.default_rng(0)
    letters = np.array(list("etaoinshrdlucmfwypvbgkjqxz"))
    shape = 1.0 / np.arange(1, 27)
    vocabulary = np.array([
        "".join(rng.choice(letters, rng.integers(2, 11), p=shape / shape.sum())) for _ in range(WORDS)
    ])  # fmt: skip
    common = 1.0 / np.arange(1, WORDS + 1)
    common /= common.sum()
    with path.open("w", encoding="utf-8") as lines:
        for i in range(SAMPLES):
            topic, quality = (
                int(rng.integers(TOPICS)),
                int(rng.choice(6, p=[0.05, 0.15, 0.25, 0.3, 0.2, 0.05])),
            )
            count = int(np.clip(rng.lognormal(4.8, 0.8), 12, 1500))
            words = rng.choice(vocabulary, count, p=common)
            on_topic = rng.random(count) < 0.3
            words[on_topic] = vocabulary[
                5000 + 10 * (6 * topic + quality) + rng.integers(0, 10, int(on_topic.sum()))
            ]
            cut = max(count // 4, 1)
            scores = {
                name: int(
                    np.clip(quality + rng.choice([-1, 0, 1], p=[error / 2, 1 - error, error / 2]), 0, 5)
                )
                for name, error in RATERS.items()
            }
            turns = [("user", words[:cut]), ("assistant", words[cut:])]
            messages = [{"role": role, "content": " ".join(part)} for role, part in turns]
            row = {
                "id": f"made-{i:05d}",
                "source": f"source {topic % 9}",
                "messages": messages,
                "scores": scores,
            }
            lines.write(json.dumps(row) + "\n")


def overrides(pool: Path, root: Path) -> Iterator[list[str]]:
    """The overrides of each run."""
    fixed = [
        "pool=jsonl", f"pool.path={pool}", "pool.name=made", "rater=from_column", "embedder=tfidf_svd",
        "model=mini",
        "finetune=mini", "eval=mini", "tracking=none", "until=evaluate", f"paths.artifacts={root}",
        f"eval.tasks=[{','.join(TASKS)}]",
    ]  # fmt: skip
    grid = itertools.product(RATERS, ("ds2", "ds2_posterior"), (2500, 12_500), range(1, 6))
    for rater, selection, budget, seed in grid:
        chosen = [f"rater.column=scores.{rater}", f"rater.name={rater}", f"selection={selection}"]
        yield [*fixed, *chosen, f"budget.samples={budget}", f"seed={seed}"]


def planted(step: Step, gain: float, seed: int) -> Callable[[Path], Outcome]:
    """What a stage that trains or evaluates leaves."""
    rng = np.random.default_rng([seed, int(step.fingerprint[:8], 16)])

    def train(folder: Path) -> Outcome:
        steps = np.arange(1, 601)
        loss = 1.6 * np.exp(-steps / 90) + 0.8 - gain + rng.normal(0, 0.04, len(steps))
        columns = {
            "step": steps,
            "epoch": steps / 200,
            "loss": loss,
            "learning_rate": 1e-4 * (1 - steps / 600),
        }
        write_curve(folder, {name: values.tolist() for name, values in columns.items()})
        write_metrics(folder, {"steps": len(steps), "train_loss": float(loss.mean())})
        return Outcome({"steps": len(steps)})

    def evaluate(folder: Path) -> Outcome:
        right = {
            task: (rng.random(QUESTIONS) < 0.4 + gain + 0.03 * i).astype(float)
            for i, task in enumerate(TASKS)
        }
        scores = {task: float(values.mean()) for task, values in right.items()}
        errors = {task: float(values.std() / QUESTIONS**0.5) for task, values in right.items()}
        results = [
            Result(
                task=task,
                metric="acc",
                value=value,
                stderr=errors[task],
                n=QUESTIONS,
                num_fewshot=0,
                version=1.0,
            )
            for task, value in scores.items()
        ]
        average = float(np.mean(list(scores.values())))
        Evaluation(results=results, scores=scores, average=average, harness_version="planted").write(folder)
        answered = (
            AnsweredQuestion(task, i, "", f"t{i}", "", value)
            for task, values in right.items()
            for i, value in enumerate(values.tolist())
        )
        write_answered(folder, answered)
        return Outcome({**scores, "average": average})

    return evaluate if step.stage == "evaluate" else train


def make_runs(root: Path) -> list[RunResult]:
    """The runs, from the store where it has them."""
    pool = root / "pool.jsonl"
    if not pool.is_file():
        root.mkdir(parents=True, exist_ok=True)
        write_pool(pool)
    runs = []
    for config in compose_all(list(overrides(pool, root)), memory=root):
        chain = Chain(config)
        gain = 0.1 * (1 - RATERS[config.rater.name]) + 0.05 * (config.selection.name == "ds2_posterior")
        for step in chain.steps:
            if step.stage in ("model", "finetune", "evaluate"):
                chain.store.obtain(replace(step, compute=planted(step, gain, config.seed)))
        runs.append(chain.run())
    return runs


def opened(page: Path) -> tuple[list[float], dict[str, float]]:
    """Seconds until the page shows its first chart and its samples, a fresh browser each; milliseconds of
    what a reader does.
    """
    from playwright.sync_api import sync_playwright

    seconds = []
    with sync_playwright() as driver:
        for _ in range(OPENINGS):
            browser = driver.chromium.launch(
                executable_path=shutil.which("chromium"), args=["--no-sandbox", "--disable-gpu"]
            )
            tab = browser.new_page(viewport={"width": 1360, "height": 900})
            started = time.perf_counter()
            tab.goto(page.as_uri())
            tab.wait_for_selector("#chart-results .main-svg", state="attached")
            tab.wait_for_selector("html[data-samples=ready]", state="attached")
            seconds.append(time.perf_counter() - started)
            acts = tab.evaluate(ACTS) if len(seconds) == OPENINGS else {}
            browser.close()
    return seconds, acts


ACTS = """async () => {
  const form = document.querySelector("#filters"), view = document.querySelector(".view"), took = {};
  const timed = async (name, act) => {
    const started = performance.now();
    await act();
    took[name] = performance.now() - started;
  };
  const count = () => document.querySelector("#count").textContent;
  const search = (words) => async () => {
    const before = count();
    form.query.value = words;
    form.dispatchEvent(new Event("input"));
    while (count() === before) await new Promise((done) => setTimeout(done, 4));
  };
  await timed("first search (90 of them waiting for the next key)", search("made-00"));
  await timed("next search (90 of them waiting)", search("made-01"));
  form.query.value = ""; form.dispatchEvent(new Event("input"));
  await new Promise((done) => setTimeout(done, 300));
  const frames = [];
  for (let i = 0; i < 60; i++) {
    view.scrollTop += 3000;
    const started = performance.now();
    await new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)));
    frames.push(performance.now() - started);
  }
  took["slowest of 60 jumps through the rows (two frames each)"] = Math.max(...frames);
  await timed("filter by one rater", async () => document.querySelector("#facets [name=rater]").click());
  return took;
}"""


def main() -> None:
    with contextlib.ExitStack() as stack:
        root = Path(os.environ.get("DS2_ARTIFACTS") or stack.enter_context(tempfile.TemporaryDirectory()))
        runs = make_runs(root)
        folder = root / "sweeps" / "benchmark"
        folder.mkdir(parents=True, exist_ok=True)
        started = time.perf_counter()
        page = write_page(folder, render_many(runs, title="60 runs", folder=folder))
        built = time.perf_counter() - started
        seconds, acts = opened(page)
        texts = [
            len(text)
            for turns in samples(runs, most=MOST_SAMPLES).data["text"]
            for text in [" ".join(t[1] for t in turns)]
        ]
        write({
            "runs": len(runs), "sample rows": len(texts),
            "characters of a sample, mean": round(sum(texts) / len(texts)),
            "build, s": round(built, 2), "size, MB": round(page.stat().st_size / 1e6, 2),
            "open, s": round(median(seconds), 2), "slowest opening, s": round(max(seconds), 2),
            **{f"{name}, ms": round(value) for name, value in acts.items()},
        })  # fmt: skip


def write(measured: dict[str, Any]) -> None:
    version = subprocess.run(
        [shutil.which("chromium") or "chromium", "--version"], capture_output=True, text=True, check=True
    )
    machine = {
        "machine": platform.machine(), "cores": os.cpu_count(),
        "load while measured": round(os.getloadavg()[0], 1), "python": platform.python_version(),
        **{name: importlib.metadata.version(name) for name in ("pandas", "plotly", "playwright")},
        "browser": version.stdout.strip().split(" built")[0],
        "date": datetime.datetime.now(datetime.UTC).date().isoformat(),
    }  # fmt: skip
    RESULTS.mkdir(exist_ok=True)
    text = json.dumps({"machine": machine, "limits": LIMITS, "measured": measured}, indent=2)
    (RESULTS / "report.json").write_text(text + "\n", encoding="utf-8")
    lines = [
        "# The page that compares runs",
        "",
        (__doc__ or "").split("\n\n")[2].split(" Writes")[0].replace("\n", " "),
        "",
    ]
    lines += ["| | measured | limit |", "|---|---|---|"]
    lines += [f"| {name} | {value:,} | {LIMITS.get(name, '')} |" for name, value in measured.items()]
    opening = (
        f"Opening: headless Chromium, median of {OPENINGS} fresh starts, until the first chart and the "
        "samples are there."
    )
    lines += ["", opening, "", ", ".join(f"{key} {value}" for key, value in machine.items()), ""]
    (RESULTS / "report.md").write_text("\n".join(lines), encoding="utf-8")
    print("\n".join(lines))


if __name__ == "__main__":
    main()
