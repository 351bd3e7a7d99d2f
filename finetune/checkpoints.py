"""Checkpoints of an interrupted run: which one to continue from, and whether they belong to this run."""

from __future__ import annotations

import hashlib
import json
import shutil
from pathlib import Path

from ds2.base.dataclass_json import from_plain, to_plain
from ds2.base.drafts import replacing
from ds2.base.hashes import file_sha256
from ds2.config import FinetuneConfig
from finetune.spec import FinetuneSpec

FOLDER = "checkpoints"
STATE = "trainer_state.json"
CHECKSUMS = "checksums.json"
"""SHA-256 by file name, written when all others are there: a checkpoint without it was cut off."""


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
    """The newest sound checkpoint; those cut off while being written or damaged since are passed over."""
    newest_first = sorted(folder.glob("checkpoint-*"), key=step_of, reverse=True)
    return next((path for path in newest_first if is_sound(path)), None)


def step_of(checkpoint: Path) -> int:
    """The optimiser step at which it was written."""
    return int(checkpoint.name.split("-")[1])


def seal(checkpoint: Path) -> None:
    """Declare a checkpoint complete: keep the checksums of its files beside them."""
    sums = {path.relative_to(checkpoint).as_posix(): file_sha256(path) for path in _files(checkpoint)}
    with replacing(checkpoint / CHECKSUMS) as draft:
        draft.write_text(json.dumps(sums, indent=0), encoding="utf-8")


def remove(spec: FinetuneSpec) -> None:
    shutil.rmtree(checkpoint_dir(spec), ignore_errors=True)


def is_sound(checkpoint: Path) -> bool:
    """Whether a checkpoint was sealed and no file of it has changed since."""
    try:
        sums = json.loads((checkpoint / CHECKSUMS).read_text(encoding="utf-8"))
        return bool(sums) and all(file_sha256(checkpoint / name) == digest for name, digest in sums.items())
    except (OSError, ValueError, AttributeError):
        return False


def _files(checkpoint: Path) -> list[Path]:
    return sorted(path for path in checkpoint.rglob("*") if path.is_file() and path.name != CHECKSUMS)
