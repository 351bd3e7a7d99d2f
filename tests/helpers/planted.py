"""Rows whose topic decides their true score."""

from __future__ import annotations

import numpy as np

TOPICS = [f"{stem}{i}" for i in range(12) for stem in ("alba", "bero", "cile", "dora")]


def planted_rows(count: int, levels: int, seed: int = 0) -> list[dict]:
    """Rows whose topic decides their true score, so that neighbours share it."""
    rng = np.random.default_rng(seed)
    rows = []
    for i in range(count):
        topic = int(rng.integers(12))
        words = [TOPICS[4 * topic + j] for j in rng.integers(0, 4, 6)]
        turns = [
            {"role": "user", "content": " ".join(words)},
            {"role": "assistant", "content": f"answer {words[0]} {i}"},
        ]
        rows.append(
            {"id": f"p{i}", "source": f"s{topic % 3}", "messages": turns, "true_score": topic % levels}
        )
    return rows
