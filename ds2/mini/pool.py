"""The miniature pool, and questions about the same world.

A pool has 12 **sources**, one a topic. A source writes with its own style and asks for each of the 8 task
families in its own phrasing: source x family is a **cluster** (96 of them). Sources differ in quality; a
cluster's level lies near its source's; most samples of a cluster have its level. So neighbours tend to share
the true score, by design; in the impure world (`ds2.mini.impure`) no more than they do in real sets.

The true score y in 0..K-1 governs how good an answer is: it is right with probability `right_probability(y,
K)`, and wrong in the cluster's own way otherwise.
"""

from __future__ import annotations

from dataclasses import dataclass
from random import Random
from typing import Any, Final

from ds2.base.errors import UserError
from ds2.config.pool import World
from ds2.mini import impure
from ds2.mini.language import (
    ERRORS,
    FAMILIES,
    PHRASINGS,
    STYLES,
    TOPICS,
    Problem,
    is_held_out,
    make_problem,
    write_prompt,
    wrong_answer,
)

DEFAULT_SAMPLES: Final = 4000
RIGHT: Final = (0.0, 0.1, 0.3, 0.6, 0.85, 1.0)
"""P(answer right) at six levels; other numbers of levels interpolate."""
PURITY: Final = 0.9
"""Share of a cluster's samples that have its level; the others lie one level beside it."""
CLUSTER_SHIFTS: Final = (-0.28, -0.14, 0.0, 0.14, 0.28)
"""How far a cluster's quality lies from its source's, in shares of the scale, and ..."""
CLUSTER_SHIFT_WEIGHTS: Final = (1, 4, 6, 4, 1)
"""... how often."""
LOWEST_SOURCE, HIGHEST_SOURCE = 0.06, 1.0
"""Quality of the worst and the best source; the others lie evenly between."""
PATIENCE: Final = 200
"""Draws of words not yet used before used ones are accepted (sums of two numbers run out)."""


@dataclass(frozen=True)
class Cluster:
    name: str
    source: str
    family: str
    style: str
    phrasing: str
    quality: float
    """0..1 on the scale of true scores, whatever the number of levels."""
    error: str
    """Its kind of wrong answer."""


def right_probability(true_score: int, num_scores: int) -> float:
    """P(answer right | true score y), `RIGHT` interpolated at y / (K - 1)."""
    place = true_score / (num_scores - 1) * (len(RIGHT) - 1)
    below = min(int(place), len(RIGHT) - 2)
    return RIGHT[below] + (place - below) * (RIGHT[below + 1] - RIGHT[below])


def make_clusters(seed: int) -> list[Cluster]:
    """The 96 clusters of the pool of this seed."""
    rng = Random(f"ds2 mini clusters {seed}")
    sources, styles = list(TOPICS), list(STYLES)
    rng.shuffle(sources)
    rng.shuffle(styles)
    step = (HIGHEST_SOURCE - LOWEST_SOURCE) / (len(sources) - 1)
    clusters = []
    for rank, source in enumerate(sources):
        for family in FAMILIES:
            shift = rng.choices(CLUSTER_SHIFTS, CLUSTER_SHIFT_WEIGHTS)[0]
            quality = min(max(LOWEST_SOURCE + rank * step + shift, 0.0), 1.0)
            phrasing, error = rng.choice(PHRASINGS[family]), rng.choice(ERRORS)
            name = f"{source}/{family}"
            clusters.append(Cluster(name, source, family, styles[rank], phrasing, quality, error))
    return clusters


