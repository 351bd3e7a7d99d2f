"""DS2 beside what else one could use, on the same rows: seconds, scores that are right, value of what is
chosen.

    pip install cleanlab py-data-juicer              optional: what is absent is left out, aloud
    python benchmarks/compare.py                     writes benchmarks/results/compare.md and .json

Planted: two pools of 3,000 rows whose true scores are known (`ds2.plant_pool`), neighbours pure or not.
Human: sets of DS2_DATA/truth (default ../shared/truth) that a real language model and people rated, at
most 3,000 rows each. Every method gets the same scores, embeddings and graph; its seconds are what it does
with them. "Right": share of its scores that are the true ones (people's mean, rounded). "Top 10 %": mean true
score of what it puts first, in standard deviations; equals at the cut count by their expectation.
"""

from __future__ import annotations

import gzip
import json
import os
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import numpy as np

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "benchmarks")]
from truth_orders import among_equals  # noqa: E402

import ds2  # noqa: E402
from ds2.method.curation.planted import ordinal_transition  # noqa: E402
from ds2.method.diversity import long_tail_scores  # noqa: E402
from ds2.method.embedding import tfidf_svd  # noqa: E402
from ds2.method.spread import keep_apart  # noqa: E402

DATA = Path(os.environ.get("DS2_DATA", ROOT.parent / "shared"))
RESULTS = ROOT / "benchmarks" / "results"
ROWS, SHARE = 3000, 0.1
HUMAN = {
    "trec_dl19_relevance": ("llama3-8b_4prompts", 0, 3),
    "conala_code_usefulness": (None, 0, 4),
    "summeval_relevance": ("alttest:gpt-4o-mini", 1, 5),
    "asap_essays_set4": (None, 0, 3),
}
"""Set -> the rater (None: the first that rated most rows), lowest and highest rating of both."""
FILTERS = (
    "alphanumeric_filter.AlphanumericFilter", "special_characters_filter.SpecialCharactersFilter",
    "character_repetition_filter.CharacterRepetitionFilter", "word_repetition_filter.WordRepetitionFilter",
    "text_length_filter.TextLengthFilter",
)  # fmt: skip
"""data-juicer's, each with the thresholds that it comes with."""


@dataclass(frozen=True)
class Case:
    name: str
    scores: np.ndarray
    """(n,) 0..K-1, as given."""
    true: np.ndarray
    """(n,) 0..K-1."""
    value: np.ndarray
    """(n,) standardised: what a choice is judged by."""
    embeddings: np.ndarray
    graph: ds2.KnnGraph
    texts: list[str] | None
    num_scores: int


@dataclass(frozen=True)
class Answer:
    """What a method says: an order, and scores where it corrects them."""

    order: np.ndarray
    scores: np.ndarray | None = None


def planted() -> Iterator[Case]:
    for purity in (1.0, 0.6):
        pool = ds2.plant_pool(ROWS, transitions=ordinal_transition(6, accuracy=0.6), purity=purity, seed=0)
        yield case(f"planted, purity {purity:g}", pool.scores, pool.true_scores, pool.embeddings, None, 6)


def human() -> Iterator[Case]:
    for name, (rater, low, high) in HUMAN.items():
        path = DATA / "truth" / f"{name}.jsonl.gz"
        if not path.is_file():
            print(f"left out: {name}, for {path} is not there", file=sys.stderr)
            continue
        with gzip.open(path, "rt", encoding="utf-8") as lines:
            rows = [json.loads(line) for line in lines]
        rows = [row for row in rows if row["human"] is not None]
        if rater is None:
            names = dict.fromkeys(r for row in rows for r in row["llm"])
            rater = max(names, key=lambda r: sum(first(row["llm"].get(r)) is not None for row in rows))
        rows = [row for row in rows if first(row["llm"].get(rater)) is not None]
        chosen = np.random.default_rng(0).permutation(len(rows))[:ROWS]
        rows = [rows[i] for i in sorted(chosen)]
        given = np.clip(np.rint([first(row["llm"][rater]) for row in rows]), low, high).astype(int) - low
        people = np.array([row["human"] for row in rows], dtype=float)
        x = tfidf_svd([row["text"] for row in rows])
        rated = [row.get("rated") or row["text"] for row in rows]
        true = np.clip(np.rint(people), low, high).astype(int) - low
        yield case(f"{name} ({rater})", given, true, x, rated, high - low + 1, people)


