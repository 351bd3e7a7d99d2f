"""What watches a training: the progress bar, the speed of each step, the stop at a loss that is no number,
the checkpoints.
"""

from __future__ import annotations

import math
import resource
import sys
import time
from pathlib import Path
from typing import Any

from numpy.typing import NDArray
from transformers import TrainerCallback

from ds2.base.errors import UserError
from ds2.base.processes import StopRequest
from ds2.base.progress import Bar
from finetune import checkpoints


class StepRecorder(TrainerCallback):  # type: ignore[misc]
    """Adds `tokens_per_second` to each step's log entry, which checkpoints keep."""

    def __init__(self, tokens_of_step: NDArray[Any]) -> None:
        self._tokens = tokens_of_step
        self._began = time.perf_counter()

    def on_step_begin(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        self._began = time.perf_counter()

    def on_log(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        entry = state.log_history[-1]
        if "loss" not in entry:
            return
        if not math.isfinite(entry["loss"]):
            raise UserError(
                f"the loss of step {entry['step']} is {entry['loss']}: lower finetune.learning_rate, or set"
                " finetune.dtype=float32"
            )
        elapsed = max(time.perf_counter() - self._began, 1e-9)
        entry["tokens_per_second"] = float(self._tokens[entry["step"] - 1]) / elapsed


class ProgressBar(TrainerCallback):  # type: ignore[misc]
    """One bar over samples, moved by each device batch, with the loss of each optimiser step."""

    def __init__(self, total_batch: int) -> None:
        self._size = total_batch

    def on_train_begin(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        self._bar = Bar(
            total=state.max_steps * self._size, initial=state.global_step * self._size, desc="fine-tune",
            unit="sample",
        )  # fmt: skip

    def on_log(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        if "loss" in state.log_history[-1]:
            self._bar.set_postfix(loss=f"{state.log_history[-1]['loss']:.3f}", refresh=False)

    def on_substep_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        self._bar.update(self._size // args.gradient_accumulation_steps)

    def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        self._bar.update(state.global_step * self._size - self._bar.n)

    def on_train_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        self._bar.close()


class CheckpointKeeper(TrainerCallback):  # type: ignore[misc]
    """Saves by the clock and when the process is asked to end, and seals what was saved."""

    def __init__(self, stop: StopRequest, minutes: float | None) -> None:
        self._stop = stop
        self._seconds = math.inf if minutes is None else 60 * minutes
        self._saved = time.monotonic()

    def on_train_begin(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        self._saved = time.monotonic()

    def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        due = time.monotonic() - self._saved >= self._seconds
        wish = _agreed(2 * (self._stop.number is not None) + due, args.device)
        control.should_save |= wish > 0
        control.should_training_stop |= wish >= 2

    def on_save(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        args.distributed_state.wait_for_everyone()  # each process writes its own random state
        if state.is_world_process_zero:
            checkpoints.seal(Path(args.output_dir) / f"checkpoint-{state.global_step}")
        self._saved = time.monotonic()


def _agreed(wish: int, device: Any) -> int:
    """The strongest wish of all processes: saving is work of all together."""
    from torch import distributed, tensor

    if not (distributed.is_available() and distributed.is_initialized()):
        return wish
    shared = tensor(wish, device=device)
    distributed.all_reduce(shared, op=distributed.ReduceOp.MAX)
    return int(shared)


def peak_memory() -> int:
    """Peak bytes so far: of this device where there is a GPU, else of the process."""
    import torch

    if torch.cuda.is_available():
        return int(torch.cuda.max_memory_allocated())
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024
