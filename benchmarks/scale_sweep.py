"""What a sweep of 1,000 runs takes on N workers: the real planner's stages, simulated.

    python benchmarks/scale_sweep.py           a minute; writes benchmarks/results/scale-sweep.json and .md

The 1,000 runs of `GRID` are composed and planned as `ds2 -m` would: each is a chain of stages known by
fingerprints, and what is shared is what has one fingerprint. What a stage takes is a constant of a pool of
300,000 samples: fits of scale.json for the CPU's stages, the H100 of gpu-*.json for LoRA, the published rate
for ratings, an assumed hour for an evaluation. A worker (one H100 with its cores) takes the next run of the
list and goes through its stages: a finished one is reused, one that another worker computes is waited for, as
the store's locks have it. Starts of processes, failures, and a file system that slows under many readers are
left out.
"""

from __future__ import annotations

import argparse
import heapq
import itertools
import json
import sys
import tempfile
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import scale_needs as needs

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))
RESULTS = ROOT / "benchmarks" / "results"
POOL, TOKENS_A_SAMPLE, EVALUATION_SECONDS = 300_000, 500, 3600.0
GRID: dict[str, list[str]] = {
    "rater.column": ["a", "b", "c", "d"],
    "selection": ["ds2", "ds2_posterior", "ds2_refined", "ds2_without_curation", "random"],
    "budget.samples": ["1000", "2500", "5000", "10000", "20000"],
    "seed": [str(seed) for seed in range(1, 11)],
}
"""Four raters (as columns: plans need no server), five selections, five budgets, ten seeds."""
FIXED = ["pool=jsonl", "rater=from_column", "model=tiny", "finetune=paper", "eval=tiny", "tracking=none",
         "runtime.progress=false"]  # fmt: skip
"""`model=tiny` and `eval=tiny` stand for a model and benchmarks of the hub, without which this plans."""
WORKERS = (1, 8, 32, 128, 512)
CURATIONS = {"ds2": "curate, rank", "ds2_posterior": "curate, posterior"}
"""Selection -> its curation among the fits; `refine`'s, the longest, for others."""


@dataclass(frozen=True)
class Stage:
    name: str
    fingerprint: str
    seconds: float
    """Of one worker."""


Run = Sequence[Stage]


@dataclass
class Outcome:
    """What the workers did, in seconds."""

    workers: int
    makespan: float = 0.0
    held: float = 0.0
    """Until each worker's last run ended, summed: what is paid for."""
    computed: Counter[str] = field(default_factory=Counter)
    """By stage."""
    waited: Counter[str] = field(default_factory=Counter)
    """By the stage that another worker computed."""


def simulate(runs: Sequence[Run], workers: int, done: Mapping[str, float] | None = None) -> Outcome:
    """Workers take the next run of the list when they are free, as launchers do.

    Args:
        done: fingerprints of stages that are finished before it begins.
    """
    outcome, ready = Outcome(workers), dict(done or {})
    waiting = iter(runs)
    events: list[tuple[float, int, list[Stage]]] = []
    for worker, run in enumerate(itertools.islice(waiting, workers)):
        heapq.heappush(events, (0.0, worker, list(run)))
    while events:
        now, worker, rest = heapq.heappop(events)
        if not rest:
            following = next(waiting, None)
            if following is None:
                outcome.held += now
                outcome.makespan = max(outcome.makespan, now)
            else:
                heapq.heappush(events, (now, worker, list(following)))
            continue
        stage = rest.pop(0)
        if stage.fingerprint not in ready:
            ready[stage.fingerprint] = now + stage.seconds
            outcome.computed[stage.name] += stage.seconds
        elif ready[stage.fingerprint] > now:
            outcome.waited[stage.name] += ready[stage.fingerprint] - now
        heapq.heappush(events, (max(now, ready[stage.fingerprint]), worker, rest))
    return outcome


def spread(runs: Sequence[Run]) -> list[Run]:
    """The same runs, raters by turns, as where the rater is the key named last: workers that start together
    then rate together.
    """
    by_rater: dict[str, list[Run]] = {}
    for run in runs:
        by_rater.setdefault(next((s.fingerprint for s in run if s.name == "rate"), ""), []).append(run)
    turns = itertools.zip_longest(*by_rater.values())
    return [run for turn in turns for run in turn if run is not None]


def planned(grid: Mapping[str, Sequence[str]], seconds: Any) -> list[list[Stage]]:
    """The stages of every run of a grid, as the planner names them; `seconds(config, stage)` each takes."""
    from ds2.config.compose_cache import compose_all
    from ds2.runs.chain import Chain

    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        file = folder / "pool.jsonl"
        turns = [{"role": "user", "content": "ask"}, {"role": "assistant", "content": "say"}]
        rows = [{"messages": turns, **dict.fromkeys("abcd", i % 6)} for i in range(40)]
        file.write_text("".join(json.dumps(row) + "\n" for row in rows))
        told = [*FIXED, f"pool.path={file}", f"paths.artifacts={folder / 'artifacts'}"]
        combinations = [[f"{key}={value}" for key, value in zip(grid, values, strict=True)]
                        for values in itertools.product(*grid.values())]  # fmt: skip
        runs = []
        for config in compose_all([[*told, *each] for each in combinations], memory=folder):
            steps = Chain(config).steps
            runs.append([Stage(s.stage, s.fingerprint, seconds(config, s.stage)) for s in steps])
    return runs