def first(rating: Any) -> float | None:
    """Of repeated ratings the first."""
    return rating[0] if isinstance(rating, list) and rating else None if isinstance(rating, list) else rating


def case(name: str, scores: Any, true: Any, x: Any, texts: Any, K: int, people: Any = None) -> Case:
    value = np.asarray(true if people is None else people, dtype=float)
    value = (value - value.mean()) / value.std()
    return Case(name, np.asarray(scores), np.asarray(true), value, x, ds2.knn_graph(x, 64), texts, K)


def given(c: Case) -> Answer:
    return Answer(c.scores.astype(float), c.scores)


def cleanlab_issues(c: Case) -> Answer:
    """cleanlab's label-issue filter on neighbours' votes; issues take the vote, and its label quality orders
    equals.
    """
    from cleanlab.filter import find_label_issues
    from cleanlab.rank import get_label_quality_scores

    votes = np.full((len(c.scores), c.num_scores), 0.1)
    np.add.at(votes, (np.arange(len(c.scores))[:, None], c.scores[c.graph.neighbors[:, :10]]), 1.0)
    votes /= votes.sum(axis=1, keepdims=True)
    issues = find_label_issues(c.scores, votes, n_jobs=1)
    scores = np.where(issues, votes.argmax(axis=1), c.scores)
    return Answer(among_equals(scores, get_label_quality_scores(scores, votes)), scores)


def docta(c: Case) -> Answer:
    """HOC and SimiFeat-rank as released, the pool doubled (Docta's way, and that of the paper's code)."""
    found = ds2.curate(
        c.embeddings, c.scores, num_scores=c.num_scores, graph=c.graph, method="rank", duplicate_pool=True
    )
    return Answer(found.curated.astype(float), found.curated)


def paper(c: Case) -> Answer:
    found = ds2.curate(c.embeddings, c.scores, num_scores=c.num_scores, graph=c.graph, method="rank")
    return Answer(among_equals(found.curated, long_tail_scores(c.graph, 10)), found.curated)


def deita(c: Case) -> Answer:
    """`selection=deita`: by score, what is not near to anything taken, until the share is full."""
    count = round(SHARE * len(c.scores))
    taken = keep_apart(
        np.argsort(-c.scores, kind="stable"), c.graph, 0.1, limit=count, embeddings=c.embeddings
    )
    order = np.zeros(len(c.scores))
    order[taken] = 1.0
    return Answer(order)


def data_juicer(c: Case) -> Answer | None:
    """Its text filters, each as it comes: what passes all of them comes first, and is not ordered further."""
    from importlib import import_module

    from data_juicer.utils.constant import Fields

    if c.texts is None:
        return None
    passes = np.ones(len(c.texts), dtype=bool)
    for name in FILTERS:
        module, _, kind = name.partition(".")
        operator = getattr(import_module(f"data_juicer.ops.filter.{module}"), kind)()
        rows = operator.compute_stats_batched({"text": c.texts, Fields.stats: [{} for _ in c.texts]})
        passes &= np.array(list(operator.process_batched(rows)))
    return Answer(passes.astype(float))


def refine(c: Case) -> Answer:
    found = ds2.curate(
        c.embeddings, c.scores, num_scores=c.num_scores, graph=c.graph, method="refine", texts=c.texts
    )
    assert found.refined is not None
    return Answer(found.refined, c.scores)


