"""From stages measured at small sizes to what large pools need: fits, a GPU's constants, prices, account.

    seconds(n) = a n^b    least squares of the logarithms over the measured sizes
    seconds(N) = seconds(largest) (N / largest)^max(b, law)

`law` is the least exponent that the algorithm allows: 1 where every row is read, 1.5 for an index of sqrt(n)
cells, 2 where every pair is compared. A fit below it is a fixed cost that small sizes still show.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import yaml
from gpu_results import NORMALISED

Rows = Mapping[int, Mapping[str, float]]
"""Number of rows -> `seconds`, `memory` (bytes), `disk` (bytes)."""
TARGETS = (10**6, 10**8, 10**10)
LAWS = {"knn, exact": 2.0, "knn, approximate": 1.5}
MACHINE = 2**40
"""Bytes of memory of one large machine, 1 TiB."""
GRAPH_ROWS = 2**31 - 1
"""The graph stores row numbers in 32 bits."""
NEEDS_GRAPH = ("knn", "curate", "select")
CORE_HOUR, GPU_HOUR = 0.041, 3.00
"""Dollars: half of an m7g.large on demand, $0.0816 (us-east-1, June 2026); an H100 at a specialised provider,
$2.50 to 3.50 (May 2026). Both as quoted by others."""
TOKENS, ANSWER = 568, 50
"""Tokens of a rating, as in the published rate, and of its answer, which is assumed."""
PUBLISHED_RATINGS = 100.0
"""Ratings a second on one H100: TensorRT-LLM, FP8, 568 tokens each."""
ENCODER = 2 * 335e6 * 256
"""Operations for a text of 256 tokens in an encoder of 335 million parameters (`embedder=bge_large`)."""


@dataclass(frozen=True)
class Fit:
    """seconds(n) = a n^b of one stage."""

    a: float
    b: float
    residual: float
    """The largest factor between fit and measurement, at least 1."""
    held_out: float
    """The largest size, predicted from the smaller ones, divided by what was measured."""
    law: float
    largest: int
    seconds: float
    """Measured at the largest size."""
    memory: float
    """Peak bytes at the largest size."""
    row_memory: float
    """Bytes of memory that a further row takes, from the two largest sizes."""
    row_disk: float
    """Bytes of disk a row, at the largest size."""

    def seconds_for(self, rows: float) -> float:
        return float(self.seconds * (rows / self.largest) ** max(self.b, self.law))

    def memory_for(self, rows: float) -> float:
        return self.memory + self.row_memory * (rows - self.largest)

    def rows_within(self, memory: float) -> float:
        """Rows whose peak is that many bytes; infinite where rows were seen to take none."""
        return (
            self.largest + (memory - self.memory) / self.row_memory if self.row_memory > 0 else float("inf")
        )

    def rows_in(self, seconds: float) -> float:
        """Rows that one core does in that time."""
        return float(self.largest * (seconds / self.seconds) ** (1 / max(self.b, self.law)))


def fit(stage: str, rows: Rows) -> Fit:
    """The law of one stage, from at least three sizes."""
    sizes = sorted(rows)
    n, seconds = np.array(sizes, dtype=float), np.array([max(rows[s]["seconds"], 1e-4) for s in sizes])
    b, log_a = np.polyfit(np.log(n), np.log(seconds), 1)
    residual = np.exp(np.abs(log_a + b * np.log(n) - np.log(seconds)).max())
    near_b, near_a = np.polyfit(np.log(n[:-1]), np.log(seconds[:-1]), 1)
    held_out = np.exp(near_a + near_b * np.log(n[-1])) / seconds[-1]
    memory = [rows[s]["memory"] for s in sizes]
    slope = max(memory[-1] - memory[-2], 0.0) / (sizes[-1] - sizes[-2])
    return Fit(
        a=float(np.exp(log_a)), b=float(b), residual=float(residual), held_out=float(held_out),
        law=LAWS.get(stage, 1.0), largest=sizes[-1], seconds=float(seconds[-1]),
        memory=memory[-1], row_memory=slope, row_disk=rows[sizes[-1]]["disk"] / sizes[-1],
    )  # fmt: skip


@dataclass(frozen=True)
class Gpu:
    """A stage on one H100 or at a paid service: hours and dollars of N rows, and its constant's source."""

    stage: str
    hours: Callable[[float], float] | None
    """None: a service's own pace."""
    dollars: Callable[[float], float]
    memory: Callable[[float], float]
    """Bytes on the card that grow with the rows."""
    basis: str


