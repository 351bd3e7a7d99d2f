"""Room on the disk for what the pending stages will write, at their largest: bytes a row as measured
(10,000 rows, 6 scores), and what LoRA trains from the shapes of a base model that is here.
"""

from __future__ import annotations

import json
import math
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

from ds2.base.words import size
from ds2.config import HubModelConfig, LlmRaterConfig, PackagedModelConfig, RunConfig, TfidfEmbedderConfig
from ds2.config.measured_selection import LessSelectionConfig
from ds2.config.rating import raters_of
from ds2.models import packaged
from ds2.models.lora_targets import ALL_LINEAR
from ds2.runs.preflight.finding import Finding, Run, problem, warning

_WIDTH = 1024
"""Numbers an embedding of a sentence encoder has at most, of those that conf/embedder/ names."""
_RATING, _ANSWER = 16, 1_000
"""Bytes a row of a rating, and of a language model's answer in the log."""
_CURATED = 70
"""Bytes a row of curated scores and their posterior."""
_FORM = 1.7
"""Bytes for each character of a chosen conversation, in a subset and in an export of it."""
_CONVERTED = 5.6
"""Bytes of a converted model in float32 for each byte of its package's file in four bits."""
_CHECKPOINTS = 3
"""Kept while one more is written: two, and that one."""
_PAGE = 3_200_000
"""Bytes of a report's page."""
_OTHERS = ("embed_tokens", "lm_head", "wte", "wpe", "word_embeddings", "embed_in", "embed_out")
"""Matrices of a base model that `all-linear` does not train."""


def room(run: Run) -> Iterator[Finding]:
    """The disk has room for what the pending stages will write."""
    root = Path(run.config.paths.artifacts)
    there = next(folder for folder in (root, *root.parents) if folder.exists())
    free, stages = shutil.disk_usage(there).free, bytes_wanted(run)
    wanted = sum(stages.values())
    most = ", ".join(f"{stage} {size(count)}" for stage, count in _largest(stages)[:2])
    if wanted > free:
        yield problem(
            f"paths.artifacts={root}: this run writes about {size(wanted)} ({most}), {size(free)} are free; "
            "make room, or give another folder"
        )
    elif 2 * wanted > free:
        yield warning(
            f"paths.artifacts={root}: {size(free)} are free, and this run writes about {size(wanted)} "
            f"({most})"
        )


def bytes_wanted(run: Run) -> dict[str, int]:
    """Stage -> about what it will write at its largest, checkpoints included; those that are pending."""
    return {stage: int(count(run)) for stage, count in _OF_STAGE.items() if stage in run.pending}


def _largest(stages: dict[str, int]) -> list[tuple[str, int]]:
    return sorted(stages.items(), key=lambda item: -item[1])


def _rate(run: Run) -> float:
    asked = sum(isinstance(rater, LlmRaterConfig) for rater in raters_of(run.config.rater))
    return len(run.pool) * (_RATING + asked * _ANSWER)


def _embed(run: Run) -> float:
    """Of a neural encoder twice: what it made lies beside the embeddings until they are whole."""
    embedder = run.config.embedder
    width = embedder.dimensions if isinstance(embedder, TfidfEmbedderConfig) else 2 * _WIDTH
    return 4 * len(run.pool) * width


def _measure(run: Run) -> float:
    """A value a row; LESS keeps the projected gradients of each epoch, too."""
    config = run.config.selection
    kept = config.epochs * config.projection if isinstance(config, LessSelectionConfig) else 0
    return len(run.pool) * (8 + 4 * kept)


def _select(run: Run) -> float:
    budget, texts = run.config.budget.samples, run.pool.contents()
    share = min(budget if budget < 1 else budget / max(len(texts), 1), 1.0)
    return _FORM * share * sum(len(text) for text in texts)


def _model(run: Run) -> float:
    model = run.config.model
    if not isinstance(model, PackagedModelConfig):
        return 0  # two megabytes at most
    return _CONVERTED * packaged.weights_file(model.package, model.file).stat().st_size


def _finetune(run: Run) -> float:
    """The adapter in float32; a checkpoint holds it with Adam's two moments."""
    config = run.config.finetune
    kept = config.runtime.save_every_epoch or config.runtime.save_minutes is not None
    adapter = 4 * config.rank * _sides(run.config)
    merged = _weights(run.config) if config.merge else 0
    return adapter * (1 + 3 * _CHECKPOINTS * kept) + merged


def _weights(config: RunConfig) -> int:
    """Bytes of a base model's weights that are here."""
    return sum(file.stat().st_size for file in _weight_files(config))


def _sides(config: RunConfig) -> int:
    """Rows and columns of the matrices that LoRA trains, in all, of a base model that is here."""
    wanted = config.finetune.target_modules
    total = 0
    for file in _weight_files(config):
        for name, entry in _header(file).items():
            module = name.removesuffix(".weight").rpartition(".")[2]
            chosen = module not in _OTHERS if wanted == [ALL_LINEAR] else module in wanted
            if len(entry.get("shape", ())) > 1 and chosen:
                total += sum(entry["shape"][-2:]) * math.prod(entry["shape"][:-2])
    return total


def _header(file: Path) -> dict[str, dict[str, list[int]]]:
    """Names and shapes of a safetensors file, by its head alone."""
    with file.open("rb") as handle:
        length = int.from_bytes(handle.read(8), "little")
        head: dict[str, dict[str, list[int]]] = json.loads(handle.read(length))
    return head


def _weight_files(config: RunConfig) -> list[Path]:
    model = config.model
    if not isinstance(model, HubModelConfig) or not Path(model.path).is_dir():
        return []
    return sorted(Path(model.path).glob("*.safetensors"))


_OF_STAGE: dict[str, Callable[[Run], float]] = {
    "rate": _rate,
    "embed": _embed,
    "knn": lambda run: 8 * len(run.pool) * run.config.knn.k,
    "curate": lambda run: _CURATED * len(run.pool),
    "measure": _measure,
    "select": _select,
    "export": lambda run: len(run.config.selection.export) * _select(run),
    "model": _model,
    "finetune": _finetune,
    "report": lambda run: _PAGE,
}
"""An evaluation keeps its answers, a few megabytes."""
