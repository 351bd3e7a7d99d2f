"""All that one evaluation needs: what `python -m eval SPEC.json` reads."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from ds2.base.dataclass_json import from_plain, to_plain
from ds2.base.json_files import read_json, write_json
from ds2.config import EvalConfig


@dataclass
class EvalSpec:
    base_model: str
    """Hub name or local directory."""
    revision: str | None
    """Commit on the hub; None for a local directory."""
    adapter: str | None
    """Directory of a PEFT adapter with its tokenizer; None: the base model itself."""
    output_dir: str
    """Takes the evaluation: see `ds2.artifacts.evaluation`."""
    seed: int
    """Seed of whatever an evaluation samples (few-shot examples, sampled answers)."""
    config: EvalConfig
    pool_seed: int = 0
    """Seed of the generated pool, whose phrasings and topics `mini_familiar` asks about."""
    progress: bool = True
    """Show progress bars."""


def read_spec(path: str | Path) -> EvalSpec:
    """The spec in a JSON file; ValueError names an unknown, missing or mistyped key."""
    return from_plain(EvalSpec, read_json(Path(path)))


def write_spec(spec: EvalSpec, path: str | Path) -> None:
    write_json(Path(path), to_plain(spec))