def generate_pool(
    *, samples: int, seed: int, num_scores: int, world: World = World.pure
) -> list[dict[str, Any]]:
    """A pool of `samples` conversations with planted true scores, the same on every machine.

    Rows hold id, source, messages, true_score (0..num_scores-1), family, cluster, answer_right; in the impure
    world also scores (rater -> score).
    """
    if samples < 1:
        raise UserError(f"pool.samples={samples}: at least one sample is needed")
    if not 2 <= num_scores <= 11:
        raise UserError(f"the miniature pool has 2 to 11 score levels, not {num_scores}")
    rng = Random(f"ds2 mini pool {seed} {num_scores}")
    clusters = make_clusters(seed)
    order = [clusters[i % len(clusters)] for i in range(samples)]
    rng.shuffle(order)
    used: set[str] = set()
    if world is World.pure:
        return [
            _make_row(i, cluster, _draw_score(cluster.quality, num_scores, rng), num_scores, used, rng)
            for i, cluster in enumerate(order)
        ]
    rows = []
    for i, cluster in enumerate(order):
        alike = rng.random() < impure.PURITY
        quality = (cluster if alike else rng.choice(clusters)).quality
        rows.append(_make_row(i, cluster, _level(quality, num_scores), num_scores, used, rng))
    scores = impure.rate_together(
        [row["true_score"] for row in rows],
        [row["cluster"] for row in rows],
        [len(row["messages"][1]["content"]) for row in rows],
        num_scores,
        Random(f"ds2 mini raters {seed} {num_scores}"),
    )
    return [{**row, "scores": said} for row, said in zip(rows, scores, strict=True)]


def generate_questions(kind: str, *, samples: int, seed: int, pool_seed: int) -> list[dict[str, str]]:
    """Questions with one right answer: {"prompt", "answer", "family"}, families in turn, no prompt twice.

    `familiar`: held-out prompts in the styles, phrasings and topics of the pool of `pool_seed`.
    `new`: held-out prompts of any style, phrasing and topic.
    No pool, of any seed, holds one of these prompts.
    """
    if kind not in ("familiar", "new"):
        raise UserError(f"questions are 'familiar' or 'new', not {kind!r}")
    rng = Random(f"ds2 mini questions {kind} {seed} {pool_seed}")
    clusters: dict[str, list[Cluster]] = {family: [] for family in FAMILIES}
    for cluster in make_clusters(pool_seed):
        clusters[cluster.family].append(cluster)
    used: set[str] = set()
    questions = []
    for i in range(samples):
        family = FAMILIES[i % len(FAMILIES)]
        manner = rng.choice(clusters[family]) if kind == "familiar" else None
        problem, prompt = _draw(family, manner, used, rng, held_out=True)
        questions.append({"prompt": prompt, "answer": problem.answer, "family": family})
    return questions


def _make_row(
    i: int, cluster: Cluster, true_score: int, num_scores: int, used: set[str], rng: Random
) -> dict[str, Any]:
    problem, prompt = _draw(cluster.family, cluster, used, rng, held_out=False)
    right = rng.random() < right_probability(true_score, num_scores)
    answer = problem.answer if right else wrong_answer(problem, cluster.error, rng)
    return {
        "id": f"mini-{i:06d}",
        "source": cluster.source,
        "messages": [{"role": "user", "content": prompt}, {"role": "assistant", "content": answer}],
        "true_score": true_score,
        "family": cluster.family,
        "cluster": cluster.name,
        "answer_right": right,
    }


def _level(quality: float, num_scores: int) -> int:
    return int(quality * (num_scores - 1) + 0.5)


def _draw_score(quality: float, num_scores: int, rng: Random) -> int:
    top = num_scores - 1
    level = _level(quality, num_scores)
    if rng.random() < PURITY:
        return level
    neighbours = [score for score in (level - 1, level + 1) if 0 <= score <= top]
    return rng.choice(neighbours)


def _draw(
    family: str, cluster: Cluster | None, used: set[str], rng: Random, *, held_out: bool
) -> tuple[Problem, str]:
    """A problem and its prompt, of a cluster or of any style, phrasing and topic; its words are new to
    `used`.

    Prompts of the same words in another order count as used: bags of words, which the embedder reads, would
    be equal.
    """
    attempts = 0
    while True:
        attempts += 1
        if cluster is None:
            topic, style = rng.choice(list(TOPICS)), rng.choice(STYLES)
            phrasing = rng.choice(PHRASINGS[family])
        else:
            topic, style, phrasing = cluster.source, cluster.style, cluster.phrasing
        problem = make_problem(family, topic, rng)
        prompt = write_prompt(problem, style=style, phrasing=phrasing)
        bag = " ".join(sorted(prompt.split()))
        if is_held_out(prompt) == held_out and (bag not in used or attempts > PATIENCE):
            used.add(bag)
            return problem, prompt
