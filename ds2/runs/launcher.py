"""The one place from which `ds2` reaches the leaves `finetune` and `eval`.

On a GPU a leaf runs as a child process, so that its memory is free again when it ends (under `accelerate
launch` where there are several devices). On CPU it is imported late and runs in this process, but for a
fine-tune of several processes: a sweep of tiny models would otherwise spend its time importing.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from ds2.artifacts.locks import descriptors
from ds2.base import extras
from ds2.base.dataclass_json import to_plain
from ds2.base.drafts import passing
from ds2.base.errors import MissingInput, UserError
from ds2.base.json_files import write_json
from ds2.base.paths import make_importable, project_root
from ds2.base.processes import LAST_WORDS
from ds2.base.progress import clock
from ds2.base.threads import torch_threads
from ds2.config import EvalConfig, FinetuneConfig, RuntimeConfig
from ds2.runs.child import PARENT

ISOLATE = ("auto", "true", "false")
"""What `runtime.isolate` takes."""
_USER_ERROR = 2
"""A leaf's exit code when it has said in one line what its user should change."""
_KILLED = {-9: "SIGKILL", 137: "SIGKILL", -11: "SIGSEGV", -6: "SIGABRT", -7: "SIGBUS"}
"""Exit codes of a child that a signal ended which comes where memory ends."""
_CHILD = ("-m", "ds2.runs.child")
"""What a child is started by: it ends with its parent."""
_PLAIN = (
    "--multi_gpu", "--num_machines", "1", "--main_process_port", "0", "--mixed_precision", "no",
    "--dynamo_backend", "no",
)  # fmt: skip
"""Of `accelerate launch`: a process a device, of a CPU too, which find each other by a free port; the trainer
itself sets its precision.
"""
_GPU_NODES = ("nvidia[0-9]*", "kfd", "dxg")
"""What Linux has in `/dev` where there is a GPU that torch.cuda may know: NVIDIA's, AMD's, WSL's."""


def finetune(
    *,
    base_model: str,
    base_name: str | None,
    base_fingerprint: str,
    revision: str | None,
    train_file: Path,
    output_dir: Path,
    seed: int,
    config: FinetuneConfig,
    runtime: RuntimeConfig,
    token_scores: Path | None = None,
) -> None:
    """Run the fine-tuning recipe; it writes into `output_dir`.

    Args:
        base_model: hub name or local folder; `revision` is its commit on the hub.
        base_name: what the adapter calls it, where that is another name.
        base_fingerprint: what tells it from others, wherever it lies.
        train_file: JSONL of rows that hold `id` and `messages`.
        token_scores: folder of a `tokens` artifact of these rows; None: every response token counts.
    """
    make_importable()
    from finetune.spec import FinetuneSpec

    spec = FinetuneSpec(
        base_model=base_model, revision=revision, train_file=str(train_file), output_dir=str(output_dir),
        seed=seed, config=config, base_name=base_name,
        base_fingerprint=base_fingerprint, progress=runtime.progress,
        token_scores=None if token_scores is None else str(token_scores),
    )  # fmt: skip
    execution = config.runtime
    _run("finetune", _finetune_here, spec, runtime, execution.devices, execution.accelerate_config)


def score_tokens(
    *,
    base_model: str,
    base_name: str | None,
    revision: str | None,
    train_file: Path,
    adapters: Sequence[Path],
    seed: int,
    config: FinetuneConfig,
    runtime: RuntimeConfig,
) -> tuple[list[Any], dict[str, Any]]:
    """Base loss minus reference loss of every response token of the rows, an array a sample, and counts; in
    this process, for it only reads.

    Args:
        adapters: one reference for all rows, or of several, the f-th for the rows f, f + F, ... of F.
    """
    make_importable()
    from finetune.clean import score_tokens as score
    from finetune.spec import FinetuneSpec

    spec = FinetuneSpec(
        base_model=base_model, revision=revision, train_file=str(train_file), output_dir="",
        seed=seed, config=config, base_name=base_name, progress=runtime.progress,
    )  # fmt: skip
    with torch_threads(config.runtime.threads):
        scores, counts = score(spec, [str(adapter) for adapter in adapters])
    return scores, counts


def evaluate(
    *,
    base_model: str,
    revision: str | None,
    adapter: Path | None,
    output_dir: Path,
    seed: int,
    config: EvalConfig,
    pool_seed: int,
    runtime: RuntimeConfig,
) -> None:
    """Run an evaluation; it writes into `output_dir`.

    Args:
        base_model: hub name or local folder; `revision` is its commit on the hub.
        adapter: folder of a PEFT adapter; None: the base model itself.
        pool_seed: of the generated pool, whose prompts generated questions avoid.
    """
    make_importable()
    from eval.spec import EvalSpec

    spec = EvalSpec(
        base_model=base_model, revision=revision, adapter=None if adapter is None else str(adapter),
        output_dir=str(output_dir), seed=seed, config=config, pool_seed=pool_seed, progress=runtime.progress,
    )  # fmt: skip
    _run("eval", _evaluate_here, spec, runtime, 1)


_UNKNOWN = "unknown"


def finetune_problems(
    config: FinetuneConfig, *, base_model: str | None = _UNKNOWN, revision: str | None = None
) -> list[str]:
    """What would stop a fine-tuning, a line each, told without a run.

    Args:
        base_model: hub name or local folder, whose configuration and tokenizer are read (transformers is
            imported); None: the run makes its base model. Left out: not known, and not looked at.
    """
    make_importable()
    from finetune import checks

    problems: list[str] = checks.config_problems(config)
    problems += checks.machine_problems(config, gpus=_gpu_count())
    if base_model is None:
        problems += checks.made_model_problems(config)
    elif base_model is not _UNKNOWN:
        problems += checks.model_problems(config, base_model, revision)
    return problems


