"""Measured claims about `refine` beside human truth (that is benchmarks/human_truth.py): planted pools and a
rated share. Time and memory: benchmarks/curation.py refine.

    python benchmarks/refine.py            everything, each part in a process of its own
    python benchmarks/refine.py planted    one part: planted, share

Writes benchmarks/results/refine-PART.json and .md, with machine, versions and date; `--docs` copies them
into docs/truth.md. `share` needs the truth sets (folder in DS2_DATA, by default ../shared beside the
repository) and is skipped aloud without them.
"""

from __future__ import annotations

import argparse
import datetime
import importlib.metadata
import itertools
import json
import os
import platform
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "benchmarks")]
import curation_pools as shared  # noqa: E402
from human_truth import NAMED, embed  # noqa: E402
from truth_measures import measure, read_sets, standardised  # noqa: E402
from truth_orders import among_equals  # noqa: E402

import ds2  # noqa: E402
from ds2.method.curation.planted import ordinal_transition, plant_pool  # noqa: E402
from ds2.method.student.fit import FEWEST  # noqa: E402

RESULTS = ROOT / "benchmarks" / "results"


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("parts", nargs="*", help="default: all")
    parser.add_argument("--here", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("--docs", action="store_true", help="copy the tables into docs/truth.md and exit")
    args = parser.parse_args()
    if args.docs:
        return fill_docs()
    unknown = [p for p in args.parts if p not in PARTS]
    if unknown:
        parser.error(f"no part {unknown[0]!r}; there are {', '.join(PARTS)}")
    for part in args.parts or PARTS:
        if not args.here:  # peak memory is a process's, so each part has its own
            subprocess.run([sys.executable, __file__, part, "--here"], check=True)
            continue
        try:
            rows = []
            for row in PARTS[part]():
                print(json.dumps(row), flush=True)
                rows.append(row)
        except FileNotFoundError as missing:
            print(f"{part}: skipped, {missing}")
            continue
        write(part, rows)


def write(part: str, rows: list[dict[str, Any]]) -> None:
    about = describe(part)
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / f"refine-{part}.json").write_text(json.dumps({**about, "rows": rows}, indent=1) + "\n")
    versions = ", ".join(f"{k} {v}" for k, v in about["versions"].items())
    head = f"`{about['command']}`, {about['date']}, {about['machine']}; {versions}\n\n"
    (RESULTS / f"refine-{part}.md").write_text(head + shared.markdown(rows))


def describe(part: str) -> dict[str, Any]:
    return {
        "command": f"python benchmarks/refine.py {part}",
        "date": datetime.datetime.now(datetime.UTC).date().isoformat(),
        "machine": f"{shared.processor()}, {len(os.sched_getaffinity(0))} cores visible",
        "versions": {"python": platform.python_version(), "ds2": ds2.__version__}
        | {p: importlib.metadata.version(p) for p in ("numpy", "scipy", "faiss-cpu", "scikit-learn")},
    }


def fill_docs() -> None:
    page = ROOT / "docs" / "truth.md"
    text = page.read_text()
    for part in PARTS:
        result = RESULTS / f"refine-{part}.md"
        if result.exists():
            table = result.read_text().split("\n\n", 1)[1]
            text = re.sub(
                rf"(<!-- refine-{part} -->\n)(\n\|.*?\n(?=\n))?",
                lambda m, t=table: m[1] + "\n" + t,
                text,
                flags=re.S,
            )
    page.write_text(text)


def planted() -> Iterator[dict[str, Any]]:
    """Mean true score (in sd) of the selected share, difference to the given scores: embeddings only, N =
    3,000, four draws.
    """
    impure = [
        (
            f"accuracy {a:g}, purity {p:g}",
            ordinal_transition(6, accuracy=a),
            {"purity": p, "cluster_size": 15},
        )
        for a, p in itertools.product((0.45, 0.6, 0.75, 0.9), (0.3, 0.6, 0.8, 1.0))
    ]
    for name, T, settings in [*impure, *shared.CASES]:
        found = []
        for seed in range(4):
            prior = shared.PRIOR if len(T) == 6 else None
            pool = plant_pool(3000, transitions=T, prior=prior, seed=seed, **settings)
            r = ds2.curate(pool.embeddings, pool.scores, num_scores=len(T), method="refine")
            true, s = standardised(pool.true_scores.astype(float)), pool.scores.astype(float)
            given = [_share_mean(s, true, q) for q in (0.1, 0.3)]
            row = [*given]
            for order in (r.refined, among_equals(s, r.student), r.posterior_mean):
                row += [_share_mean(order, true, q) - g for q, g in zip((0.1, 0.3), given, strict=True)]
            found.append([*row, r.diagnostics.evidence.student.r2])
        names = [
            f"{what}, top {q} %"
            for what in ("given", "refine", "student among equals", "posterior")
            for q in (10, 30)
        ]
        yield {"planted pool": name} | dict(
            zip([*names, "student's R^2"], map(float, np.mean(found, axis=0)), strict=True)
        )


def _share_mean(order: np.ndarray, value: np.ndarray, share: float) -> float:
    n = round(share * len(order))
    cut = np.sort(order)[::-1][n - 1]
    above, tie = order > cut, order == cut
    return float((value[above].sum() + (n - above.sum()) * value[tie].mean()) / n)


def share() -> Iterator[dict[str, Any]]:
    """Mean human z of the top 10 % and 30 % of the whole set, a random share rated: two raters a set, two
    draws, at least 40 rated.
    """
    found: dict[tuple[float, str], list[np.ndarray]] = {}
    for truth in read_sets(shared.DATA / "truth"):
        cells = [c for c in truth.cells if c.rater in NAMED.get(truth.name, (c.rater,))][:2]
        for cell in cells:
            x = embed([truth.texts[i] for i in cell.rows], "tfidf")
            texts = [truth.rated[i] for i in cell.rows]
            graph, s = ds2.knn_graph(x, 64), cell.scores.astype(float)
            for part, draw in itertools.product((0.1, 0.2, 0.3, 0.5), range(2)):
                rng = np.random.default_rng([draw, 31])
                rated = rng.permutation(len(s)) < round(part * len(s))
                if rated.sum() < max(40, FEWEST) or np.ptp(s[rated]) == 0:
                    continue
                seen = np.where(rated, s, -1)
                r = ds2.curate(
                    x,
                    seen.astype(int),
                    graph=graph,
                    num_scores=int(s.max()) + 1,
                    method="refine",
                    texts=texts,
                )
                half = np.where(rated, (r.student + seen) / 2, r.student)
                orders = {
                    "all rated, given scores": s,
                    "refined": r.refined,
                    "student": r.student,
                    "half student, half score": half,
                    "neighbours (posterior mean)": r.posterior_mean,
                }
                for name, order in orders.items():
                    found.setdefault((part, name), []).append(measure(order, cell))
    for part in sorted({p for p, _ in found}):
        row: dict[str, Any] = {"rated": f"{part:.0%}"}
        for (p, name), values in found.items():
            if p == part:
                mean = np.mean(values, axis=0)
                row[f"{name}, top 10 %"], row[f"{name}, top 30 %"] = float(mean[0]), float(mean[1])
                row["cases"] = len(values)
        yield row


PARTS: dict[str, Callable[[], Iterator[dict[str, Any]]]] = {f.__name__: f for f in (planted, share)}

if __name__ == "__main__":
    main()
