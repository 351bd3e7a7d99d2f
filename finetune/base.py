"""The base model as training needs it: in its dtype, quantised where asked, with LoRA matrices on it."""

from __future__ import annotations

from typing import Any

from ds2.base.errors import MissingInput, UserError
from ds2.config import FinetuneConfig, Quantization
from ds2.models.lora_targets import Targets, trained_names
from ds2.models.pretrained import load_model


def load_base(name: str, revision: str | None, config: FinetuneConfig) -> Any:
    """The causal language model in `config.dtype`, its weights in 4 bits with `quantization=nf4`."""
    import torch

    options: dict[str, Any] = {
        "dtype": getattr(torch, config.dtype),
        "attn_implementation": config.runtime.attention,
    }
    if config.quantization is Quantization.nf4:
        options["quantization_config"] = _nf4(options["dtype"])
    try:
        model = load_model(name, revision, **options)
    except (OSError, ValueError, ImportError) as error:
        raise MissingInput(f"base model {name} cannot be loaded: {_first_line(error)}") from error
    model.config.use_cache = False
    return model


def add_lora(model: Any, config: FinetuneConfig, targets: Targets) -> Any:
    """The model with trainable LoRA matrices A, B on its target layers: W + (alpha / rank) B A.

    Raises UserError for what PEFT refuses, or leaves untrained.
    """
    from peft import LoraConfig, get_peft_model, prepare_model_for_kbit_training

    if config.quantization is Quantization.nf4:
        model = prepare_model_for_kbit_training(
            model,
            config.runtime.activation_checkpointing,
            gradient_checkpointing_kwargs={"use_reentrant": False},
        )
    lora = LoraConfig(
        r=config.rank,
        lora_alpha=config.alpha,
        lora_dropout=config.dropout,
        target_modules=list(targets.modules),
        target_parameters=list(targets.parameters) or None,
        bias="none",
        task_type="CAUSAL_LM",
    )
    try:
        tuned = get_peft_model(model, lora)
    except ValueError as error:
        raise UserError(f"LoRA does not fit the base model: {_first_line(error)}") from error
    trained = trained_names(tuned)
    passed_over = [
        name for name in targets.names if not any(f".{one}".endswith(f".{name}") for one in trained)
    ]
    if passed_over:
        raise UserError(
            f"PEFT leaves {', '.join(passed_over)} of this base model ({model.config.model_type}) untrained: "
            "leave it out of finetune.target_modules"
        )
    return tuned


def check_packing(model: Any) -> None:
    """UserError where samples that share a row, told apart by their positions, see each other in this model.

    Another first sample must leave the logits of the second as they are, to the last bit: what is masked
    weighs nothing.
    """
    import torch

    if any(parameter.numel() == 0 for parameter in model.parameters()):
        raise UserError(
            "finetune.runtime.packing=true cannot be checked on weights that ZeRO-3 has shared out"
        )
    positions = torch.tensor([[0, 1, 2, 3, 0, 1, 2, 3]], device=model.device)
    rows = torch.tensor([[5, 6, 7, 8, 1, 2, 3, 4], [8, 7, 6, 5, 1, 2, 3, 4]], device=model.device)
    training = model.training
    model.eval()
    with torch.no_grad():
        one, other = (model(input_ids=row[None], position_ids=positions).logits[0, 4:] for row in rows)
    model.train(training)
    if not torch.equal(one, other):
        raise UserError(
            f"packed samples see each other in a model of type {model.config.model_type}: set "
            "finetune.runtime.packing=false"
        )


def _nf4(compute_dtype: Any) -> Any:
    from transformers import BitsAndBytesConfig

    try:
        import bitsandbytes  # noqa: F401
    except ImportError as error:
        raise MissingInput(
            "finetune.quantization=nf4 needs the package bitsandbytes: pip install 'ds2[qlora]'"
        ) from error
    return BitsAndBytesConfig(
        load_in_4bit=True,
        bnb_4bit_quant_type="nf4",
        bnb_4bit_use_double_quant=True,
        bnb_4bit_compute_dtype=compute_dtype,
    )


def _first_line(error: Exception) -> str:
    return next((line.strip() for line in str(error).splitlines() if line.strip()), type(error).__name__)
