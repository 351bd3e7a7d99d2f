"""The model under evaluation as lm-eval's LM: the base with its adapter loaded, on transformers or vLLM."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from ds2.artifacts.adapter import BaseMark
from ds2.base.checks import refuse
from ds2.base.errors import MissingInput, UserError
from ds2.base.json_files import read_json
from ds2.config import EvalBackend
from ds2.models.digest import base_digest, stored_digest
from ds2.models.pretrained import NO_CODE, BringsCode, data_only
from ds2.models.turns import stop_ids, turn_end
from eval.checks import engine_problems
from eval.spec import EvalSpec

REQUESTS = ("generate_until", "loglikelihood", "loglikelihood_rolling")
MAX_LORA_RANK = 64


def load_engine(spec: EvalSpec) -> Any:
    """The LM; `lm.tokenizer` is the adapter's where there is one, with the chat template it was trained with.

    Raises UserError for settings that cannot work, and where the adapter is missing, belongs to another base
    model or does not fit it; MissingInput where the base model is not there.
    """
    refuse(engine_problems(spec.config))
    adapter = _adapter_config(spec.adapter) if spec.adapter else None
    try:
        with data_only():
            lm = _vllm(spec, adapter) if spec.config.backend is EvalBackend.vllm else _transformers(spec)
    except (OSError, BringsCode) as error:
        raise MissingInput(f"base model {spec.base_model} cannot be loaded: {_first_line(error)}") from error
    except RuntimeError as error:
        if "size mismatch" not in str(error):
            raise
        raise UserError(
            f"adapter {spec.adapter} does not fit base model {spec.base_model}: other shapes"
        ) from error
    for name in REQUESTS:
        setattr(lm, name, partial(getattr(lm, name), disable_tqdm=not spec.progress))
    _stop_at_turn_end(lm)
    return lm


def _stop_at_turn_end(lm: Any) -> None:
    """The token that ends an assistant's turn in the chat template ends every answer, as the tokenizer's end
    of sequence does.
    """
    from jinja2 import TemplateError

    try:
        end = turn_end(lm.tokenizer)
    except TemplateError as error:
        raise UserError(f"the model's chat template refuses a conversation: {_first_line(error)}") from error
    if end is None:
        return  # no chat template, or one whose turns no token ends: the end of sequence has to do
    settings = getattr(getattr(lm, "model", None), "generation_config", None)
    if settings is not None:  # generation ends there in transformers, and each row of a batch by itself
        settings.eos_token_id = stop_ids(lm.tokenizer)
    generate = lm.generate_until

    def generate_until(requests: list[Any], **options: Any) -> Any:
        return generate([_ended_by(request, end.text) for request in requests], **options)

    lm.generate_until = generate_until


def _ended_by(request: Any, mark: str) -> Any:
    prompt, options = request.args
    until = options.get("until") or []
    stops = [*([until] if isinstance(until, str) else until), mark]
    return replace(request, arguments=(prompt, {**options, "until": stops}))


def has_chat_template(lm: Any) -> bool:
    return getattr(lm.tokenizer, "chat_template", None) is not None


def _transformers(spec: EvalSpec) -> Any:
    import torch
    from lm_eval.models.huggingface import HFLM

    config = spec.config
    device = config.runtime.device
    if device == "auto":
        device = "cuda" if torch.cuda.is_available() else "cpu"
    lm = HFLM(
        pretrained=spec.base_model,
        revision=spec.revision or "main",
        tokenizer=spec.adapter or spec.base_model,
        dtype=config.dtype,
        device=device,
        batch_size=config.runtime.batch_size,
        **NO_CODE,
    )
    if spec.adapter:
        lm._model = load_adapter(lm.model, spec.adapter, spec.base_model).to(lm.device).eval()
    return lm


def load_adapter(model: Any, adapter: str, base_name: str) -> Any:
    """The base model with the adapter on it. Raises UserError where it belongs to another base model."""
    from peft import PeftModel

    _check_base(adapter, base_digest(model), base_name)
    return PeftModel.from_pretrained(model, adapter)


def _vllm(spec: EvalSpec, adapter: dict[str, Any] | None) -> Any:
    from lm_eval.models.vllm_causallms import VLLM

    rank = int(adapter["r"]) if adapter else MAX_LORA_RANK
    if spec.adapter:
        _check_base(spec.adapter, stored_digest(spec.base_model, spec.revision), spec.base_model)
    return VLLM(
        pretrained=spec.base_model,
        revision=spec.revision,
        tokenizer=spec.adapter or spec.base_model,
        dtype=spec.config.dtype,
        batch_size="auto",
        seed=spec.seed,
        lora_local_path=spec.adapter,
        max_lora_rank=max(8, 1 << (rank - 1).bit_length()),
        **NO_CODE,
    )


def _adapter_config(adapter: str) -> dict[str, Any]:
    path = Path(adapter) / "adapter_config.json"
    if not path.is_file():
        raise UserError(f"{adapter} holds no adapter (adapter_config.json)")
    config: dict[str, Any] = read_json(path)
    return config


def _check_base(adapter: str, digest: str | None, name: str) -> None:
    mark = BaseMark.read(Path(adapter))
    if digest is None or mark is None:
        return  # not made by this project: only its shapes can be checked, and loading does
    if mark.digest != digest:
        raise UserError(f"adapter {adapter} was trained on another base model, {mark.name}, not on {name}")


def _first_line(error: Exception) -> str:
    return next((line.strip() for line in str(error).splitlines() if line.strip()), type(error).__name__)
