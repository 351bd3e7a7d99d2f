"""Checkpoints of an interrupted run: which one to continue from, and whether they belong to this run."""

from __future__ import annotations

import hashlib
import json
import shutil
from pathlib import Path

from ds2.base.dataclass_json import from_plain, to_plain
from ds2.config import FinetuneConfig
from finetune.spec import FinetuneSpec

FOLDER = "checkpoints"
STATE = "trainer_state.json"
"""Written last by the Trainer: a checkpoint without it was cut off."""


def checkpoint_dir(spec: FinetuneSpec) -> Path:
    return Path(spec.output_dir) / FOLDER


def training_identity(spec: FinetuneSpec) -> str:
    """Hash of all that shapes the weights; devices, device batch and other runtime settings are not in it."""
    config = to_plain(from_plain(FinetuneConfig, to_plain(spec.config)))  # 5 and 5.0 epochs are the same
    for name in ("runtime", "merge", "name"):
        del config[name]
    data = hashlib.sha256(Path(spec.train_file).read_bytes()).hexdigest()
    whole = json.dumps([config, data, spec.base_model, spec.revision, spec.seed], sort_keys=True)
    return hashlib.sha256(whole.encode()).hexdigest()


def claim(spec: FinetuneSpec) -> None:
    """Make the checkpoint folder this run's own: those of a run with other settings are removed."""
    folder, identity = checkpoint_dir(spec), training_identity(spec)
    owner = folder / "identity"
    if folder.exists() and (not owner.is_file() or owner.read_text(encoding="utf-8") != identity):
        shutil.rmtree(folder)
    folder.mkdir(parents=True, exist_ok=True)
    owner.write_text(identity, encoding="utf-8")


def latest(folder: Path) -> Path | None:
    """The newest complete checkpoint; those cut off while being written are passed over."""
    complete = [path for path in folder.glob("checkpoint-*") if _is_complete(path)]
    return max(complete, key=lambda path: int(path.name.split("-")[1]), default=None)


def remove(spec: FinetuneSpec) -> None:
    shutil.rmtree(checkpoint_dir(spec), ignore_errors=True)


def _is_complete(checkpoint: Path) -> bool:
    try:
        json.loads((checkpoint / STATE).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return False
    return True
