"""What a table and a sweep cost once everything is computed.

    python benchmarks/experiments.py

Plants the evaluations of 104 runs (8 seeds of `sweep=mini_table`) in the real artifact format and prints
their table in a fresh process; runs ten small runs with `ds2 -m` twice, the second time with everything
reused. Writes benchmarks/results/experiments.json and .md, with machine, versions and date.
"""

from __future__ import annotations

import datetime
import importlib.metadata
import json
import os
import platform
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "tests")]
from evaluated import finish  # noqa: E402

from ds2.config.compose_cache import compose_all  # noqa: E402
from ds2.config.sweep import load_sweep  # noqa: E402
from ds2.runs.chain import Chain  # noqa: E402

RESULTS = Path(__file__).parent / "results"
SEEDS = "seed=1,2,3,4,5,6,7,8"
TRIES = 3


def main() -> None:
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        artifacts = Path(folder) / "artifacts"
        runs = plant(artifacts)
        table = [
            "-m",
            "experiments",
            "main_table",
            "--mini",
            SEEDS,
            f"paths.artifacts={artifacts}",
            "tracking=none",
        ]
        for name in ("first time, runs composed", "again"):
            rows.append(
                {
                    "what": f"table of {runs} finished runs, {name}",
                    **timed(table, folder, once="first" in name),
                }
            )
        small = [
            "-m", "ds2", "-m", "experiment=mini", "pool.samples=60", "until=select", "tracking=none",
            "budget.samples=20", "selection=random,length",
            "seed=1,2,3,4,5", f"paths.artifacts={artifacts}", f"hydra.sweep.dir={folder}/multirun",
        ]  # fmt: skip
        timed(small, folder, once=True)
        cached = timed(small, folder)
        rows.append({"what": "ds2 -m, ten runs reused whole", **cached})
        rows.append({"what": "the same, a run", **{key: value / 10 for key, value in cached.items()}})
    write(rows)


def plant(artifacts: Path) -> int:
    """Evaluations of the miniature's grid, with 1,000 scored questions each; how many."""
    rng = np.random.default_rng(0)
    sweep = load_sweep("mini_table")
    runs = [[*run, "tracking=none", f"paths.artifacts={artifacts}"] for run in sweep.runs([SEEDS])]
    for config in compose_all(runs, memory=artifacts):
        scores = {
            task: (rng.random(1000) < 0.5).astype(float).tolist() for task in ("mini_familiar", "mini_new")
        }
        finish(Chain(config), {task: float(np.mean(right)) for task, right in scores.items()}, scores)
    return len(runs)


def timed(arguments: list[str], folder: str, *, once: bool = False) -> dict[str, float]:
    """Best and median wall seconds of a fresh process."""
    seconds = []
    for _ in range(1 if once else TRIES):
        began = time.perf_counter()
        done = subprocess.run(
            [sys.executable, *arguments], cwd=folder, env={**os.environ, "PYTHONPATH": str(ROOT)},
            capture_output=True, check=False
        )  # fmt: skip
        if done.returncode != 0:
            raise SystemExit(done.stdout.decode()[-2000:] + done.stderr.decode()[-2000:])
        seconds.append(time.perf_counter() - began)
    return {"best s": min(seconds), "median s": float(np.median(seconds))}


def write(rows: list[dict[str, object]]) -> None:
    about = {
        "command": "python benchmarks/experiments.py", "date": datetime.date.today().isoformat(),
        "machine": platform.machine(), "cores": os.cpu_count(), "load": round(os.getloadavg()[0], 1),
        "python": platform.python_version(), "hydra-core": importlib.metadata.version("hydra-core"),
    }  # fmt: skip
    lines = ["| what | best s | median s |", "| --- | --- | --- |"]
    lines += [f"| {row['what']} | {row['best s']:.2f} | {row['median s']:.2f} |" for row in rows]
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / "experiments.json").write_text(json.dumps({**about, "rows": rows}, indent=2) + "\n")
    head = ", ".join(f"{key}: {value}" for key, value in about.items())
    (RESULTS / "experiments.md").write_text(f"{head}\n\n" + "\n".join(lines) + "\n")
    print("\n".join(lines))


if __name__ == "__main__":
    main()
