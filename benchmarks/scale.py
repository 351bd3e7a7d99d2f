"""What 1 M, 100 M and 10 B samples need: stages measured at small sizes on this machine, and extrapolated.

    python benchmarks/scale.py           2,000, 8,000 and 32,000 planted rows: 90 s of CPU
    python benchmarks/scale.py --toy     three tiny sizes, into build/scale-toy: measures nothing

Each size runs the real stages (pool, rate from a column, embed, both graphs, three curations, select) in a
process of its own, after a warm-up of 300 rows. What is counted is CPU seconds, so that other programs on the
machine matter little; peak memory is the process's while the stage ran, the pool included; disk is the
artifact's files. What a GPU does is read from gpu-*.json and from named references (`scale_needs.py`). Writes
benchmarks/results/scale.json and .md.
"""

from __future__ import annotations

import argparse
import datetime
import json
import os
import platform
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import scale_needs as needs

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))
RESULTS = ROOT / "benchmarks" / "results"
SIZES, TOY, WARM = (2_000, 8_000, 32_000), (300, 600, 1_200), 300
BASE = ["pool=jsonl", "rater=from_column", "rater.column=score", "tracking=none", "budget.samples=0.1"]
RUNS = {
    "": [*BASE, "until=select"],
    "rank": [*BASE, "selection=ds2", "until=curate"],
    "posterior": [*BASE, "selection=ds2_posterior", "until=curate"],
    "approximate": [*BASE, "knn=approximate", "until=curate"],
    "1 % rated": [*BASE, "rater.column=part", "until=curate"],
}
"""What is told apart in the name of its stages -> the run. Later ones reuse what the first made."""
NAMES = {
    "knn": "knn, exact", "knn approximate": "knn, approximate", "curate": "curate, refine",
    "curate rank": "curate, rank", "curate posterior": "curate, posterior",
    "curate 1 % rated": "curate, refine, 1 % rated",
}  # fmt: skip
"""Other names are the stage's own; of reruns, only these are kept."""
Row = dict[str, float]


def planted(rows: int, file: Path) -> None:
    """Short conversations: 40 subjects of 80 words each, answers whose wording shows the score, and a column
    `part` that is null but for 1 % of the rows (at least 40).
    """
    rng = np.random.default_rng(0)
    rated = rng.permutation(rows)[: max(rows // 100, 40)]
    part = set(rated.tolist())
    with file.open("w", encoding="utf-8") as out:
        for row in range(rows):
            subject, score = int(rng.integers(40)), int(rng.integers(6))
            asked = " ".join(f"s{subject}w{i}" for i in rng.integers(80, size=12))
            about = [f"s{subject}w{i}" for i in rng.integers(80, size=24 + 4 * score)]
            style = [f"q{score + rng.integers(-1, 2)}x{i}" for i in rng.integers(30, size=12)]
            turns = [("user", asked), ("assistant", " ".join([*about, *style, f"row{row}"]))]
            messages = [{"role": role, "content": text} for role, text in turns]
            value = {"messages": messages, "score": score, "part": score if row in part else None}
            out.write(json.dumps(value) + "\n")


def measure(rows: int, folder: Path) -> dict[str, Row]:
    """Stage -> CPU seconds, peak bytes, bytes of disk, in this process."""
    from ds2.artifacts.provenance import peak_memory
    from ds2.artifacts.step import StageResult, Status
    from ds2.config.compose_cache import compose_all
    from ds2.runs.chain import Chain, Reporter
    from ds2.runs.pools import pool_of

    folder.mkdir(parents=True)
    file, found = folder / "pool.jsonl", dict[str, Row]()
    planted(rows, file)
    told = [f"pool.path={file}", f"paths.artifacts={folder / 'artifacts'}", "runtime.progress=false"]
    chains = [Chain(config) for config in compose_all([[*r, *told] for r in RUNS.values()], memory=folder)]
    with peak_memory() as memory:
        began = time.process_time()
        pool_of(chains[0].config, chains[0].store).load()
        used = time.process_time() - began
    found["pool"] = {"seconds": used, "memory": float(memory.bytes or 0), "disk": float(file.stat().st_size)}
    for label, chain in zip(RUNS, chains, strict=True):
        clock = [time.process_time()]

        def finished(result: StageResult, label: str = label, clock: list[float] = clock) -> None:
            now, before = time.process_time(), clock.pop()
            clock.append(now)
            name = f"{result.name} {label}".strip()
            if result.status is Status.computed and (not label or name in NAMES):
                found[NAMES.get(name, name)] = {
                    "seconds": now - before,
                    "memory": float(result.record["peak_memory_bytes"] or 0),
                    "disk": float(sum(each["bytes"] for each in result.record["files"].values())),
                }

        chain.run(Reporter(stage=finished))
    return found


def measured(sizes: tuple[int, ...]) -> dict[str, dict[int, Row]]:
    """Stage -> rows -> what it took, a process a size."""
    found: dict[str, dict[int, Row]] = {}
    for size in sizes:
        began = time.perf_counter()
        ran = subprocess.run(
            [sys.executable, __file__, "--size", str(size)], stdout=subprocess.PIPE, text=True, check=True
        )
        for stage, row in json.loads(ran.stdout.splitlines()[-1]).items():
            found.setdefault(stage, {})[size] = row
        print(f"{size:,} rows: {time.perf_counter() - began:.0f} s", flush=True)
    return found


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--toy", action="store_true")
    parser.add_argument("--size", type=int, help=argparse.SUPPRESS)
    parser.add_argument("--out", type=Path, help="folder of the results")
    parser.add_argument("--again", action="store_true", help="extrapolate from what --out holds")
    args = parser.parse_args()
    if args.size:
        with tempfile.TemporaryDirectory() as scratch:
            measure(WARM, Path(scratch) / "warm")
            print(json.dumps(measure(args.size, Path(scratch) / "measured")))
        return
    out = args.out or (ROOT / "build" / "scale-toy" if args.toy else RESULTS)
    out.mkdir(parents=True, exist_ok=True)
    began = time.perf_counter()
    report: dict[str, Any]
    if args.again:
        report = json.loads((out / "scale.json").read_text())
        found = {s: {int(n): row for n, row in rows.items()} for s, rows in report["measured"].items()}
    else:
        found = measured(TOY if args.toy else SIZES)
        report = {
            "toy": args.toy,
            "machine": f"{platform.machine()}, {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}",
            "date": datetime.datetime.now(datetime.UTC).date().isoformat(),
            "wall seconds": round(time.perf_counter() - began),
        }
    report |= {"measured": found, **needs.account(found, RESULTS)}
    (out / "scale.json").write_text(json.dumps(report, indent=1) + "\n")
    (out / "scale.md").write_text(needs.page(report))
    print(f"{report['wall seconds']} s; written: {out / 'scale.md'}")


if __name__ == "__main__":
    main()