def posterior(c: Case) -> Answer:
    found = ds2.curate(c.embeddings, c.scores, num_scores=c.num_scores, graph=c.graph, method="posterior")
    assert found.posterior_mean is not None
    return Answer(found.posterior_mean, found.curated)


METHODS: dict[str, Callable[[Case], Answer | None]] = {
    "the scores as given": given,
    "cleanlab, on neighbours' votes": cleanlab_issues,
    "Docta's method (parity mode)": docta,
    "DEITA's selection": deita,
    "data-juicer's text filters": data_juicer,
    "DS2: the paper (`rank`, long tail)": paper,
    "DS2: `posterior`": posterior,
    "DS2: `refine` (the default)": refine,
}


def top(order: np.ndarray, value: np.ndarray) -> float:
    """Mean value of the first tenth; equals at the cut count by their expectation."""
    count, total, taken = round(SHARE * len(order)), 0.0, 0
    for level in -np.unique(-order):
        of = value[order == level]
        take = min(count - taken, len(of))
        total, taken = total + take * float(of.mean()), taken + take
        if taken == count:
            break
    return total / count


def rows() -> Iterator[dict[str, Any]]:
    for c in [*planted(), *human()]:
        for name, method in METHODS.items():
            start = time.perf_counter()
            try:
                answer = method(c)
            except ImportError as error:
                print(f"left out: {name}: {error}", file=sys.stderr)
                continue
            if answer is None:
                continue
            right = None if answer.scores is None else float((answer.scores == c.true).mean())
            seconds = time.perf_counter() - start
            yield {
                "rows": c.name, "n": len(c.scores), "method": name, "seconds": seconds, "right": right,
                "top": top(answer.order, c.value),
            }  # fmt: skip
            print(f"{c.name}: {name}, {seconds:.1f} s", file=sys.stderr, flush=True)


def table(found: list[dict[str, Any]]) -> str:
    cases = list(dict.fromkeys(row["rows"] for row in found))
    lines = []
    for name in cases:
        of = [row for row in found if row["rows"] == name]
        lines += [
            f"\n**{name}**, {of[0]['n']:,} rows\n",
            "| | right | top 10 %, sd | seconds |",
            "|---|---:|---:|---:|",
        ]
        for row in of:
            right = "" if row["right"] is None else f"{row['right']:.3f}"
            lines.append(f"| {row['method']} | {right} | {row['top']:.2f} | {row['seconds']:.1f} |")
    return "\n".join(lines) + "\n"


def in_short(found: list[dict[str, Any]]) -> str:
    """A row a method: planted pools, and the mean over the sets that people rated."""
    pools = [name for name in dict.fromkeys(row["rows"] for row in found) if name.startswith("planted")]
    lines = [f"| | {' | '.join(pools)} | people's ratings |", "|---|" + "---:|" * (len(pools) + 1)]
    for method in METHODS:
        of = {row["rows"]: row["top"] for row in found if row["method"] == method}
        people = [top for name, top in of.items() if name not in pools]
        cells = [f"{of[name]:.2f}" if name in of else "" for name in pools]
        lines.append(f"| {method} | {' | '.join(cells)} | {np.mean(people):.2f} |" if people else "")
    return "\n".join(lines) + "\n"


def versions() -> str:
    def known(package: str) -> str:
        try:
            return f"{package} {version(package)}"
        except PackageNotFoundError:
            return f"no {package}"

    return ", ".join(map(known, ("cleanlab", "py-data-juicer", "numpy", "scikit-learn")))


def main() -> None:
    found = list(rows())
    about = f"`python benchmarks/compare.py`: {versions()}; two CPU cores that had other work."
    text = f"{about} Mean true score of the first tenth, sd:\n\n{in_short(found)}{table(found)}"
    (RESULTS / "compare.md").write_text(text, encoding="utf-8")
    (RESULTS / "compare.json").write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
    print(text)


if __name__ == "__main__":
    main()