def gpu_ways(results: Path) -> list[Gpu]:
    """Rating, embedding and the exact graph, from committed results and named references."""
    (card,) = sorted(results.glob("gpu-*.json"))[:1]
    parts = json.loads(card.read_text())["results"]
    graph, lora = parts["graph"], parts["lora"]
    here = parts.get("rating", {}).get(NORMALISED)  # a part that was skipped has none
    rate = float(here or PUBLISHED_RATINGS)
    said = f"measured: {card.name}" if here else "published: TensorRT-LLM, one H100, FP8, 568 tokens a rating"
    price = yaml.safe_load((results.parents[1] / "conf" / "price.yaml").read_text())["models"]["gpt-4o-mini"]
    paid = price["batch"] * (price["input"] * (TOKENS - ANSWER) + price["output"] * ANSWER) / 1e6
    width = graph["width"]

    def on_card(stage: str, seconds: Callable[[float], float], row: float, basis: str) -> Gpu:
        return Gpu(
            stage,
            lambda n: seconds(n) / 3600,
            lambda n: seconds(n) / 3600 * GPU_HOUR,
            lambda n: n * row,
            basis,
        )

    return [
        on_card("rate, vLLM, 8 B model", lambda n: n / rate, 0, said),
        on_card("rate 1 %, student predicts", lambda n: n / 100 / rate, 0, f"a hundredth of it; {said}"),
        Gpu("rate, gpt-4o-mini, Batch API", None, lambda n: n * paid, lambda n: 0, "prices: conf/price.yaml"),
        on_card(
            "embed, bge_large",
            lambda n: n * ENCODER / (lora["TFLOP/s"] * 1e12),
            0,
            f"estimated: its operations at the {lora['TFLOP/s']:.0f} TFLOP/s measured of LoRA",
        ),
        on_card(
            f"knn, exact, {width:,} numbers a row",
            lambda n: 2 * n * n * width / (graph["TFLOP/s"] * 1e12),
            4.0 * width,
            f"measured at {graph['rows']:,} rows: {graph['TFLOP/s']} TFLOP/s, {card.name}",
        ),
    ]


def account(measured: Mapping[str, Rows], results: Path) -> dict[str, Any]:
    """Fits, what each target needs, where each stage stops, and the fits beside what was once measured."""
    fits = {stage: fit(stage, rows) for stage, rows in measured.items()}
    ways = gpu_ways(results)
    table = []
    for n in TARGETS:
        for stage, f in fits.items():
            hours, memory = f.seconds_for(n) / 3600, f.memory_for(n)
            table.append(
                {"rows": n, "stage": stage, "on": "CPU, core-hours", "hours": hours,
                 "dollars": hours * CORE_HOUR, "memory": memory, "disk": f.row_disk * n,
                 "limit": _limit(stage, n, memory)}
            )  # fmt: skip
        for way in ways:
            table.append(
                {"rows": n, "stage": way.stage, "on": "H100" if way.hours else "service",
                 "hours": way.hours(n) if way.hours else None, "dollars": way.dollars(n),
                 "memory": way.memory(n), "disk": None, "limit": _card_limit(way, n)}
            )  # fmt: skip
    return {
        "fits": {stage: vars(f) | {"seconds a million": f.seconds_for(1e6)} for stage, f in fits.items()},
        "needs": table,
        "stops": [_stop(stage, f) for stage, f in fits.items()],
        "bases": {way.stage: way.basis for way in ways},
        "checks": checks(fits, results),
    }


def _limit(stage: str, rows: int, memory: float) -> str:
    if stage.startswith(NEEDS_GRAPH) and rows > GRAPH_ROWS:
        return "no: a graph's row numbers have 32 bits"
    return "" if memory <= MACHINE else "no: more memory than one machine"


def _card_limit(way: Gpu, rows: int) -> str:
    if way.stage.startswith("knn") and rows > GRAPH_ROWS:
        return "no: a graph's row numbers have 32 bits"
    return "" if way.memory(rows) <= 60 * 2**30 else "no: more than one card's memory"


