"""A local model through transformers, on CPU or one GPU: for small models and machines without vLLM.

Nothing holds the model to the form of the answer here; what it writes is read, repaired or asked again like any other. Sampling
is seeded once a batch, from its first request: the same command gives the same answers as long as the same requests are missing.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

from ds2.base.errors import UserError
from ds2.config import LlmRaterConfig, Reading
from ds2.models.chat import Answer, Place, Request
from ds2.models.chat.local.tokens import (
    FOUR_BIT,
    batches,
    check_room,
    digit_tokens,
    distribution,
    load_tokenizer,
    model_path,
    most_likely,
    unloadable,
)
from ds2.models.quiet import quiet_transformers


@contextmanager
def open(config: LlmRaterConfig, revision: str | None, place: Place) -> Iterator[TransformersBackend]:
    """The model, loaded. Raises MissingInput where it cannot be."""
    with quiet_transformers():
        tokenizer = load_tokenizer(config, revision, place)
        yield TransformersBackend(config, tokenizer, _load_model(config, revision))


class TransformersBackend:
    """`runtime.batch_size` conversations at a time, padded on the left."""

    def __init__(self, config: LlmRaterConfig, tokenizer: Any, model: Any) -> None:
        self._config, self._tokenizer, self._model = config, tokenizer, model
        expected = config.reading is Reading.expected
        self._digits = digit_tokens(tokenizer, config.model) if expected else {}

    def count_tokens(self, text: str) -> int:
        """See `Backend`."""
        return len(self._tokenizer.encode(text, add_special_tokens=False))

    def answers(self, requests: Iterable[Request]) -> Iterator[Answer]:
        """See `Backend`."""
        import torch

        ask = self._read_digits if self._digits else self._write
        for batch in batches(requests, self._config.runtime.batch_size):
            inputs = self._tokenizer.apply_chat_template(
                [list(request.chat) for request in batch],
                add_generation_prompt=True, padding=True, return_tensors="pt", return_dict=True,
            ).to(self._model.device)  # fmt: skip
            try:
                with torch.inference_mode():  # left before the caller, who may train, gets the answers
                    answers = list(ask(batch, inputs))
            except torch.OutOfMemoryError as error:
                size = self._config.runtime.batch_size
                raise UserError(f"out of GPU memory: lower rater.runtime.batch_size={size}") from error
            yield from answers

    def _write(self, batch: list[Request], inputs: Any) -> Iterator[Answer]:
        import torch

        torch.manual_seed(batch[0].seed or 0)
        width = inputs["input_ids"].shape[1]
        written = self._model.generate(**inputs, **self._sampling())[:, width:]
        ends = set(_listed(self._model.generation_config.eos_token_id))
        for request, tokens, mask in zip(
            batch, written.tolist(), inputs["attention_mask"].tolist(), strict=True
        ):
            length = next((i for i, token in enumerate(tokens) if token in ends), None)
            text = self._tokenizer.decode(tokens[:length], skip_special_tokens=True)
            used = len(tokens) if length is None else length + 1
            yield Answer(
                request.key, text, "length" if length is None else "stop",
                prompt_tokens=sum(mask), completion_tokens=used, model=self._config.model,
            )  # fmt: skip

    def _read_digits(self, batch: list[Request], inputs: Any) -> Iterator[Answer]:
        mask = inputs["attention_mask"]
        positions = (mask.cumsum(dim=1) - 1).clamp(min=0)
        output = self._model(**inputs, position_ids=positions, logits_to_keep=1, use_cache=False)
        tokens = list(self._digits)
        shares = output.logits[:, -1, tokens].float().softmax(dim=-1).tolist()
        for request, row, own in zip(batch, shares, mask.sum(dim=1).tolist(), strict=True):
            likely = distribution(self._digits, dict(zip(tokens, row, strict=True)))
            yield Answer(
                request.key, most_likely(likely), prompt_tokens=own, completion_tokens=1, distribution=likely,
                model=self._config.model,
            )  # fmt: skip

    def _sampling(self) -> dict[str, Any]:
        """What was set, over the model's own generation settings."""
        config = self._config
        options: dict[str, Any] = {
            "max_new_tokens": config.max_new_tokens,
            "pad_token_id": self._tokenizer.pad_token_id,
        }
        if config.temperature == 0:
            return options | {"do_sample": False}
        given = {"temperature": config.temperature, "top_p": config.top_p, "top_k": config.top_k}
        chosen = {name: value for name, value in given.items() if value is not None}
        return options | chosen | ({"do_sample": True} if chosen else {})


def _load_model(config: LlmRaterConfig, revision: str | None) -> Any:
    import torch
    from transformers import AutoModelForCausalLM

    device = "cuda" if torch.cuda.is_available() else "cpu"
    try:
        model = AutoModelForCausalLM.from_pretrained(
            model_path(config), revision=revision, dtype="auto", device_map=device, **_quantised(config)
        )
    except (OSError, ValueError) as error:
        raise unloadable(config, error) from error
    except torch.OutOfMemoryError as error:
        raise UserError(
            f"rater.model={config.model} does not fit the GPU; try rater.quantization={FOUR_BIT}"
        ) from error
    check_room(config, getattr(model.config, "max_position_embeddings", None))
    return model.eval()


def _quantised(config: LlmRaterConfig) -> dict[str, Any]:
    if config.quantization is None:
        return {}
    if config.quantization != FOUR_BIT:
        raise UserError(
            f"rater.quantization={config.quantization} is unknown to rater.backend=transformers; there is {FOUR_BIT}"
        )
    try:
        import bitsandbytes  # noqa: F401
    except ImportError as error:
        raise UserError(
            f"rater.quantization={FOUR_BIT} needs the package bitsandbytes: pip install 'ds2[qlora]'"
        ) from error
    from transformers import BitsAndBytesConfig

    return {"quantization_config": BitsAndBytesConfig(load_in_4bit=True)}


def _listed(value: Any) -> list[int]:
    if value is None:
        return []
    return list(value) if isinstance(value, list | tuple) else [int(value)]


__all__ = ["TransformersBackend", "open"]
