"""vLLM in this machine: the answer held to its JSON schema, the instructions served from the prefix cache.

With a schema, structured output leaves nothing to ask again but what `max_new_tokens` cuts off. With given
tokens, one is generated, no others are allowed, and their probabilities are read after that mask. The engine
always holds more requests than it works on, and hands each answer out as it is finished. Each copy of the
model (`runtime.data_parallel`), also the only one, runs in a process of its own: see
`ds2.models.chat.local.vllm_copies`.
"""

from __future__ import annotations

import itertools
import math
import os
from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Any

from ds2.base.errors import MissingInput, UserError
from ds2.config import ChatConfig
from ds2.models.chat import Answer, AnswerForm, Backend, ChatRequest, Place
from ds2.models.chat.local.tokenizer import (
    FOUR_BIT,
    SPACES,
    answer_tokens,
    check_room,
    distribution,
    load_tokenizer,
    model_path,
    most_likely,
    unloadable,
)
from ds2.models.chat.local.vllm_copies import open_copies, shares
from ds2.models.pretrained import NO_CODE, data_only, load_shape

IN_ENGINE = 1024
"""Requests that the engine holds at a time: more than it works on at once, so that it never waits for us."""
_TEMPLATE_TOKENS = 256
"""Room for what a chat template adds around the question."""


def open(
    config: ChatConfig, form: AnswerForm, revision: str | None, place: Place
) -> AbstractContextManager[Backend]:
    """The engine, or several. Raises MissingInput without vLLM or the model."""
    return open_copies(open_one, config, form, revision, place, shares(config))


@contextmanager
def open_one(
    config: ChatConfig, form: AnswerForm, revision: str | None, place: Place
) -> Iterator[VllmBackend]:
    """One copy of the model on `runtime.tensor_parallel` GPUs, in this process."""
    tokenizer = load_tokenizer(config, revision, place)
    backend = VllmBackend(config, form, tokenizer, _engine(config, form, revision))
    try:
        yield backend
    finally:
        backend.close()


class VllmBackend:
    """`vllm.LLM`, kept full."""

    def __init__(self, config: ChatConfig, form: AnswerForm, tokenizer: Any, llm: Any) -> None:
        self._config, self._form, self._tokenizer, self._engine = config, form, tokenizer, llm.llm_engine
        self._defaults = llm.get_default_sampling_params
        self._places = answer_tokens(tokenizer, form, config.model)
        """Token -> its place in the form; empty where text is written."""
        self._seeds = _has_gpu()

    def close(self) -> None:
        """Free the GPU for the stages that follow."""
        self._engine.engine_core.shutdown()

    def count_tokens(self, text: str) -> int:
        """See `Backend`."""
        return len(self._tokenizer.encode(text, add_special_tokens=False))

    def answers(self, requests: Iterable[ChatRequest]) -> Iterator[Answer]:
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
                f"vLLM's engine for {self._config.group}.model={self._config.model} ended: see its lines "
                f"above; where memory is short, lower {self._config.group}.runtime.gpu_memory. Answers so "
                "far are kept; the same command goes on from there"
            ) from error

    def _send(self, request: ChatRequest) -> None:
        from vllm.exceptions import VLLMValidationError

        tokens = self._tokenizer.apply_chat_template(
            list(request.chat), add_generation_prompt=True, return_dict=True
        )["input_ids"]
        try:
            self._engine.add_request(request.key, {"prompt_token_ids": tokens}, self._sampling(request))
        except VLLMValidationError as error:
            raise UserError(
                f"vLLM refuses a question of {len(tokens)} tokens to "
                f"{self._config.group}.model={self._config.model}: {str(error).splitlines()[0]}"
            ) from error

    def _sampling(self, request: ChatRequest) -> Any:
        from vllm.sampling_params import RequestOutputKind, StructuredOutputsParams

        config, params = self._config, self._defaults()
        params.output_kind = RequestOutputKind.FINAL_ONLY
        if self._places:
            params.temperature, params.top_p, params.top_k = 1.0, 1.0, 0
            params.max_tokens, params.logprobs = 1, len(self._places)
            params.allowed_token_ids = list(self._places)
            return params
        for name, value in config.sampling.items():
            setattr(params, name, value)
        params.max_tokens = config.max_new_tokens
        if self._seeds:
            params.seed = request.seed
        if self._form.schema is not None:
            params.structured_outputs = StructuredOutputsParams(json=dict(self._form.schema))
        return params

    def _answer(self, output: Any) -> Answer:
        said = output.outputs[0]
        likely = None
        if self._places:
            first = said.logprobs[0]
            likely = distribution(
                self._places, {token: math.exp(entry.logprob) for token, entry in first.items()}
            )
        return Answer(
            output.request_id,
            said.text if likely is None else most_likely(self._form, likely),
            "length" if said.finish_reason == "length" and likely is None else "stop",
            prompt_tokens=len(output.prompt_token_ids),
            cached_tokens=output.num_cached_tokens or 0,
            completion_tokens=len(said.token_ids),
            distribution=likely,
            model=self._config.model,
        )


def _engine(config: ChatConfig, form: AnswerForm, revision: str | None) -> Any:
    # vLLM's account of its own start fills a screen; what goes wrong is an error.
    os.environ.setdefault("VLLM_LOGGING_LEVEL", "ERROR")
    try:
        from vllm import LLM
    except ImportError as error:
        raise MissingInput(
            f"{config.group}.backend=vllm needs the package vllm: pip install 'ds2[vllm]', or use "
            f"{config.group}.backend=transformers"
        ) from error

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
    if form.tokens:
        options |= {"logprobs_mode": "processed_logprobs", "max_logprobs": len(SPACES) * len(form.tokens)}
    try:
        with data_only():
            return LLM(model_path(config), **options, **NO_CODE)
    except (OSError, ValueError) as error:
        raise unloadable(config, error) from error
    except RuntimeError as error:  # the engine's own process failed; vLLM has printed why
        name = config.group
        raise UserError(
            f"vLLM could not start {name}.model={config.model}: see its lines above; where memory is short, "
            f"lower {name}.runtime.gpu_memory or {name}.max_prompt_tokens, or raise "
            f"{name}.runtime.tensor_parallel"
        ) from error


def _context(config: ChatConfig, revision: str | None) -> int:
    """Tokens of the longest question with its answer: the engine needs memory for no more than that."""
    try:
        model = load_shape(model_path(config), revision).get_text_config()
    except (OSError, ValueError) as error:
        raise unloadable(config, error) from error
    most = getattr(model, "max_position_embeddings", None)
    check_room(config, most)
    wanted = config.max_prompt_tokens + _TEMPLATE_TOKENS + config.max_new_tokens
    return wanted if most is None else min(wanted, most)


def _has_gpu() -> bool:
    """Without one, vLLM 0.32 cannot seed single requests: it ends where a seeded one is prefilled in
    parts."""
    import torch

    return bool(torch.cuda.is_available())


__all__ = ["VllmBackend", "open", "open_one"]
