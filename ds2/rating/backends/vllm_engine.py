"""vLLM in this machine: the answer held to its JSON schema, the instructions served from the prefix cache.

With `reading=answer` structured output leaves nothing to ask again but what `max_new_tokens` cuts off. With `reading=expected`
one token is generated, only digits are allowed, and their probabilities are read after that mask. Several copies of the model
(`runtime.data_parallel`) run in processes of their own: see `ds2.rating.backends.vllm_copies`.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Any

from ds2.config import LlmRaterConfig, Reading
from ds2.errors import MissingInput, UserError
from ds2.rating import prompt
from ds2.rating.backends import Answer, Backend, Place, Request
from ds2.rating.backends.local import (
    FOUR_BIT,
    batches,
    digit_tokens,
    distribution,
    load_tokenizer,
    model_path,
    most_likely,
    unloadable,
)

AHEAD = 16
"""Batches handed to the engine at once, which orders them itself: enough that the last ones leave it idle for little, few enough
that a killed process loses little."""
_TEMPLATE_TOKENS = 256
"""Room for what a chat template adds around the question."""


def open(config: LlmRaterConfig, revision: str | None, place: Place) -> AbstractContextManager[Backend]:
    """The engine, or several. Raises MissingInput without vLLM or the model."""
    from ds2.rating.backends.vllm_copies import copies, open_copies

    count = copies(config)
    return open_copies(config, revision, place, count) if count > 1 else open_one(config, revision, place)


@contextmanager
def open_one(config: LlmRaterConfig, revision: str | None, place: Place) -> Iterator[VllmBackend]:
    """One copy of the model on `runtime.tensor_parallel` GPUs."""
    tokenizer = load_tokenizer(config, revision, place)
    backend = VllmBackend(config, tokenizer, _engine(config, revision))
    try:
        yield backend
    finally:
        backend.close()


class VllmBackend:
    """`vllm.LLM.chat`, a few batches at a time."""

    def __init__(self, config: LlmRaterConfig, tokenizer: Any, engine: Any) -> None:
        self._config, self._tokenizer, self._engine = config, tokenizer, engine
        expected = config.reading is Reading.expected
        self._digits = digit_tokens(tokenizer, config.model) if expected else {}
        self._seeded = _requests_can_be_seeded()

    def close(self) -> None:
        """Free the GPU for the stages that follow."""
        core = self._engine.llm_engine.engine_core
        del self._engine
        core.shutdown()

    def count_tokens(self, text: str) -> int:
        """See `Backend`."""
        return len(self._tokenizer.encode(text, add_special_tokens=False))

    def answers(self, requests: Iterable[Request]) -> Iterator[Answer]:
        """See `Backend`."""
        from vllm.v1.engine.exceptions import EngineDeadError

        for batch in batches(requests, AHEAD * self._config.runtime.batch_size):
            try:
                outputs = self._engine.chat(
                    [list(request.chat) for request in batch],
                    [self._sampling(request) for request in batch],
                    chat_template=self._tokenizer.chat_template,
                    use_tqdm=False,
                )
            except EngineDeadError as error:
                raise UserError(
                    f"vLLM's engine of rater.model={self._config.model} ended: see its lines above. Answers so far are kept; the "
                    "same command goes on from there"
                ) from error
            for request, output in zip(batch, outputs, strict=True):
                yield self._answer(request, output)

    def _sampling(self, request: Request) -> Any:
        from vllm.sampling_params import StructuredOutputsParams

        config, params = self._config, self._engine.get_default_sampling_params()
        params.seed = request.seed if self._seeded else None
        if self._digits:
            params.temperature, params.top_p, params.top_k = 1.0, 1.0, 0
            params.max_tokens, params.logprobs = 1, len(self._digits)
            params.allowed_token_ids = list(self._digits)
            return params
        for name in ("temperature", "top_p", "top_k"):
            if (value := getattr(config, name)) is not None:
                setattr(params, name, value)
        params.max_tokens = config.max_new_tokens
        if config.reading is Reading.answer:
            params.structured_outputs = StructuredOutputsParams(json=prompt.answer_schema())
        return params

    def _answer(self, request: Request, output: Any) -> Answer:
        said = output.outputs[0]
        likely = None
        if self._digits:
            first = said.logprobs[0]
            likely = distribution(
                self._digits, {token: math.exp(entry.logprob) for token, entry in first.items()}
            )
        return Answer(
            request.key,
            said.text if likely is None else most_likely(likely),
            "length" if said.finish_reason == "length" and likely is None else "stop",
            prompt_tokens=len(output.prompt_token_ids),
            cached_tokens=output.num_cached_tokens or 0,
            completion_tokens=len(said.token_ids),
            distribution=likely,
            model=self._config.model,
        )


def _requests_can_be_seeded() -> bool:
    """Not on a CPU: vLLM 0.32 ends there when a seeded question is read in parts ("CPU Generator does not use offset")."""
    from vllm.platforms import current_platform

    return not current_platform.is_cpu()


def _engine(config: LlmRaterConfig, revision: str | None) -> Any:
    try:
        from vllm import LLM
    except ImportError as error:
        raise MissingInput(
            "rater.backend=vllm needs the package vllm: pip install 'ds2[vllm]', or use rater.backend=transformers"
        ) from error

    expected = config.reading is Reading.expected
    quantization = "bitsandbytes" if config.quantization == FOUR_BIT else config.quantization
    new_tokens = 1 if expected else config.max_new_tokens
    options: dict[str, Any] = {
        "revision": revision,
        "tokenizer_revision": revision,
        "quantization": quantization,
        "tensor_parallel_size": config.runtime.tensor_parallel,
        "gpu_memory_utilization": config.runtime.gpu_memory,
        "max_model_len": config.max_prompt_tokens + _TEMPLATE_TOKENS + new_tokens,
        "enable_prefix_caching": True,
        "structured_outputs_config": {"backend": "xgrammar", "disable_any_whitespace": True},
        "seed": config.seed,
        "disable_log_stats": True,
    }
    if expected:
        options |= {"logprobs_mode": "processed_logprobs", "max_logprobs": 3 * len(prompt.DIGITS)}
    try:
        return LLM(model_path(config), **options)
    except (OSError, ValueError) as error:
        raise unloadable(config, error) from error
    except RuntimeError as error:  # the engine's own process failed; vLLM has printed why
        raise UserError(
            f"vLLM could not start rater.model={config.model}: see its lines above; where memory is short, lower "
            "rater.runtime.gpu_memory or rater.max_prompt_tokens, or raise rater.runtime.tensor_parallel"
        ) from error


__all__ = ["VllmBackend", "open", "open_one"]
