"""All that one fine-tuning needs: what `python -m finetune SPEC.json` reads."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from ds2.base.dataclass_json import from_plain, to_plain
from ds2.base.json_files import read_json, write_json
from ds2.config import FinetuneConfig


@dataclass
class FinetuneSpec:
    base_model: str
    """Hub name or local directory."""
    revision: str | None
    """Commit on the hub; None for a local directory."""
    train_file: str
    """JSONL of rows that hold `id` and `messages`."""
    output_dir: str
    """Takes the adapter with its curve and metrics; checkpoints of an interrupted run in it are continued."""
    seed: int
    """LoRA initialisation, dropout and sample order."""
    config: FinetuneConfig
    base_name: str | None = None
    """What the base model is called in the adapter's mark; None: as `base_model` says. A model that a run
    makes lies in its store: its short name is the same in every store.
    """
    base_fingerprint: str | None = None
    """What tells the base model from others, wherever it lies; None: a local directory's content does, or the
    name on the hub.
    """
    progress: bool = True
    """Show progress bars."""
    token_scores: str | None = None
    """Folder of a `tokens` artifact of these rows: `config.token_share` of their tokens is trained."""


def read_spec(path: str | Path) -> FinetuneSpec:
    """The spec in a JSON file; ValueError names an unknown, missing or mistyped key."""
    return from_plain(FinetuneSpec, read_json(Path(path)))


def write_spec(spec: FinetuneSpec, path: str | Path) -> None:
    write_json(Path(path), to_plain(spec))