def evaluation_problems(config: EvalConfig) -> list[str]:
    """What would stop an evaluation, a line each, told without a run: 10 s or more where a task is neither
    ours nor the paper's.
    """
    make_importable()
    from eval import checks

    problems: list[str] = checks.config_problems(config)
    return problems + list(checks.task_problems(config))


def long_prompts(
    config: EvalConfig, *, base_model: str, revision: str | None, context: int, template: str | None
) -> list[str]:
    """A line for each task whose prompts do not fit a local model: seconds where the context is small."""
    make_importable()
    from eval import lengths

    lines: list[str] = lengths.long_prompts(
        config, base_model=base_model, revision=revision, context=context, template=template
    )
    return lines


def prepare_tasks(config: EvalConfig, *, base_model: str, revision: str | None) -> str:
    """Fetch what an evaluation's tasks need; where it is."""
    make_importable()
    from eval.prepare import prepare_tasks

    return str(prepare_tasks(config, base_model=base_model, revision=revision))


def evaluation_questions(name: str, config: EvalConfig) -> list[str]:
    """The questions of an evaluation set: 10 s or more where it is neither ours nor the paper's.

    Raises:
        UserError: an unknown set, questions that cannot be had, or packages that are missing.
    """
    make_importable()
    try:
        from eval.questions import questions_of

        questions: list[str] = questions_of(name, config)
    except ModuleNotFoundError as error:
        raise UserError(f"pool.decontaminate: {extras.advice(error) or error}") from error
    return questions


def _finetune_here(spec: Any) -> None:
    from finetune.train import train

    with clock("fine-tune", shown=spec.progress):
        train(spec)


def _evaluate_here(spec: Any) -> None:
    from eval.run import evaluate

    with clock("evaluate", shown=spec.progress):
        evaluate(spec)


def _run(
    leaf: str,
    here: Callable[[Any], None],
    spec: Any,
    runtime: RuntimeConfig,
    devices: int | None,
    accelerate_config: str | None = None,
) -> None:
    """Run a leaf as a child where there is a GPU to free, else in this process, where only then it is
    imported.
    """
    gpus = _gpu_count()
    processes = min(devices or gpus, gpus) if gpus else devices or 1
    if accelerate_config is not None or processes > 1 or _isolated(runtime, gpus):
        _run_child(leaf, spec, processes, accelerate_config)
        return
    here(spec)


def _gpu_count() -> int:
    if sys.platform == "linux" and not any(any(Path("/dev").glob(name)) for name in _GPU_NODES):
        return 0  # torch, which takes seconds to load, would say the same
    import torch

    return int(torch.cuda.device_count())


def _isolated(runtime: RuntimeConfig, gpus: int) -> bool:
    choice = runtime.isolate.lower()
    if choice not in ISOLATE:
        raise UserError(f"runtime.isolate={runtime.isolate} is none of {', '.join(ISOLATE)}")
    return gpus > 0 if choice == "auto" else choice == "true"


def _run_child(leaf: str, spec: Any, processes: int, accelerate_config: str | None) -> None:
    launch = [*_CHILD, leaf]
    if accelerate_config is not None and not Path(accelerate_config).is_file():
        raise MissingInput(f"finetune.runtime.accelerate_config={accelerate_config}: no such file")
    if accelerate_config is not None or processes > 1:
        config = _PLAIN if accelerate_config is None else ("--config_file", accelerate_config)
        count = ("--num_processes", str(processes))
        launch = [*_CHILD, "accelerate.commands.launch", *config, *count, *_CHILD, leaf]
    path = os.pathsep.join(p for p in (os.environ.get("PYTHONPATH"), str(project_root())) if p)
    environment = {**os.environ, "PYTHONPATH": path, PARENT: str(os.getpid())}
    with passing(Path(spec.output_dir), "spec.json") as spec_file:
        write_json(spec_file, to_plain(spec))
        code = _wait(_start([*launch, str(spec_file)], environment))
    if code == _USER_ERROR:
        raise UserError(f"{leaf} stopped: see the line above")
    if code in _KILLED:
        raise UserError(
            f"{leaf} was killed by the system ({_KILLED[code]}), as it does where memory ends: its "
            "checkpoints are kept, run the same command again where more is free"
        )
    if code != 0:
        raise RuntimeError(f"the child process `python {' '.join(launch)}` ended with exit code {code}")


def _start(arguments: Sequence[str], environment: Mapping[str, str]) -> subprocess.Popen[bytes]:
    """A program of Python as a child. It holds the lock of what this process computes too: where that was
    killed, the next command waits for the child's last words.
    """
    return subprocess.Popen([sys.executable, *arguments], env=environment, pass_fds=descriptors())


def _wait(child: subprocess.Popen[bytes]) -> int:
    """The child's exit code. Where this process is asked to end, the child is too: it has `LAST_WORDS`
    seconds to write a checkpoint.
    """
    try:
        return child.wait()
    except BaseException:  # a signal is none of Exception's; without its parent the child is not to go on
        child.terminate()
        try:
            child.wait(LAST_WORDS)
        except subprocess.TimeoutExpired:
            child.kill()
            child.wait()
        raise
