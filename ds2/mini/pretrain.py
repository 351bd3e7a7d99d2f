"""Pre-trains the miniature's base model: a Llama of 0.4 million parameters, a minute and a half on one core.

The model is small because its job is small: know eight word tasks (`ds2.mini.corpus`), so that what
fine-tuning changes is how it answers. Loss on answers, and a little on prompts. Muon for the matrices, AdamW
for embeddings and norms.

The learning rate follows the steps, or the clock where that is ahead (`schedule_share`): a slow machine gets
a shorter but complete schedule instead of one cut in the middle. Where the clock never leads, the seed
decides the model.
"""

from __future__ import annotations

import math
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import torch
from torch.nn import functional

from ds2.base.errors import UserError
from ds2.base.progress import Bar
from ds2.base.threads import torch_threads
from ds2.mini.corpus import Document, make_batches, open_chat, open_textbook
from ds2.mini.language import FAMILIES
from ds2.mini.muon import Muon
from ds2.mini.pool import generate_questions
from ds2.mini.tokenizer import END, MAX_TOKENS, PAD, build_tokenizer, word_ids

if TYPE_CHECKING:
    from transformers import LlamaForCausalLM

HIDDEN, LAYERS, HEADS, FEED_FORWARD = 96, 3, 4, 288
ROPE_THETA: Final = 20.0
"""Conversations have about 13 tokens: slow rotations would tell positions apart too weakly to reverse a list.
"""
BATCH: Final = 96
MUON_RATE: Final = 0.02
ADAM_RATE: Final = 8e-3
WARMUP: Final = 0.05
"""Share of the schedule."""
CLOCK_GRACE: Final = 0.1
"""Share of the allowed seconds that a slow start may take before the clock can lead."""
PROMPT_WEIGHT: Final = 0.02
"""Weight of a prompt's token in the loss; an answer's has 1."""
CURVE_EVERY: Final = 20
"""Steps averaged into one point of the curve."""
CHECK_QUESTIONS: Final = 400
CHECK_SEED: Final = 10_007
"""Seed of the questions that measure the finished model."""


def build(
    directory: str | Path,
    *,
    seed: int,
    steps: int,
    max_seconds: float,
    threads: int | None = None,
    progress: bool = True,
) -> dict[str, Any]:
    """Pre-trains the base model and writes it with its tokenizer, loadable by transformers, into `directory`.

    Returns steps (done), planned_steps, reached_cap, clock_led_steps (whose learning rate the clock decided),
    seconds, cpu_seconds, tokens, loss (the curve's last point), parameters, curve (a list of {"step",
    "loss"}), and `exact_match`: {"textbook", "chat"} -> {family or "all": share} on held-out prompts. The
    textbook's is what the model knows, a ceiling for any fine-tuning; the chat's is how it answers before.
    """
    if steps < 1 or not max_seconds > 0:
        raise UserError(
            f"model.steps={steps}, max_seconds={max_seconds}: pre-training needs at least one step and some "
            "time"
        )
    with _torch_settings(seed, threads):
        model = make_model()
        metrics = _train(model, seed=seed, steps=steps, max_seconds=max_seconds, progress=progress)
        model.eval()
        questions = generate_questions("new", samples=CHECK_QUESTIONS, seed=CHECK_SEED, pool_seed=0)
        metrics["exact_match"] = {
            "textbook": exact_match(model, [open_textbook(q["prompt"]) for q in questions], questions),
            "chat": exact_match(model, [open_chat(q["prompt"]) for q in questions], questions),
        }
    model.save_pretrained(directory)
    build_tokenizer().save_pretrained(directory)
    return metrics


def make_model() -> LlamaForCausalLM:
    """The model with random weights from torch's current seed."""
    from transformers import LlamaConfig, LlamaForCausalLM

    ids = word_ids()
    return LlamaForCausalLM(
        LlamaConfig(
            vocab_size=len(ids),
            hidden_size=HIDDEN,
            num_hidden_layers=LAYERS,
            num_attention_heads=HEADS,
            num_key_value_heads=HEADS,
            intermediate_size=FEED_FORWARD,
            max_position_embeddings=MAX_TOKENS,
            rope_parameters={"rope_type": "default", "rope_theta": ROPE_THETA},
            tie_word_embeddings=True,
            bos_token_id=None,
            eos_token_id=ids[END],
            pad_token_id=ids[PAD],
        )
    )


def schedule_share(steps: float, clock: float) -> float:
    """Share of the schedule that is over, from the shares of steps done and of seconds used.

    The clock counts from `CLOCK_GRACE` on, so that a steady run that ends before the cap is never led by it.
    """
    return max(steps, (clock - CLOCK_GRACE) / (1 - CLOCK_GRACE))


def rate_factor(progress: float) -> float:
    """Learning rate as a share of its peak: linear warm-up, then a cosine to zero."""
    return min(1.0, progress / WARMUP) * 0.5 * (1 + math.cos(math.pi * min(progress, 1.0)))


