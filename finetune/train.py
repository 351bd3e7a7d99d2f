"""The fine-tune, top to bottom: read, tokenise, load, train, save.

One process per device; `accelerate launch -m finetune SPEC.json` starts several. What is learned depends on
the samples, the total batch, the schedule and the seed, and not on how many devices share the work.
"""

from __future__ import annotations

import math
import os
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from ds2.artifacts import adapter, token_scores
from ds2.base.checks import refuse
from ds2.base.errors import UserError
from ds2.base.paths import resolved_name
from ds2.base.processes import deferred
from ds2.base.progress import Bar
from ds2.base.threads import torch_threads
from ds2.base.words import percent
from ds2.config import FinetuneConfig
from ds2.models import flops
from ds2.models.attention import attention_of_any_length
from ds2.models.compute import device_name
from ds2.models.lora_targets import find_targets
from ds2.models.quiet import quiet_transformers
from ds2.models.trained_tokens import (
    EncodedSamples,
    count_steps,
    encode_samples,
    load_tokenizer,
    set_template,
)
from finetune import checkpoints, sharding
from finetune.checks import TARGETS, config_problems, length_problems, shape_problems
from finetune.clean import cleaned
from finetune.rows import read_rows
from finetune.spec import FinetuneSpec
from finetune.stream import SampleStream, device_batch, make_collator, sample_order

MAX_GRAD_NORM = 1.0
"""Gradient clipping; the paper does not speak of it: the Trainer's default."""
DEVICE_BATCH = 8
"""Samples that go through the model at once, at most, where nothing else is asked for."""
CPU_TOKENS = 2048
"""And tokens, padding included, where memory is not a GPU's (docs/real.md)."""
LOSS_KERNELS = ("cross_entropy", "fused_linear_cross_entropy")
"""Liger's that stay off: `finetune.loss` finds the loss of large vocabularies in parts."""
PROBE_TOKENS = 64
MEMORY_HELP = (
    "lower finetune.runtime.device_batch or finetune.max_tokens, or set "
    "finetune.runtime.activation_checkpointing=true"
    " or finetune.quantization=nf4"
)


def train(spec: FinetuneSpec) -> dict[str, Any]:
    """Fine-tune as the spec says; write the adapter with its curve and metrics into `spec.output_dir`; return
    the metrics.

    Checkpoints found in the output folder are continued and removed at the end; a run that has ended there is
    not begun again. Raises UserError, in one
    line, for what the user can change: an empty subset, a batch that does not divide, a loss that is not a
    number, too little memory; Terminated, with a checkpoint, where the process was asked to end.
    """
    refuse(config_problems(spec.config))
    with torch_threads(spec.config.runtime.threads), attention_of_any_length():
        return _train(spec)


