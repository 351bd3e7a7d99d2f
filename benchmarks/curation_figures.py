"""The pictures of docs/curation.md.

    python benchmarks/curation_figures.py            writes docs/figures/curation_*.svg
    python benchmarks/curation_figures.py --png DIR  and a PNG of each in DIR, to look at

Planted pools (`ds2.plant_pool`) for everything that needs the truth. The real ones need the scored pool
(folder in DS2_DATA, by default ../shared beside the repository) and are skipped aloud without it.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "benchmarks")]
from curation_pools import DATA, PRIOR, PUBLISHED, alpaca, embed  # noqa: E402

import ds2  # noqa: E402
from ds2.method.curation.planted import PlantedPool, ordinal_transition  # noqa: E402
from ds2.method.panel import fit_panel  # noqa: E402
from ds2.report import figures as plots  # noqa: E402

parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
parser.add_argument("--png", type=Path, help="folder for PNGs")
args = parser.parse_args()


def draw(name: str, figure: object) -> None:
    path = ROOT / "docs" / "figures" / f"curation_{name}"
    (svg,) = plots.save(figure, path, formats=("svg",))
    print(f"{svg.relative_to(ROOT)}  {svg.stat().st_size / 1024:.0f} KB")
    if args.png:
        args.png.mkdir(parents=True, exist_ok=True)
        plots.save(figure, args.png / name, formats=("png",))


def plant(seed: int, purity: float, matrix: object = PUBLISHED["GPT-4o-mini"]) -> PlantedPool:
    return ds2.plant_pool(3000, transitions=matrix, prior=PRIOR, purity=purity, cluster_size=12, seed=seed)


# One planted pool: GPT-4o-mini's published matrix as the rater.
pool = plant(0, 0.92)
graph = ds2.knn_graph(pool.embeddings, 64)
results = {
    method: ds2.curate(pool.embeddings, pool.scores, graph=graph, method=method, seed=0, bootstrap=20)
    for method in ("posterior", "rank")
}
ours = results["posterior"]
about = "planted pool, N = 3,000, rater = GPT-4o-mini's published T"
drawn = np.array([
    np.bincount(pool.scores[pool.true_scores == i], minlength=6) / (pool.true_scores == i).sum()
    for i in range(6)
])  # fmt: skip
error = np.abs(ours.transition - drawn).sum(axis=1).mean()
draw("transition", plots.transition_heatmap(
    ours.transition, ours.prior, title="Estimated T",
    note=f"{about}; row error {error:.3f}",
))  # fmt: skip
draw("flow", plots.score_flow(
    pool.scores, ours.curated, 6, title="Score flow",
    note=f"{about}; right: {(pool.scores == pool.true_scores).mean():.1%} given,"
    f" {(ours.curated == pool.true_scores).mean():.1%} curated",
))  # fmt: skip
draw("confidence", plots.confidence_histogram(
    ours.confidence, ours.curated != pool.scores, title="Confidence of the curated scores", note=about
))  # fmt: skip
draw("long_tail", plots.long_tail_by_score(
    ours.long_tail, ours.curated, 6, title="Long-tail score by curated score", note=about
))  # fmt: skip
draw("stability", plots.stability_curve(
    ours.uncertainty.stability_budgets, {m: r.uncertainty.stability for m, r in results.items()}, 3000,
    title="Would another sample of the pool choose the same?",
    note=f"{about}; 20 resamples of neighbourhoods",
))  # fmt: skip

# Reliability: eight draws of each pool, so that sparse bins have samples too.
panels = {}
for name, purity in (("purity 0.92", 0.92), ("purity 0.6", 0.6)):
    sure, right = [], []
    for seed in range(8):
        pool = plant(seed, purity, ordinal_transition(6, accuracy=0.6))
        result = ds2.curate(pool.embeddings, pool.scores, method="posterior", seed=0)
        sure.append(result.confidence)
        right.append(result.curated == pool.true_scores)
    panels[name] = np.concatenate(sure), np.concatenate(right)
draw(
    "reliability",
    plots.reliability(panels, title="Confidence against the truth, 8 planted pools of 3,000 each"),
)

# Real scores: GPT-4o-mini on the Alpaca rows.
if (DATA / "pools" / "ds2_67k.jsonl.gz").exists():
    texts, scores = alpaca()
    given = scores[:, 0]
    x = embed(texts)
    real = ds2.curate(x, given, graph=ds2.knn_graph(x, 64), method="posterior", seed=0)
    about = f"GPT-4o-mini, {len(given):,} Alpaca samples, tfidf_svd 128"
    draw(
        "transition_real",
        plots.transition_heatmap(real.transition, real.prior, title="Estimated T", note=about),
    )
    draw("flow_real", plots.score_flow(given, real.curated, 6, title="Score flow", note=about))
    panel = fit_panel(scores, names=["GPT-4o-mini", "Llama-3.1-8B", "Mistral-7B"])
    draw("panel", plots.panel_worth(panel.account, title=f"Three raters, {len(given):,} Alpaca samples"))
    draw("long_tail_real", plots.long_tail_by_score(
        real.long_tail, real.curated, 6, title="Long-tail score by curated score", note=about
    ))  # fmt: skip
else:
    print(f"real scores: skipped, needs {DATA / 'pools' / 'ds2_67k.jsonl.gz'}")
