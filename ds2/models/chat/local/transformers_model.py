"""A local model through transformers, on CPU or one GPU: for small models and machines without vLLM.

Nothing holds the model to the form of the answer here; what it writes is read, repaired or asked again like
any other. Sampling is seeded once a batch, from its first request: the same command gives the same answers as
long as the same requests are missing.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

from ds2.base.errors import UserError
from ds2.config import ChatConfig
from ds2.models.attention import attention_of_any_length
from ds2.models.chat import Answer, AnswerForm, ChatRequest, Place
from ds2.models.chat.local.tokenizer import (
    FOUR_BIT,
    answer_tokens,
    batches,
    check_room,
    distribution,
    load_tokenizer,
    model_path,
    most_likely,
    unloadable,
)
from ds2.models.pretrained import load_model
from ds2.models.quiet import quiet_transformers


@contextmanager
def open(
    config: ChatConfig, form: AnswerForm, revision: str | None, place: Place
) -> Iterator[TransformersBackend]:
    """The model, loaded. Raises MissingInput where it cannot be."""
    with quiet_transformers():
        tokenizer = load_tokenizer(config, revision, place)
        yield TransformersBackend(config, form, tokenizer, _load_model(config, revision))


class TransformersBackend:
    """`runtime.batch_size` conversations at a time, padded on the left."""

    def __init__(self, config: ChatConfig, form: AnswerForm, tokenizer: Any, model: Any) -> None:
        self._config, self._form, self._tokenizer, self._model = config, form, tokenizer, model
        self._places = answer_tokens(tokenizer, form, config.model)
        """Token -> its place in the form; empty where text is written."""

    def count_tokens(self, text: str) -> int:
        """See `Backend`."""
        return len(self._tokenizer.encode(text, add_special_tokens=False))

    def answers(self, requests: Iterable[ChatRequest]) -> Iterator[Answer]:
        """See `Backend`."""
        import torch

        ask = self._read_tokens if self._places else self._write
        for batch in batches(requests, self._config.runtime.batch_size):
            inputs = self._tokenizer.apply_chat_template(
                [list(request.chat) for request in batch],
                add_generation_prompt=True, padding=True, return_tensors="pt", return_dict=True,
            ).to(self._model.device)  # fmt: skip
            try:
                # Both are left before the caller, who may train, gets the answers.
                with attention_of_any_length(), torch.inference_mode():
                    answers = list(ask(batch, inputs))
            except torch.OutOfMemoryError as error:
                size = self._config.runtime.batch_size
                setting = f"{self._config.group}.runtime.batch_size={size}"
                raise UserError(f"out of GPU memory: lower {setting}") from error
            yield from answers

    def _write(self, batch: list[ChatRequest], inputs: Any) -> Iterator[Answer]:
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

    def _read_tokens(self, batch: list[ChatRequest], inputs: Any) -> Iterator[Answer]:
        mask = inputs["attention_mask"]
        positions = (mask.cumsum(dim=1) - 1).clamp(min=0)
        output = self._model(**inputs, position_ids=positions, logits_to_keep=1, use_cache=False)
        tokens = list(self._places)
        shares = output.logits[:, -1, tokens].float().softmax(dim=-1).tolist()
        for request, row, length in zip(batch, shares, mask.sum(dim=1).tolist(), strict=True):
            likely = distribution(self._places, dict(zip(tokens, row, strict=True)))
            yield Answer(
                request.key, most_likely(self._form, likely), prompt_tokens=length, completion_tokens=1,
                distribution=likely, model=self._config.model,
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
        return options | config.sampling | ({"do_sample": True} if config.sampling else {})


def _load_model(config: ChatConfig, revision: str | None) -> Any:
    import torch

    device = "cuda" if torch.cuda.is_available() else "cpu"
    try:
        model = load_model(
            model_path(config), revision, dtype="auto", device_map=device, **_quantised(config)
        )
    except (OSError, ValueError) as error:
        raise unloadable(config, error) from error
    except torch.OutOfMemoryError as error:
        raise UserError(
            f"{config.group}.model={config.model} does not fit the GPU; try "
            f"{config.group}.quantization={FOUR_BIT}"
        ) from error
    check_room(config, getattr(model.config, "max_position_embeddings", None))
    return model.eval()


def _quantised(config: ChatConfig) -> dict[str, Any]:
    if config.quantization is None:
        return {}
    if config.quantization != FOUR_BIT:
        raise UserError(
            f"{config.group}.quantization={config.quantization} is unknown to "
            f"{config.group}.backend=transformers; there is {FOUR_BIT}"
        )
    try:
        import bitsandbytes  # noqa: F401
    except ImportError as error:
        raise UserError(
            f"{config.group}.quantization={FOUR_BIT} needs the package bitsandbytes: pip install 'ds2[qlora]'"
        ) from error
    from transformers import BitsAndBytesConfig

    return {"quantization_config": BitsAndBytesConfig(load_in_4bit=True)}


def _listed(value: Any) -> list[int]:
    if value is None:
        return []
    return list(value) if isinstance(value, list | tuple) else [int(value)]


__all__ = ["TransformersBackend", "open"]
