"""LoRA gradients of single samples: what LESS compares (arXiv 2402.04333, section 4).

    g(z)  = gradient of the mean negative log-likelihood of z's answer tokens
            with respect to the LoRA matrices, (P,)
    G(z)  = a / sqrt(v + eps)                            Adam's direction, from its state a0, v0:
            a = b1 a0 + (1 - b1) g,  v = b2 v0 + (1 - b2) g^2
    S x   = sum over i with h(i) = j of s(i) x_i,        count sketch: random buckets h, signs s
            for j = 1..d

<S x, S y> equals <x, y> in expectation with an error of the order of 1 / sqrt(d), as the dense random signs
of the authors' code give, without a P x d matrix. LoRA's dropout is off.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ds2.base.drafts import replacing
from ds2.base.errors import UserError
from ds2.config.measured_selection import LessSelectionConfig
from ds2.models.attention import attention_of_any_length
from ds2.models.lora_targets import find_targets
from ds2.models.reader import Encoded, LanguageModel

_BETAS, _EPS = (0.9, 0.999), 1e-8
"""Adam's, torch's defaults."""


@dataclass(frozen=True)
class Checkpoint:
    """The LoRA matrices after an epoch of warm-up, with Adam's state, each flat (P,)."""

    weights: Any
    average: Any
    square: Any
    learning_rate: float
    """Mean over the epoch: the weight of this checkpoint."""


def add_lora(lm: LanguageModel, config: LessSelectionConfig) -> LanguageModel:
    """The same model with trainable LoRA matrices. Raises UserError for a target that is no layer of it."""
    import torch
    from peft import LoraConfig, get_peft_model

    targets = find_targets(lm.model, config.target_modules, option="selection.target_modules")
    lora = LoraConfig(
        r=config.rank, lora_alpha=config.alpha, lora_dropout=0.0, target_modules=list(targets.modules),
        target_parameters=list(targets.parameters) or None, task_type="CAUSAL_LM",
    )  # fmt: skip
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(config.warmup_seed)
        try:
            model = get_peft_model(lm.model, lora)
        except ValueError as error:
            raise UserError(f"selection.target_modules: {str(error).splitlines()[0]}") from error
    return LanguageModel(model.eval(), lm.tokenizer, lm.max_tokens, lm.batch_size)


def warm_up(
    lm: LanguageModel, texts: Sequence[Encoded], config: LessSelectionConfig, folder: Path
) -> list[Checkpoint]:
    """Train the LoRA matrices on `texts`; one checkpoint an epoch, kept as safetensors in `folder` and read
    from there where all are whole.
    """
    from safetensors.torch import load_file

    folder.mkdir(exist_ok=True)
    load = partial(load_file, device=str(lm.model.device))
    paths = [folder / f"epoch-{epoch}.safetensors" for epoch in range(config.epochs)]
    kept = [read_kept(path, load) for path in paths]
    if any(tensors is None for tensors in kept):
        del kept  # the device's memory is the training's
        _train(lm, texts, config, paths)
        kept = [load(path) for path in paths]
    return [
        Checkpoint(t["weights"], t["average"], t["square"], float(t["learning_rate"][0]))
        for t in kept
        if t is not None
    ]


def read_kept(path: Path, load: Callable[[Path], dict[str, Any]]) -> dict[str, Any] | None:
    """The tensors of a file of an interrupted measurement; None: it is not there, or damaged."""
    from safetensors import SafetensorError

    try:
        return load(path)
    except (OSError, SafetensorError):
        return None


def _train(
    lm: LanguageModel, texts: Sequence[Encoded], config: LessSelectionConfig, paths: Sequence[Path]
) -> None:
    """Leave the checkpoint after each epoch at its path."""
    import torch
    from safetensors.torch import save_file

    trained = _parameters(lm)
    optimizer = torch.optim.Adam(trained, lr=config.learning_rate, betas=_BETAS, eps=_EPS)
    steps = config.epochs * -(-len(texts) // config.batch)
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: 1 - step / steps)
    rng = np.random.default_rng(config.warmup_seed)
    for path in paths:
        rates = []
        for rows in _batches(rng.permutation(len(texts)), config.batch):
            optimizer.zero_grad()
            for row in rows.tolist():
                (_loss(lm, texts[row]) / len(rows)).backward()
            rates.append(float(optimizer.param_groups[0]["lr"]))
            optimizer.step()
            schedule.step()
        state = [optimizer.state[p] for p in trained]
        tensors = {
            "weights": _flat(p.detach() for p in trained),
            "average": _flat(s["exp_avg"] for s in state),
            "square": _flat(s["exp_avg_sq"] for s in state),
            "learning_rate": torch.tensor([float(np.mean(rates))]),
        }
        with replacing(path, durable=True) as draft:
            save_file(tensors, draft)


def restore(lm: LanguageModel, checkpoint: Checkpoint) -> None:
    """Put a checkpoint's LoRA matrices into the model."""
    import torch

    at = 0
    with torch.no_grad():
        for p in _parameters(lm):
            p.copy_(checkpoint.weights[at : at + p.numel()].view_as(p))
            at += p.numel()


def gradient(lm: LanguageModel, text: Encoded) -> Any:
    """g(z), (P,)."""
    lm.model.zero_grad()
    _loss(lm, text).backward()
    return _flat(p.grad for p in _parameters(lm))


def adam_direction(g: Any, checkpoint: Checkpoint) -> Any:
    """G(z), (P,)."""
    average = _BETAS[0] * checkpoint.average + (1 - _BETAS[0]) * g
    square = _BETAS[1] * checkpoint.square + (1 - _BETAS[1]) * g * g
    return average / (square + _EPS).sqrt()


class Sketch:
    """S: a random projection from P to d numbers, the same for the same seed."""

    def __init__(self, size: int, width: int, seed: int) -> None:
        rng = np.random.default_rng(seed)
        self._bucket = rng.integers(0, width, size)
        self._sign = rng.choice(np.array([-1.0, 1.0]), size)
        self._width = width

    def unit(self, vector: Any) -> NDArray[np.float32]:
        """(d,) S x scaled to length 1 (zeros for a zero vector)."""
        values = vector.detach().double().cpu().numpy() * self._sign
        out = np.bincount(self._bucket, weights=values, minlength=self._width)
        norm = float(np.linalg.norm(out))
        return (out / norm if norm > 0 else out).astype(np.float32)


def num_trained(lm: LanguageModel) -> int:
    """P."""
    return sum(p.numel() for p in _parameters(lm))


@attention_of_any_length()
def _loss(lm: LanguageModel, text: Encoded) -> Any:
    import torch

    ids = torch.from_numpy(text.ids[None]).to(lm.model.device)
    labels = torch.from_numpy(np.where(text.answer, text.ids, -100)[None]).to(lm.model.device)
    return lm.model(input_ids=ids, labels=labels).loss


def _parameters(lm: LanguageModel) -> list[Any]:
    return [p for p in lm.model.parameters() if p.requires_grad]


def _flat(tensors: Iterator[Any]) -> Any:
    import torch

    return torch.cat([t.reshape(-1).float() for t in tensors])


def _batches(order: NDArray[np.int64], size: int) -> Iterator[NDArray[np.int64]]:
    for at in range(0, len(order), size):
        yield order[at : at + size]
