"""Checkpoints of an interrupted run: which one to continue from, whether they belong to this run; and that it
has ended.
"""

from __future__ import annotations

import hashlib
import json
import shutil
import sys
from collections.abc import Iterable
from pathlib import Path

from tqdm import tqdm

from ds2.artifacts import adapter
from ds2.base.dataclass_json import from_plain, to_plain, typed
from ds2.base.drafts import replacing
from ds2.base.hashes import content_fingerprint, file_sha256
from ds2.base.json_files import read_json
from ds2.config import FinetuneConfig
from finetune.spec import FinetuneSpec

STATE = "trainer_state.json"
CHECKSUMS = "checksums.json"
"""SHA-256 by file name, written when all others are there: a checkpoint without it was cut off."""
FINISHED = "finished.json"
"""The same of the whole output, written when the run has ended."""


def checkpoint_dir(spec: FinetuneSpec) -> Path:
    return Path(spec.output_dir) / adapter.CHECKPOINTS


def training_identity(spec: FinetuneSpec) -> str:
    """Hash of all that shapes the weights; devices, device batch and other runtime settings are not in it."""
    config = to_plain(from_plain(FinetuneConfig, to_plain(spec.config)))  # 5 and 5.0 epochs are the same
    for name in ("runtime", "merge", "name"):
        del config[name]
    data = hashlib.sha256(Path(spec.train_file).read_bytes()).hexdigest()
    whole = json.dumps([config, data, _base_identity(spec), spec.revision, spec.seed], sort_keys=True)
    return hashlib.sha256(whole.encode()).hexdigest()


def _base_identity(spec: FinetuneSpec) -> str:
    if spec.base_fingerprint is not None:
        return spec.base_fingerprint
    local = Path(spec.base_model)
    return content_fingerprint(local) if local.exists() else spec.base_model


def claim(spec: FinetuneSpec) -> None:
    """Make the checkpoint folder this run's own: those of a run with other settings are removed, and that is
    said.
    """
    folder, identity = checkpoint_dir(spec), training_identity(spec)
    owner = folder / "identity"
    if folder.exists() and (not owner.is_file() or owner.read_text(encoding="utf-8") != identity):
        steps = sorted(map(step_of, folder.glob("checkpoint-*")))
        if steps:
            tqdm.write(
                f"finetune: checkpoints of step {', '.join(map(str, steps))} in {folder} are discarded: "
                "they are of another training (other samples, settings, seed or base model)",
                file=sys.stderr,
            )
        shutil.rmtree(folder)
    folder.mkdir(parents=True, exist_ok=True)
    if not owner.is_file():
        with replacing(owner, durable=True) as draft:
            draft.write_text(identity, encoding="utf-8")


def latest(folder: Path) -> Path | None:
    """The newest sound checkpoint; those cut off while being written or damaged since are passed over."""
    newest_first = sorted(folder.glob("checkpoint-*"), key=step_of, reverse=True)
    return next((path for path in newest_first if is_sound(path)), None)


def say_passed_over(folder: Path, resume: Path | None) -> None:
    """Name newer checkpoints than the one to go on from, or than the beginning."""
    since = 0 if resume is None else step_of(resume)
    passed = sorted(step for path in folder.glob("checkpoint-*") if (step := step_of(path)) > since)
    if passed:
        steps = ", ".join(map(str, passed))
        begins = "the beginning" if resume is None else f"step {since}"
        tqdm.write(
            f"finetune: the checkpoint of step {steps} was cut off or is damaged: going on from {begins}",
            file=sys.stderr,
        )


def step_of(checkpoint: Path) -> int:
    """The optimiser step at which it was written."""
    return int(checkpoint.name.split("-")[1])


def seal(checkpoint: Path) -> None:
    """Declare a checkpoint complete: keep the checksums of its files beside them."""
    files = sorted(path for path in checkpoint.rglob("*") if path.is_file() and path.name != CHECKSUMS)
    _write_sums(checkpoint / CHECKSUMS, files, checkpoint)


def is_sound(checkpoint: Path) -> bool:
    """Whether a checkpoint was sealed and no file of it has changed since."""
    return _unchanged(checkpoint / CHECKSUMS, checkpoint)


def finish(spec: FinetuneSpec) -> None:
    """Declare the run ended, with all that it wrote; its checkpoints go. The same run need not begin again,
    should the process die before its output is published.
    """
    folder, output = checkpoint_dir(spec), Path(spec.output_dir)
    wrote = (path for path in output.rglob("*") if not path.is_relative_to(folder))
    _write_sums(folder / FINISHED, (path for path in wrote if path.is_file() and path.name[0] != "."), output)
    for checkpoint in folder.glob("checkpoint-*"):
        shutil.rmtree(checkpoint, ignore_errors=True)


def is_finished(spec: FinetuneSpec) -> bool:
    """Whether the run has ended and no file that it wrote has changed since."""
    output = Path(spec.output_dir)
    merged = adapter.merged(output).is_dir() or not spec.config.merge
    return merged and _unchanged(checkpoint_dir(spec) / FINISHED, output)


def _write_sums(file: Path, paths: Iterable[Path], folder: Path) -> None:
    sums = {path.relative_to(folder).as_posix(): file_sha256(path) for path in paths}
    with replacing(file) as draft:
        draft.write_text(json.dumps(sums, indent=0), encoding="utf-8")


def _unchanged(file: Path, folder: Path) -> bool:
    try:
        sums = typed(dict[str, str], read_json(file), file.name)
        return bool(sums) and all(file_sha256(folder / name) == digest for name, digest in sums.items())
    except (OSError, ValueError):
        return False