def exact_match(
    model: LlamaForCausalLM, openings: list[str], questions: list[dict[str, str]]
) -> dict[str, float]:
    """Share of questions whose greedy continuation is the answer and its end, by family and over "all".

    Greedy decoding gives exactly an answer when each of its tokens is the likeliest after those before it, so
    one pass over the right answers decides.
    """
    ids = word_ids()
    documents = []
    for opening, question in zip(openings, questions, strict=True):
        words = f"{opening} {question['answer']} {END}".split()
        documents.append(([ids[word] for word in words], len(opening.split())))
    inputs, weights = _collate(documents)
    with torch.no_grad():
        guesses = model(input_ids=inputs, use_cache=False).logits[:, :-1].argmax(-1)
    missed = (guesses != inputs[:, 1:]) & (weights[:, 1:] == 1)
    marks: dict[str, list[bool]] = {"all": [], **{family: [] for family in FAMILIES}}
    for question, wrong in zip(questions, missed.any(1).tolist(), strict=True):
        marks["all"].append(not wrong)
        marks[question["family"]].append(not wrong)
    return {name: sum(right) / len(right) for name, right in marks.items() if right}


def _train(
    model: LlamaForCausalLM, *, seed: int, steps: int, max_seconds: float, progress: bool
) -> dict[str, Any]:
    optimizers = _make_optimizers(model)
    batches = make_batches(size=BATCH, seed=seed)
    losses: list[float] = []
    tokens = clock_led = 0
    started, cpu_started = time.perf_counter(), time.process_time()
    with Bar(total=steps, desc="pre-training", unit="step", disable=not progress) as bar:
        while len(losses) < steps:
            elapsed = (time.perf_counter() - started) / max_seconds
            share = schedule_share(len(losses) / steps, elapsed)
            if share >= 1 and losses:
                break
            clock_led += share > len(losses) / steps
            for optimizer, peak in optimizers:
                optimizer.param_groups[0]["lr"] = peak * rate_factor(share + 1 / steps)
            inputs, weights = _collate(next(batches))
            loss = _loss(model, inputs, weights)
            loss.backward()
            for optimizer, _ in optimizers:
                optimizer.step()
                optimizer.zero_grad(set_to_none=True)
            losses.append(loss.item())
            tokens += inputs.numel()
            bar.update()
    curve = [
        {"step": min(i + CURVE_EVERY, len(losses)), "loss": _mean(losses[i : i + CURVE_EVERY])}
        for i in range(0, len(losses), CURVE_EVERY)
    ]
    return {
        "steps": len(losses),
        "planned_steps": steps,
        "reached_cap": len(losses) < steps,
        "clock_led_steps": clock_led,
        "seconds": time.perf_counter() - started,
        "cpu_seconds": time.process_time() - cpu_started,
        "tokens": tokens,
        "loss": curve[-1]["loss"],
        "parameters": sum(weight.numel() for weight in model.parameters()),
        "curve": curve,
    }


def _make_optimizers(model: LlamaForCausalLM) -> list[tuple[torch.optim.Optimizer, float]]:
    """Optimizers with their peak learning rates."""
    matrices: list[torch.nn.Parameter] = []
    others: list[torch.nn.Parameter] = []
    for name, weight in model.named_parameters():
        (matrices if weight.ndim == 2 and "embed" not in name else others).append(weight)
    adam = torch.optim.AdamW(others, lr=ADAM_RATE, betas=(0.9, 0.98), weight_decay=0.0)
    return [(Muon(matrices, lr=MUON_RATE), MUON_RATE), (adam, ADAM_RATE)]


def _collate(documents: list[Document]) -> tuple[torch.Tensor, torch.Tensor]:
    """Token ids, padded on the right (a causal model never looks there); each token's weight in the loss."""
    width = max(len(ids) for ids, _ in documents)
    inputs = torch.zeros(len(documents), width, dtype=torch.long)
    weights = torch.zeros(len(documents), width)
    for row, (ids, answer) in enumerate(documents):
        inputs[row, : len(ids)] = torch.tensor(ids)
        weights[row, :answer] = PROMPT_WEIGHT
        weights[row, answer : len(ids)] = 1.0
    return inputs, weights


def _loss(model: LlamaForCausalLM, inputs: torch.Tensor, weights: torch.Tensor) -> torch.Tensor:
    """Weighted mean cross-entropy of each next token."""
    logits = model(input_ids=inputs, use_cache=False).logits[:, :-1]
    losses = functional.cross_entropy(logits.flatten(0, 1), inputs[:, 1:].flatten(), reduction="none")
    return (losses * weights[:, 1:].flatten()).sum() / weights[:, 1:].sum()


def _mean(values: list[float]) -> float:
    return sum(values) / len(values)


@contextmanager
def _torch_settings(seed: int, threads: int | None) -> Iterator[None]:
    """Seeds torch, sets its threads, and flushes denormals (slow on CPUs); afterwards all is as it was."""
    with torch.random.fork_rng(devices=[]), torch_threads(threads or 1):
        torch.manual_seed(seed)
        torch.set_flush_denormal(True)
        try:
            yield
        finally:
            torch.set_flush_denormal(False)