def _train(spec: FinetuneSpec) -> dict[str, Any]:
    began = time.perf_counter()
    config = spec.config
    devices = int(os.environ.get("WORLD_SIZE", "1"))
    conversations, tools = read_rows(spec)

    import torch

    with quiet_transformers():  # which loads PEFT, and that bitsandbytes, which has something to say
        from peft.helpers import disable_input_dtype_casting
        from transformers import Trainer, set_seed
        from transformers.trainer_callback import PrinterCallback

    from ds2.models.digest import base_digest
    from finetune import loss, packed_attention
    from finetune.base import add_lora, check_packing, load_base
    from finetune.callbacks import CheckpointKeeper, ProgressBar, StepRecorder, peak_memory

    tokenizer = load_tokenizer(spec.base_model, spec.revision)
    set_template(tokenizer, config.template)
    main_process = os.environ.get("RANK", "0") == "0"
    progress = spec.progress and main_process
    with Bar(total=len(conversations), desc="tokenise", unit="sample", disable=not progress) as bar:
        samples = encode_samples(
            tokenizer, conversations, max_tokens=config.max_tokens, tools=tools, progress=bar.update
        )
    if not samples.ids:
        raise UserError(
            f"{spec.train_file}: none of {len(conversations)} samples has an assistant turn within"
            f" finetune.max_tokens={config.max_tokens}: nothing to train on"
        )
    if spec.token_scores is not None:
        samples = cleaned(samples, token_scores.read(Path(spec.token_scores)), config.token_share)
    steps = count_steps(
        len(samples.ids), epochs=config.epochs, max_steps=config.max_steps, total_batch=config.total_batch
    )
    longest = int(samples.lengths.max())
    most = DEVICE_BATCH if torch.cuda.is_available() else max(1, min(DEVICE_BATCH, CPU_TOKENS // longest))
    batch, accumulation = device_batch(
        config.total_batch, devices=devices, wanted=config.runtime.device_batch, most=most
    )
    order = sample_order(samples.lengths, steps=steps, total_batch=config.total_batch, seed=spec.seed)

    # Before the model: this joins the processes and gives each its device.
    arguments = _training_arguments(
        spec, steps=steps, batch=batch, accumulation=accumulation, rows=len(samples.ids)
    )
    sharding.allow_on_cpu(arguments)
    with arguments.main_process_first(local=False):
        checkpoints.claim(spec)
    if checkpoints.is_finished(spec):
        return adapter.read_metrics(Path(spec.output_dir))

    with quiet_transformers():
        base = load_base(spec.base_model, spec.revision, config)
        named = spec.base_name or resolved_name(spec.base_model)
        mark = adapter.BaseMark(named, base_digest(base)) if main_process else None
        set_seed(spec.seed)
        refuse(shape_problems(config, base) + length_problems(config, base, longest))
        targets = find_targets(base, config.target_modules, option=TARGETS)
        model = add_lora(base, config, targets)
    trained, parameters = model.get_nb_trainable_parameters()
    if progress:
        share = f"{100 * trained / parameters:.2g} % of {parameters:,} parameters"
        tqdm.write(f"LoRA on {', '.join(targets.names)}: {share}", file=sys.stderr)

    trainer = Trainer(
        model=model,
        args=arguments,
        train_dataset=SampleStream(samples, order),
        data_collator=make_collator(tokenizer.pad_token_id, packed=config.runtime.packing),
        processing_class=tokenizer,
        callbacks=[StepRecorder(samples.lengths[order].sum(axis=1))],
    )
    parallelism = trainer.accelerator.distributed_type.value
    sharded = parallelism in sharding.KINDS
    if config.runtime.packing:
        if config.runtime.attention == "sdpa" and not sharded:
            packed_attention.use(model, longest=longest)
        check_packing(model)
    trainer.remove_callback(PrinterCallback)
    if progress:
        trainer.add_callback(ProgressBar(config.total_batch))
    resume = checkpoints.latest(checkpoints.checkpoint_dir(spec))
    if main_process:
        checkpoints.say_passed_over(checkpoints.checkpoint_dir(spec), resume)
    logits_bytes = 4 * batch * longest * int(base.config.vocab_size)
    # Autocast narrows what PEFT widens. With dropout it stays so: a device draws other masks for other types.
    # DeepSpeed does without autocast.
    narrow = config.dtype != "float32" and config.dropout == 0 and parallelism != "DEEPSPEED"
    probe = torch.from_numpy(samples.ids[0][:PROBE_TOKENS].astype(np.int64))[None].to(model.device)
    with (
        quiet_transformers(),
        _memory_errors(),
        deferred() as stop,
        loss.in_parts(model, logits_bytes=logits_bytes, sharded=sharded, probe=probe),
        disable_input_dtype_casting(model, narrow),
    ):
        trainer.add_callback(CheckpointKeeper(stop, config.runtime.save_minutes))
        trainer.train(resume_from_checkpoint=str(resume) if resume else None)
        stop.check()

    output = Path(spec.output_dir)
    weights = adapter.weights(output)
    trainer.save_model(str(weights))  # gathers sharded weights, on every process
    if not main_process:
        return {}
    for unwanted in ("training_args.bin", "README.md"):  # a pickle, and a card of blanks
        (weights / unwanted).unlink(missing_ok=True)
    assert mark is not None
    mark.write(weights)
    adapter.settle(weights, spec.base_model)
    curve = _curve(trainer.state.log_history, config.total_batch / len(samples.ids))
    adapter.write_curve(output, curve)
    pace = [entry["tokens_per_second"] for entry in trainer.state.log_history if "loss" in entry]
    metrics = {
        "train_loss": float(np.mean(curve["loss"])),
        "final_loss": float(np.mean(curve["loss"][-max(1, steps // 10) :])),
        "steps": steps,
        "epochs": steps * config.total_batch / len(samples.ids),
        "samples": len(samples.ids),
        **_count_tokens(samples, order),
        "tokens_per_second": float(np.median(pace)),
        **_use(float(np.median(pace)), parameters, trained, devices),
        "devices": devices,
        "device": device_name("auto"),
        "parallelism": parallelism,
        "device_batch": batch,
        "accumulation": accumulation,
        "target_modules": list(targets.names),
        "trainable_parameters": trained,
        "parameters": parameters,
        "peak_memory_bytes": peak_memory(),
        "resumed_from_step": checkpoints.step_of(resume) if resume else 0,
        "wall_seconds": time.perf_counter() - began,
    }
    if progress:
        tqdm.write(_speed_line(metrics), file=sys.stderr)
    if config.merge:
        from finetune.merge import merge_adapter

        sharding.end()
        with quiet_transformers():
            metrics["merge_max_logit_error"] = merge_adapter(spec, probe=samples.ids[int(order[0, 0])])
    adapter.write_metrics(output, metrics)
    checkpoints.finish(spec)
    return metrics


def _training_arguments(spec: FinetuneSpec, *, steps: int, batch: int, accumulation: int, rows: int) -> Any:
    import torch
    from transformers import TrainingArguments

    config: FinetuneConfig = spec.config
    gpu = torch.cuda.is_available()
    arguments = TrainingArguments(
        output_dir=str(checkpoints.checkpoint_dir(spec)),
        per_device_train_batch_size=batch,
        gradient_accumulation_steps=accumulation,
        max_steps=steps,
        learning_rate=config.learning_rate,
        lr_scheduler_type=config.schedule,
        warmup_steps=math.ceil(config.warmup_ratio * steps),
        weight_decay=config.weight_decay,
        max_grad_norm=MAX_GRAD_NORM,
        bf16=config.dtype == "bfloat16",
        fp16=config.dtype == "float16",
        use_cpu=not gpu,
        train_sampling_strategy="sequential",  # the stream holds the order
        gradient_checkpointing=config.runtime.activation_checkpointing,
        gradient_checkpointing_kwargs={"use_reentrant": False},
        use_liger_kernel=config.runtime.kernels == "liger",
        liger_kernel_config=dict.fromkeys(LOSS_KERNELS, False),
        logging_steps=1,
        logging_nan_inf_filter=False,
        save_strategy="steps" if config.runtime.save_every_epoch else "no",
        save_steps=max(1, round(rows / config.total_batch)),
        save_total_limit=2,  # the one before stays, should a crash cut off the last
        seed=spec.seed,
        dataloader_pin_memory=gpu,
        ddp_find_unused_parameters=False,
        remove_unused_columns=False,
        label_names=["labels"],
        report_to="none",
        disable_tqdm=True,
    )
    arguments._n_gpu = min(1, arguments.n_gpu)  # one process a device: never torch's DataParallel
    return arguments


def _count_tokens(samples: EncodedSamples, order: NDArray[np.int64]) -> dict[str, int]:
    trained = np.array([mask.sum() for mask in samples.trained])
    cleaning = samples.dropped_by_cleaning
    return {
        "truncated": int(samples.truncated),
        "dropped_without_assistant": samples.dropped_without_assistant,
        **({} if cleaning is None else {"dropped_by_cleaning": cleaning}),
        "tokens": int(samples.lengths[order].sum()),
        "trained_tokens": int(trained[order].sum()),
    }


def _use(speed: float, parameters: int, trained: int, devices: int) -> dict[str, float | None]:
    """Operations a second, and their share of what the devices can reach (None: not known)."""
    done, peak = speed * flops.done_per_token(parameters, trained), flops.peak_of_device()
    return {"flops_per_second": done, "mfu": None if peak is None else done / (devices * peak)}


def _speed_line(metrics: dict[str, Any]) -> str:
    used = "model FLOP utilisation is not known of this device"
    if metrics["mfu"] is not None:
        used = f"{percent(metrics['mfu'])} of what the device can reach (MFU)"
    speed, rate = metrics["tokens_per_second"], metrics["flops_per_second"]
    return f"{speed:,.0f} tokens/s, {rate / 1e12:.3g} TFLOP/s: {used}"


def _curve(log: list[dict[str, float]], epochs_per_step: float) -> dict[str, list[float]]:
    """The curve's columns, from what the Trainer logged."""
    entries = [entry for entry in log if "loss" in entry]
    return {
        "step": [int(entry["step"]) for entry in entries],
        "epoch": [entry["step"] * epochs_per_step for entry in entries],
        "loss": [entry["loss"] for entry in entries],
        "learning_rate": [entry["learning_rate"] for entry in entries],
    }


@contextmanager
def _memory_errors() -> Iterator[None]:
    import torch

    try:
        yield
    except torch.OutOfMemoryError as error:
        raise UserError(f"out of GPU memory: {MEMORY_HELP}") from error
    except (MemoryError, RuntimeError) as error:
        if isinstance(error, MemoryError) or "can't allocate memory" in str(error):
            raise UserError(f"out of memory: {MEMORY_HELP}") from error
        raise
