"""vLLM in this machine: the answer held to its JSON schema, the instructions served from the prefix cache.

With `reading=answer` structured output leaves nothing to ask again but what `max_new_tokens` cuts off. With `reading=expected`
one token is generated, only digits are allowed, and their probabilities are read after that mask. The engine always holds more
requests than it works on, and hands each answer out as it is finished. Each copy of the model (`runtime.data_parallel`), also the only one,
runs in a process of its own: see `ds2.models.chat.local.vllm_copies`.
"""

from __future__ import annotations

import itertools
import math
import os
from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Any

from ds2.base.errors import MissingInput, UserError
from ds2.config import LlmRaterConfig, Reading
from ds2.models.chat import Answer, Backend, Place, Request
from ds2.models.chat.local.tokens import (
    FOUR_BIT,
    check_room,
    digit_tokens,
    distribution,
    load_tokenizer,
    model_path,
    most_likely,
    unloadable,
)
from ds2.models.chat.local.vllm_copies import open_copies, shares
from ds2.models.chat.tokens import DIGITS
from ds2.rating import prompt

IN_ENGINE = 1024
"""Requests that the engine holds at a time: more than it works on at once, so that it never waits for us."""
_TEMPLATE_TOKENS = 256
"""Room for what a chat template adds around the question."""


def open(config: LlmRaterConfig, revision: str | None, place: Place) -> AbstractContextManager[Backend]:
    """The engine, or several. Raises MissingInput without vLLM or the model."""
    return open_copies(open_one, config, revision, place, shares(config.runtime))


@contextmanager
def open_one(config: LlmRaterConfig, revision: str | None, place: Place) -> Iterator[VllmBackend]:
    """One copy of the model on `runtime.tensor_parallel` GPUs, in this process."""
    tokenizer = load_tokenizer(config, revision, place)
    backend = VllmBackend(config, tokenizer, _engine(config, revision))
    try:
        yield backend
    finally:
        backend.close()


class VllmBackend:
    """`vllm.LLM`, kept full."""

    def __init__(self, config: LlmRaterConfig, tokenizer: Any, llm: Any) -> None:
        self._config, self._tokenizer, self._engine = config, tokenizer, llm.llm_engine
        self._defaults = llm.get_default_sampling_params
        expected = config.reading is Reading.expected
        self._digits = digit_tokens(tokenizer, config.model) if expected else {}
        self._seeds = _has_gpu()

    def close(self) -> None:
        """Free the GPU for the stages that follow."""
        self._engine.engine_core.shutdown()

    def count_tokens(self, text: str) -> int:
        """See `Backend`."""
        return len(self._tokenizer.encode(text, add_special_tokens=False))

    def answers(self, requests: Iterable[Request]) -> Iterator[Answer]:
        """See `Backend`."""
        from vllm.v1.engine.exceptions import EngineDeadError

        source, held = iter(requests), set[str]()
        try:
            while True:
                for request in itertools.islice(source, IN_ENGINE - len(held)):
                    self._send(request)
                    held.add(request.key)
                if not held:
                    return
                for output in self._engine.step():
                    if output.finished:
                        held.remove(output.request_id)
                        yield self._answer(output)
        except EngineDeadError as error:
            raise UserError(
                f"vLLM's engine for rater.model={self._config.model} ended: see its lines above; where memory is short, lower "
                "rater.runtime.gpu_memory. Answers so far are kept; the same command goes on from there"
            ) from error

    def _send(self, request: Request) -> None:
        from vllm.exceptions import VLLMValidationError

        tokens = self._tokenizer.apply_chat_template(
            list(request.chat), add_generation_prompt=True, return_dict=True
        )["input_ids"]
        try:
            self._engine.add_request(request.key, {"prompt_token_ids": tokens}, self._sampling(request))
        except VLLMValidationError as error:
            raise UserError(
                f"vLLM refuses a question of {len(tokens)} tokens to rater.model={self._config.model}: "
                f"{str(error).splitlines()[0]}"
            ) from error

    def _sampling(self, request: Request) -> Any:
        from vllm.sampling_params import RequestOutputKind, StructuredOutputsParams

        config, params = self._config, self._defaults()
        params.output_kind = RequestOutputKind.FINAL_ONLY
        if self._digits:
            params.temperature, params.top_p, params.top_k = 1.0, 1.0, 0
            params.max_tokens, params.logprobs = 1, len(self._digits)
            params.allowed_token_ids = list(self._digits)
            return params
        for name in ("temperature", "top_p", "top_k"):
            if (value := getattr(config, name)) is not None:
                setattr(params, name, value)
        params.max_tokens = config.max_new_tokens
        if self._seeds:
            params.seed = request.seed
        if config.reading is Reading.answer:
            params.structured_outputs = StructuredOutputsParams(json=prompt.answer_schema())
        return params

    def _answer(self, output: Any) -> Answer:
        said = output.outputs[0]
        likely = None
        if self._digits:
            first = said.logprobs[0]
            likely = distribution(
                self._digits, {token: math.exp(entry.logprob) for token, entry in first.items()}
            )
        return Answer(
            output.request_id,
            said.text if likely is None else most_likely(likely),
            "length" if said.finish_reason == "length" and likely is None else "stop",
            prompt_tokens=len(output.prompt_token_ids),
            cached_tokens=output.num_cached_tokens or 0,
            completion_tokens=len(said.token_ids),
            distribution=likely,
            model=self._config.model,
        )


