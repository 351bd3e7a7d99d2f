"""Trainings in processes of their own, which a signal ends."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from finetune import checkpoints
from finetune.spec import FinetuneSpec, write_spec


def end_at_checkpoint(
    spec: FinetuneSpec, step: int, number: int, program: Sequence[str], environment: Mapping[str, str]
) -> int:
    """Run a program of Python with the spec's file, and send it a signal when the checkpoint of a step is
    complete; its exit code.
    """
    spec_file = Path(spec.output_dir).with_suffix(".json")
    write_spec(spec, spec_file)
    complete = checkpoints.checkpoint_dir(spec) / f"checkpoint-{step}" / checkpoints.CHECKSUMS
    process = subprocess.Popen([sys.executable, *program, str(spec_file)], env=dict(environment))
    try:
        deadline = time.monotonic() + 200
        while not complete.exists():
            assert process.poll() is None, "the training ended before it could be ended"
            assert time.monotonic() < deadline
            time.sleep(0.005)
    finally:
        process.send_signal(number)
        code = process.wait(60)
    return code
