"""By influence on a target set: LESS (Xia et al., arXiv 2402.04333).

Warm up LoRA matrices on a random share of the pool; then, at the checkpoint after each epoch i, compare
each sample's Adam direction with the mean gradient of the target set's conversations, after a random
projection (ds2/selection/lora_gradients.py):

    value_n = max over the target's groups c of
              sum over i of  eta_i cos(S G_i(z_n), S mean over z in c of g_i(z))

eta_i: the epoch's mean learning rate; a group is a source of the target file, as the subtasks of a
benchmark are. The largest first, ties by row. Projected directions stay in the artifact, a file a part, and
a part that is there and whole is not computed again.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ds2.base.drafts import replacing
from ds2.base.errors import UserError
from ds2.base.progress import Bar
from ds2.config.measured_selection import LessSelectionConfig
from ds2.models import reader
from ds2.models.compute import Meter
from ds2.models.parts import PART
from ds2.models.reader import Encoded, LanguageModel
from ds2.pool import Pool, Sample
from ds2.selection.request import Choice, Request
from ds2.selection.strategies.lora_gradients import (
    Checkpoint,
    Sketch,
    adam_direction,
    add_lora,
    gradient,
    num_trained,
    read_kept,
    restore,
    warm_up,
)
from ds2.selection.strategies.rds_plus import read_target
from ds2.selection.top import choose_top
from ds2.selection.workspace import Workspace


def measure(
    config: LessSelectionConfig,
    pool: Pool,
    *,
    model: str,
    revision: str | None,
    workspace: Workspace,
    progress: bool,
) -> NDArray[np.float64]:
    """(N,) influence on the target set; NaN where no answer token lies within `max_tokens`.

    Raises:
        UserError: a warm-up that is impossible, or a target without an answer.
    """

    _check(config)
    lm = reader.load(model, revision, config)
    target = _groups(read_target(config.target), lm, config)
    drawn = _drawn(pool, lm, config)
    _count(workspace.meter, lm, pool, drawn, target, config)
    lm = add_lora(lm, config)
    checkpoints = warm_up(lm, drawn, config, workspace.warm_up)
    sketch = Sketch(num_trained(lm), config.projection, config.warmup_seed)
    influence = np.zeros((len(pool), len(target)))
    with Bar(total=len(pool) * config.epochs, desc="influence", unit="sample", disable=not progress) as bar:
        for epoch, checkpoint in enumerate(checkpoints):
            restore(lm, checkpoint)
            wanted = np.stack([_mean_gradient(lm, group, sketch) for group in target])
            shards = workspace.directions / str(epoch)
            shards.mkdir(parents=True, exist_ok=True)
            for at in range(0, len(pool), PART):
                path = shards / f"{at:09d}.safetensors"
                rows = _directions(lm, pool.samples[at : at + PART], checkpoint, sketch, path)
                influence[at : at + PART] += checkpoint.learning_rate * (rows @ wanted.T)
                bar.update(len(rows))
    return np.asarray(influence.max(axis=1))


def choose(request: Request[LessSelectionConfig]) -> Choice:
    """The `budget` samples of largest influence."""
    known = np.isfinite(request.values)
    return choose_top(
        request,
        request.values,
        lambda v: f"influence {v:.4g}",
        allowed=known,
        that="that have an answer to measure",
    )


def _drawn(pool: Pool, lm: LanguageModel, config: LessSelectionConfig) -> list[Encoded]:
    """The warm-up's samples: the first of a seeded permutation that have an answer."""
    count = max(1, round(config.warmup_share * len(pool)))
    drawn: list[Encoded] = []
    for n in np.random.default_rng(config.warmup_seed).permutation(len(pool)).tolist():
        text = lm.conversation(pool.samples[n])
        if _has_answer(text):
            drawn.append(text)
        if len(drawn) == count:
            return drawn
    if not drawn:
        raise UserError(f"no sample has an answer within selection.max_tokens={config.max_tokens}")
    return drawn


def _count(
    meter: Meter, lm: LanguageModel, pool: Pool, drawn: Sequence[Encoded],
    target: Sequence[Sequence[Encoded]], config: LessSelectionConfig,
) -> None:  # fmt: skip
    """Each epoch trains on the drawn samples and takes a gradient of every sample and of the target's: a
    forward and a backward pass through the whole model. The sketch, two operations a trained parameter and
    sample, is left out.
    """
    texts = (lm.conversation(sample) for sample in pool.samples)
    of_pool = sum(len(text.ids) for text in texts if _has_answer(text))
    of_target = sum(reader.tokens_of(group) for group in target)
    meter.train(lm.parameters, config.epochs * (reader.tokens_of(drawn) + of_pool + of_target))


def _directions(
    lm: LanguageModel, samples: Sequence[Sample], checkpoint: Checkpoint, sketch: Sketch, path: Path
) -> NDArray[np.float64]:
    """(n, d) projected unit directions of a part, computed or read; NaN for texts without an answer."""
    from safetensors.numpy import load_file, save_file

    kept = read_kept(path, load_file)
    if kept is None:
        texts = [lm.conversation(sample) for sample in samples]
        rows = [
            sketch.unit(adam_direction(gradient(lm, text), checkpoint)) if _has_answer(text) else None
            for text in texts
        ]
        width = next((len(row) for row in rows if row is not None), 1)
        table = np.stack([np.full(width, np.nan, dtype=np.float32) if row is None else row for row in rows])
        kept = {"directions": table}
        with replacing(path, durable=True) as draft:
            save_file(kept, draft)
    return np.asarray(kept["directions"], dtype=np.float64)


def _mean_gradient(lm: LanguageModel, group: Sequence[Encoded], sketch: Sketch) -> NDArray[np.float32]:
    total = gradient(lm, group[0])
    for text in group[1:]:
        total = total + gradient(lm, text)
    return sketch.unit(total)


def _groups(samples: Sequence[Sample], lm: LanguageModel, config: LessSelectionConfig) -> list[list[Encoded]]:
    """The target's conversations by source, in order of first appearance."""
    groups: dict[str, list[Encoded]] = {}
    for sample in samples:
        text = lm.conversation(sample)
        if _has_answer(text):
            groups.setdefault(sample.source, []).append(text)
    if not groups:
        raise UserError(f"selection.target={config.target}: no conversation has an answer within max_tokens")
    return list(groups.values())


def _has_answer(text: Encoded) -> bool:
    return bool(text.answer[1:].any())


def _check(config: LessSelectionConfig) -> None:
    if not 0 < config.warmup_share <= 1:
        raise UserError(f"selection.warmup_share={config.warmup_share:g} must be a share in (0, 1]")
    for name in ("epochs", "batch", "rank", "projection"):
        if getattr(config, name) < 1:
            raise UserError(f"selection.{name}={getattr(config, name)} must be at least 1")