def _stop(stage: str, f: Fit) -> dict[str, Any]:
    most = {
        "memory of 1 TiB": f.rows_within(MACHINE),
        "32-bit row numbers": GRAPH_ROWS if stage.startswith(NEEDS_GRAPH) else float("inf"),
        "a week of one core": f.rows_in(7 * 86400),
    }
    first = min(most, key=lambda name: most[name])
    return {"stage": stage, "stops at": most[first], "because of": first}


def checks(fits: Mapping[str, Fit], results: Path) -> list[dict[str, Any]]:
    """Seconds of 1,000,000 rows once measured (64 numbers a row, without texts) beside the extrapolations."""
    (row,) = json.loads((results / "curation-million.json").read_text())["rows"]
    once = {"knn, approximate": "graph s", "curate, rank": "rank s", "curate, posterior": "posterior s"}
    return [
        {"stage": stage, "measured": row[key], "extrapolated": fits[stage].seconds_for(row["N"])}
        for stage, key in once.items()
        if stage in fits
    ]


def page(report: Mapping[str, Any]) -> str:
    """The report in Markdown."""
    toy = "**Toy sizes: this says nothing about anything.**\n\n" if report["toy"] else ""
    sizes = sorted(int(n) for n in next(iter(report["measured"].values())))
    head = (
        f"# What large pools need\n\n{toy}`python benchmarks/scale.py`, {report['date']}, "
        f"{report['machine']}. CPU seconds at {', '.join(f'{n:,}' for n in sizes)} "
        "planted rows; everything beyond is extrapolated.\n"
    )
    fits = [
        (stage, f"{f['seconds']:.2f}", f"{f['a']:.1e}", f"{f['b']:.2f}", f"{f['law']:g}",
         f"x {f['residual']:.2f}", f"x {f['held_out']:.2f}", f"{f['row_memory']:,.0f}",
         f"{f['row_disk']:,.0f}")
        for stage, f in report["fits"].items()
    ]  # fmt: skip
    parts = [head, "## Measured\n", _table(
        ("stage", f"CPU s at {sizes[-1]:,}", "a", "b", "least b", "largest residual",
         f"{sizes[-1]:,} from the smaller two", "memory, bytes a row", "disk, bytes a row"), fits,
    )]  # fmt: skip
    for n in TARGETS:
        rows = [
            (r["stage"], r["on"], "its own pace" if r["hours"] is None else _number(r["hours"]),
             _number(r["dollars"]), _bytes(r["memory"]), _bytes(r["disk"]), r["limit"])
            for r in report["needs"] if r["rows"] == n
        ]  # fmt: skip
        columns = ("stage", "on", "hours", "dollars", "memory", "disk", "fits")
        parts += [f"## {n:,} rows, extrapolated\n", _table(columns, rows)]
    stops = [
        (s["stage"], f"{s['stops at']:.1e}", s["because of"])
        for s in sorted(report["stops"], key=lambda s: s["stops at"])
    ]
    parts += ["## Where a stage stops on one machine\n", _table(("stage", "rows", "because of"), stops)]
    held = [
        (c["stage"], f"{c['measured']:.0f}", f"{c['extrapolated']:.0f}",
         f"x {c['extrapolated'] / c['measured']:.1f}")
        for c in report["checks"]
    ]  # fmt: skip
    parts += [
        "## Beside 1,000,000 rows once measured\n\nWall seconds of benchmarks/curation.py million: 64 "
        "numbers a row, no texts, other versions.\n",
        _table(("stage", "measured", "extrapolated", "factor"), held),
        "## Where the constants are from\n",
        _table(("stage", "basis"), list(report["bases"].items())),
        f"A core-hour is ${CORE_HOUR}, a GPU-hour ${GPU_HOUR:.2f}: scale_needs.py says whose prices.\n",
    ]
    return "\n".join(parts)


def _table(columns: tuple[str, ...], rows: list[tuple[str, ...]]) -> str:
    lines = [columns, ("---",) * len(columns), *rows]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def _number(value: float) -> str:
    return f"{value:,.0f}" if value >= 10 else f"{value:.2g}"


def _bytes(value: float | None) -> str:
    if not value:
        return ""
    power = min(int(np.log10(value) // 3), 5)
    return f"{value / 1000**power:.3g} {('B', 'kB', 'MB', 'GB', 'TB', 'PB')[power]}"