def _engine(config: LlmRaterConfig, revision: str | None) -> Any:
    # vLLM's account of its own start fills a screen; what goes wrong is an error.
    os.environ.setdefault("VLLM_LOGGING_LEVEL", "ERROR")
    try:
        from vllm import LLM
    except ImportError as error:
        raise MissingInput(
            "rater.backend=vllm needs the package vllm: pip install 'ds2[vllm]', or use rater.backend=transformers"
        ) from error

    expected = config.reading is Reading.expected
    options: dict[str, Any] = {
        "revision": revision,
        "tokenizer_revision": revision,
        "quantization": "bitsandbytes" if config.quantization == FOUR_BIT else config.quantization,
        "tensor_parallel_size": config.runtime.tensor_parallel,
        "gpu_memory_utilization": config.runtime.gpu_memory,
        "max_model_len": _context(config, revision),
        "enable_prefix_caching": True,
        "enforce_eager": not _has_gpu(),  # compiling takes longer than it saves
        "structured_outputs_config": {"backend": "xgrammar", "disable_any_whitespace": True},
        "seed": config.seed,
    }
    if expected:
        options |= {"logprobs_mode": "processed_logprobs", "max_logprobs": 3 * len(DIGITS)}
    try:
        return LLM(model_path(config), **options)
    except (OSError, ValueError) as error:
        raise unloadable(config, error) from error
    except RuntimeError as error:  # the engine's own process failed; vLLM has printed why
        raise UserError(
            f"vLLM could not start rater.model={config.model}: see its lines above; where memory is short, lower "
            "rater.runtime.gpu_memory or rater.max_prompt_tokens, or raise rater.runtime.tensor_parallel"
        ) from error


def _context(config: LlmRaterConfig, revision: str | None) -> int:
    """Tokens of the longest question with its answer: the engine needs memory for no more than that."""
    from transformers import AutoConfig

    try:
        own = AutoConfig.from_pretrained(model_path(config), revision=revision).get_text_config()
    except (OSError, ValueError) as error:
        raise unloadable(config, error) from error
    most = getattr(own, "max_position_embeddings", None)
    check_room(config, most)
    wanted = config.max_prompt_tokens + _TEMPLATE_TOKENS + config.max_new_tokens
    return wanted if most is None else min(wanted, most)


def _has_gpu() -> bool:
    """Without one, vLLM 0.32 cannot seed single requests: it ends where a seeded one is prefilled in parts."""
    import torch

    return bool(torch.cuda.is_available())


__all__ = ["VllmBackend", "open", "open_one"]