def constants() -> Any:
    """`seconds(config, stage)` at 300,000 samples, from what is measured."""
    measured = json.loads((RESULTS / "scale.json").read_text())["measured"]
    fits = {
        name: needs.fit(name, {int(n): row for n, row in rows.items()}) for name, rows in measured.items()
    }
    (card,) = sorted(RESULTS.glob("gpu-*.json"))
    pace = json.loads(card.read_text())["results"]["lora"]["tokens/s"]

    def seconds(config: Any, stage: str) -> float:
        if stage == "rate":
            return POOL / needs.PUBLISHED_RATINGS
        if stage == "finetune":
            return float(config.budget.samples * TOKENS_A_SAMPLE * config.finetune.epochs / pace)
        if stage == "evaluate":
            return EVALUATION_SECONDS
        if stage == "curate":
            return fits[CURATIONS.get(config.selection.name, "curate, refine")].seconds_for(POOL)
        if stage == "knn":
            return fits["knn, exact"].seconds_for(POOL)
        return fits[stage].seconds_for(POOL) if stage in fits else 0.0

    return seconds


def account(runs: Sequence[Run], workers: Sequence[int] = WORKERS) -> dict[str, Any]:
    """What is shared, what N workers take, and the same where the shared stages are computed first."""
    stages = [stage for run in runs for stage in run]
    distinct = {stage.fingerprint: stage for stage in stages}
    asked, made = Counter(s.name for s in stages), Counter(s.name for s in distinct.values())
    work, alone = Counter[str](), Counter[str]()
    for stage in distinct.values():
        work[stage.name] += stage.seconds
    for stage in stages:
        alone[stage.name] += stage.seconds
    turned = spread(runs)
    chosen = [[s for s in run if s.name not in ("model", "finetune", "evaluate", "report")] for run in turned]
    rows, longest = [], max(sum(stage.seconds for stage in run) for run in runs)
    for count in workers:
        whole, by_turns = simulate(runs, count), simulate(turned, count)
        first = simulate(chosen, min(count, made["rate"]))
        ready = {s.fingerprint: 0.0 for run in chosen for s in run}
        second = simulate(turned, count, ready)
        rows.append(
            {
                "workers": count, "hours": whole.makespan / 3600, "paid": whole.held / 3600,
                "waited": {name: s / 3600 for name, s in whole.waited.most_common()},
                "bound": max(sum(work.values()) / count, longest) / 3600,
                "by turns, hours": by_turns.makespan / 3600, "by turns, paid": by_turns.held / 3600,
                "in two, hours": (first.makespan + second.makespan) / 3600,
                "in two, paid": (first.held + second.held) / 3600,
            }
        )  # fmt: skip
    return {
        "runs": len(runs), "distinct runs": len({run[-1].fingerprint for run in runs}),
        "stages": {n: {"asked": asked[n], "distinct": made[n], "hours": work[n] / 3600,
                       "hours unshared": alone[n] / 3600} for n in asked},
        "workers": rows,
    }  # fmt: skip


def page(report: Mapping[str, Any]) -> str:
    """The report in Markdown."""
    head = (
        f"# A sweep of {report['runs']:,} runs, simulated\n\n`python benchmarks/scale_sweep.py`: "
        f"{report['distinct runs']:,} distinct runs; hours are of one H100 with its cores, "
        f"${needs.GPU_HOUR:.2f} each.\n\n"
    )
    lines = [
        "| stage | asked for | distinct | hours | hours if nothing were shared |",
        "|---|---:|---:|---:|---:|",
    ]
    for name, s in report["stages"].items():
        counts = f"{s['asked']:,} | {s['distinct']:,}"
        lines.append(f"| {name} | {counts} | {s['hours']:,.2f} | {s['hours unshared']:,.1f} |")
    columns = (
        "workers", "wall hours", "least possible", "paid hours", "dollars", "waited, hours", "most for",
        "raters by turns: wall hours", "dollars", "shared stages first: wall hours", "dollars",
    )  # fmt: skip
    lines += ["", f"| {' | '.join(columns)} |", "|---:" * len(columns) + "|"]
    for row in report["workers"]:
        most = next(iter(row["waited"]), "")
        lines.append(
            f"| {row['workers']} | {row['hours']:,.1f} | {row['bound']:,.1f} | {row['paid']:,.0f} "
            f"| {row['paid'] * needs.GPU_HOUR:,.0f} | {sum(row['waited'].values()):,.1f} | {most} "
            f"| {row['by turns, hours']:,.1f} | {row['by turns, paid'] * needs.GPU_HOUR:,.0f} "
            f"| {row['in two, hours']:,.1f} | {row['in two, paid'] * needs.GPU_HOUR:,.0f} |"
        )
    return head + "\n".join(lines) + "\n"


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--out", type=Path, default=RESULTS, help="folder of the results")
    out = parser.parse_args().out
    report = account(planned(GRID, constants()))
    out.mkdir(parents=True, exist_ok=True)
    (out / "scale-sweep.json").write_text(json.dumps(report, indent=1) + "\n")
    (out / "scale-sweep.md").write_text(page(report))
    print(page(report))


if __name__ == "__main__":
    main()
