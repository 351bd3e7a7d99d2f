"""Token cleaning in a fine-tune: what each response token is worth, and the samples with the best of them.

The equations are in `ds2.method.token_cleaning`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ds2.base.errors import UserError
from ds2.base.progress import Bar
from ds2.method.token_cleaning import keep_best
from ds2.models.attention import attention_of_any_length
from ds2.models.trained_tokens import EncodedSamples
from finetune.spec import FinetuneSpec

Scores = NDArray[np.float32]
_BATCH_TOKENS = 4096
"""Tokens, padding included, that go through the model at once."""


def cleaned(samples: EncodedSamples, scores: Sequence[Scores], share: float) -> EncodedSamples:
    """The samples with loss on the best `share` of all their response tokens; those left without any are left
    out and counted. Raises UserError where the scores are of other samples.
    """
    counts = [int(trained.sum()) for trained in samples.trained]
    if counts != [len(each) for each in scores]:
        raise UserError("the token scores are of other samples or another template than these")
    kept = np.split(keep_best(np.concatenate(scores), share), np.cumsum(counts)[:-1])
    masks = []
    for trained, own in zip(samples.trained, kept, strict=True):
        mask = np.zeros_like(trained)
        mask[np.flatnonzero(trained)[own]] = True
        masks.append(mask)
    left = [i for i, mask in enumerate(masks) if mask[1:].any()]
    return replace(
        samples,
        ids=[samples.ids[i] for i in left],
        trained=[masks[i] for i in left],
        rows=[samples.rows[i] for i in left],
        dropped_by_cleaning=len(masks) - len(left),
    )


def score_tokens(spec: FinetuneSpec, adapters: Sequence[str]) -> tuple[list[Scores], dict[str, Any]]:
    """Base loss minus reference loss of every response token, sample after sample, and counts.

    adapters: of one, it judges all rows; of several, adapter f judges the rows f, f + F, ... of F.
    """
    import torch
    from peft import PeftModel

    from ds2.models.quiet import quiet_transformers
    from ds2.models.trained_tokens import encode_samples, load_tokenizer, set_template
    from finetune.base import load_base
    from finetune.rows import read_rows

    tokenizer = load_tokenizer(spec.base_model, spec.revision)
    set_template(tokenizer, spec.config.template)
    conversations, tools = read_rows(spec)
    samples = encode_samples(tokenizer, conversations, max_tokens=spec.config.max_tokens, tools=tools)
    if not samples.ids:
        raise UserError(f"{spec.train_file}: no response token to measure")
    device = "cuda" if torch.cuda.is_available() else "cpu"
    base_losses: list[Scores] = [np.empty(0, np.float32)] * len(samples.ids)
    reference_losses = list(base_losses)
    with (
        quiet_transformers(),
        attention_of_any_length(),
        torch.inference_mode(),
        Bar(total=2 * len(samples.ids), desc="tokens", unit="sample", disable=not spec.progress) as bar,
    ):
        for fold, adapter in enumerate(adapters):
            base = load_base(spec.base_model, spec.revision, spec.config)
            parameters = sum(parameter.numel() for parameter in base.parameters())
            model = PeftModel.from_pretrained(base, adapter).to(device).eval()
            rows = [i for i, row in enumerate(samples.rows) if row % len(adapters) == fold]
            for batch in _batches(samples, rows):
                with model.disable_adapter():
                    before = _losses(model, samples, batch, device)
                after = _losses(model, samples, batch, device)
                for i, first, second in zip(batch, before, after, strict=True):
                    base_losses[i], reference_losses[i] = first, second
                bar.update(2 * len(batch))
    scores = [first - second for first, second in zip(base_losses, reference_losses, strict=True)]
    return scores, {
        "samples": len(samples.ids),
        "tokens": sum(map(len, scores)),
        "base_loss": float(np.nanmean(np.concatenate(base_losses))),
        "reference_loss": float(np.nanmean(np.concatenate(reference_losses))),
        "parameters": parameters,
        "read": 2 * int(samples.lengths.sum()),  # by the base model and by the reference
    }


def _batches(samples: EncodedSamples, rows: Sequence[int]) -> Iterator[list[int]]:
    """Samples of like length together."""
    batch: list[int] = []
    for i in sorted(rows, key=lambda i: len(samples.ids[i])):
        if batch and (len(batch) + 1) * len(samples.ids[i]) > _BATCH_TOKENS:
            yield batch
            batch = []
        batch.append(i)
    if batch:
        yield batch


def _losses(model: Any, samples: EncodedSamples, batch: Sequence[int], device: str) -> list[Scores]:
    """Of each sample, the loss of its response tokens; NaN of one that nothing precedes."""
    import torch

    from finetune.stream import pad

    tensors = pad([(samples.ids[i], samples.trained[i]) for i in batch], 0)
    ids, mask = tensors["input_ids"].to(device), tensors["attention_mask"].to(device)
    logits = model(input_ids=ids, attention_mask=mask).logits[:, :-1].float()
    found = torch.nn.functional.cross_entropy(logits.transpose(1, 2), ids[:, 1:], reduction="none")
    losses = np.full(ids.shape, np.nan, dtype=np.float32)
    losses[:, 1:] = found.cpu().numpy()
    return [losses[at, : len(samples.ids[i])][samples.trained[i]] for at, i in enumerate(batch)]
