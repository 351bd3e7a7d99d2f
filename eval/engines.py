"""The model under evaluation as lm-eval's LM: the base with its adapter loaded, on transformers or vLLM."""

from __future__ import annotations

import json
from functools import partial
from pathlib import Path
from typing import Any

from ds2.artifacts.adapter import BaseMark
from ds2.base.errors import MissingInput, UserError
from ds2.config import EvalBackend
from ds2.models.digest import base_digest, stored_digest
from eval.spec import EvalSpec

REQUESTS = ("generate_until", "loglikelihood", "loglikelihood_rolling")
MAX_LORA_RANK = 64


def load_engine(spec: EvalSpec) -> Any:
    """The LM; `lm.tokenizer` is the adapter's where there is one, with the chat template it was trained with.

    Raises UserError where the adapter is missing, belongs to another base model or does not fit it, and
    MissingInput where the base model is not there.
    """
    adapter = _adapter_config(spec.adapter) if spec.adapter else None
    try:
        lm = _vllm(spec, adapter) if spec.config.backend is EvalBackend.vllm else _transformers(spec)
    except OSError as error:
        raise MissingInput(f"base model {spec.base_model} cannot be loaded: {_first_line(error)}") from error
    except RuntimeError as error:
        if "size mismatch" not in str(error):
            raise
        raise UserError(
            f"adapter {spec.adapter} does not fit base model {spec.base_model}: other shapes"
        ) from error
    for name in REQUESTS:
        setattr(lm, name, partial(getattr(lm, name), disable_tqdm=not spec.progress))
    return lm


def has_chat_template(lm: Any) -> bool:
    return getattr(lm.tokenizer, "chat_template", None) is not None


def _transformers(spec: EvalSpec) -> Any:
    import torch
    from lm_eval.models.huggingface import HFLM

    config = spec.config
    if config.runtime.threads is not None:
        torch.set_num_threads(config.runtime.threads)
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
    )
    if spec.adapter:
        from peft import PeftModel

        _check_base(spec.adapter, base_digest(lm.model), spec.base_model)
        lm._model = PeftModel.from_pretrained(lm.model, spec.adapter).to(lm.device).eval()
    return lm


def _vllm(spec: EvalSpec, adapter: dict[str, Any] | None) -> Any:
    from importlib.util import find_spec

    if find_spec("vllm") is None:
        raise MissingInput("eval.backend=vllm needs vLLM: pip install 'ds2[vllm]', or use eval.backend=hf")
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
    )


def _adapter_config(adapter: str) -> dict[str, Any]:
    path = Path(adapter) / "adapter_config.json"
    if not path.is_file():
        raise UserError(f"{adapter} holds no adapter (adapter_config.json)")
    config: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return config


def _check_base(adapter: str, digest: str | None, name: str) -> None:
    mark = BaseMark.read(Path(adapter))
    if digest is None or mark is None:
        return  # not made by this project: only its shapes can be checked, and loading does
    if mark.digest != digest:
        raise UserError(f"adapter {adapter} was trained on another base model, {mark.name}, not on {name}")


def _first_line(error: Exception) -> str:
    return next((line.strip() for line in str(error).splitlines() if line.strip()), type(error).__name__)
