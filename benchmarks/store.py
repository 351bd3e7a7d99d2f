"""Measured claims about a store of 2,000 finished runs: how long the commands that look at all of it take.

    python benchmarks/store.py [FOLDER]        FOLDER keeps the store; again: only the measurements

13 choices (three raters with four selections each, and a random subset) x 154 seeds: 2,002 runs, whose
artifacts are planted in the store with their true fingerprints, inputs and checksums, evaluations readable.
Each command is one new process. Writes benchmarks/results/store.json.
"""

from __future__ import annotations

import json
import os
import platform
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

from ds2.artifacts.evaluation import Evaluation, Result
from ds2.artifacts.step import Outcome, Step
from ds2.config.compose_cache import compose_all
from ds2.runs.chain import Chain

RESULTS = Path(__file__).resolve().parent / "results" / "store.json"
SEEDS, PLANNED = 154, 504
GRID = {
    "rater": ["simulated_gpt_4o_mini", "simulated_llama_3_1_8b", "simulated_mistral_7b"],
    "selection": ["ds2_without_curation", "ds2", "ds2_posterior", "ds2_refined"],
}
FIXED = ["pool=mini", "pool.samples=60", "model=tiny", "finetune=tiny", "eval=tiny", "tracking=none"]
LIMITS = {"list": 3.0, "status": 5.0, "plan of 500": 10.0, "plan of 500, again": 10.0, "gc": 10.0}
"""Seconds."""


STATUS = """
import sys
sys.path.insert(0, "benchmarks")
from pathlib import Path
import store
from ds2.runs import expected
root = Path(sys.argv[1])
print(expected.count(expected.look([[*run, f"paths.artifacts={root}"] for run in store.runs()], root)))
"""


def runs() -> list[list[str]]:
    """The overrides of every run."""
    choices = [[f"rater={r}", f"selection={s}"] for r in GRID["rater"] for s in GRID["selection"]]
    return [[*FIXED, *c, f"seed={seed}"] for seed in range(SEEDS) for c in [*choices, ["selection=random"]]]


def plant(root: Path) -> int:
    """Every artifact of every run; how many there are."""
    overrides = [[*run, f"paths.artifacts={root}"] for run in runs()]
    seen: set[str] = set()
    for config in compose_all(overrides, memory=root):
        chain = Chain(config)
        for step in chain.steps:
            if step.fingerprint not in seen:
                seen.add(step.fingerprint)
                chain.store.obtain(replace(step, compute=_content(step)))
    return len(seen)


def _content(step: Step) -> Callable[[Path], Outcome]:
    def compute(folder: Path) -> Outcome:
        if step.stage == "evaluate":
            results = [
                Result(task=f"task_{i}", metric="exact_match", value=0.5, stderr=0.01, n=100, num_fewshot=0)
                for i in range(3)
            ]
            scores = {each.task: each.value for each in results}
            Evaluation(results=results, average=0.5, scores=scores).write(folder)
        else:
            (folder / "content").write_text(step.fingerprint)
        return Outcome({"samples": 60})

    return compute


def timed(*words: str) -> tuple[float, float]:
    """Seconds that one command took, and seconds of CPU: it must end well."""
    began, used = time.perf_counter(), sum(os.times()[2:4])
    child = subprocess.Popen([sys.executable, *words], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    _, said = child.communicate()
    took = time.perf_counter() - began
    if child.returncode != 0:
        raise RuntimeError(f"{words} ended with {child.returncode}: {said.decode()[-2000:]}")
    return took, sum(os.times()[2:4]) - used


def main(folder: Path) -> None:
    root = folder / "artifacts"
    os.environ["OMP_NUM_THREADS"] = "1"
    began = time.perf_counter()
    count = plant(root)
    print(f"{count} artifacts of {len(runs())} runs, planted in {time.perf_counter() - began:.0f} s")
    here = f"paths.artifacts={root}"
    seeds = ",".join(map(str, range(1000, 1000 + PLANNED // 12)))
    wide = [f"{key}={','.join(values)}" for key, values in GRID.items()]
    plan = ["-m", "ds2", "-m", *FIXED, *wide, f"seed={seeds}", "plan=true", here]
    commands = {
        "list": ["-m", "ds2", "list", here],
        "gc": ["-m", "ds2", "gc", here],
        "status": ["-c", STATUS, str(root)],
        "plan of 500": plan,
        "plan of 500, again": plan,
    }
    figures = {}
    for name, words in commands.items():
        took, used = timed(*words)
        figures[name] = {"seconds": round(took, 1), "of CPU": round(used, 1), "aim": LIMITS[name]}
        print(f"{name:<20} {took:6.1f} s, {used:.1f} s of CPU (aim: {LIMITS[name]:.0f} s)", flush=True)
    about = {"machine": platform.platform(), "cores": os.cpu_count(), "date": datetime.now(UTC).isoformat()}
    RESULTS.write_text(json.dumps({"artifacts": count, "commands": figures, **about}, indent=1) + "\n")


if __name__ == "__main__":
    if len(sys.argv) > 1:
        main(Path(sys.argv[1]).absolute())
    else:
        with tempfile.TemporaryDirectory() as scratch:
            main(Path(scratch))
