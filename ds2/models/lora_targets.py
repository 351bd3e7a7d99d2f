"""Which layers LoRA trains: the names asked for, against the layers that a base model has.

A name stands for every linear layer (or embedding) called so, in whatever block. The experts of a mixture may
be one parameter of three dimensions (experts, rows, columns): those are named `experts.gate_up_proj`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from ds2.base.errors import UserError

ALL_LINEAR = "all-linear"
"""Every linear layer and every expert, but for the output head and the routers between experts."""
_ROUTERS = {"gate", "router", "shared_expert_gate"}


@dataclass(frozen=True)
class Targets:
    """Names as PEFT takes them, sorted."""

    modules: tuple[str, ...]
    """Names of layers."""
    parameters: tuple[str, ...]
    """Names of experts that are one parameter."""

    @property
    def names(self) -> tuple[str, ...]:
        return self.modules + self.parameters


def find_targets(model: Any, asked: Sequence[str], *, option: str) -> Targets:
    """The layers of a model (on any device, `meta` too) that these names stand for.

    Raises UserError, naming `option`, where a name stands for no layer; it lists those that the model has.
    """
    linear, experts = linear_names(model), expert_names(model)
    if list(asked) == [ALL_LINEAR]:
        return Targets(tuple(linear), tuple(experts))
    layers = list(_adaptable(model))
    modules = [name for name in asked if any(_named(layer, name) for layer in layers)]
    parameters = [expert for expert in experts if any(_named(expert, name) for name in asked)]
    unknown = [
        name for name in asked if name not in modules and not any(_named(expert, name) for expert in experts)
    ]
    if unknown:
        raise UserError(
            f"{option}: {', '.join(unknown)} {'is' if len(unknown) == 1 else 'are'} no layer "
            f"of this base model ({model.config.model_type}); it has {', '.join([*linear, *experts])}; "
            f"{option}=[{ALL_LINEAR}] takes them all"
        )
    return Targets(tuple(sorted(set(modules))), tuple(parameters))


def linear_names(model: Any) -> list[str]:
    """Names of a model's linear layers, sorted, without output head and routers."""
    head = model.get_output_embeddings()
    named = {name: layer for name, layer in _linear(model) if layer is not head}
    return sorted({name.rpartition(".")[2] for name in named} - _ROUTERS)


def expert_names(model: Any) -> list[str]:
    """Names of a model's experts that are one parameter, sorted: `experts.down_proj`."""
    parameters = (name.split(".") for name, value in model.named_parameters() if value.ndim == 3)
    return sorted({".".join(parts[-2:]) for parts in parameters})


def trained_names(model: Any) -> set[str]:
    """Full names of the layers of a PEFT model that LoRA trains, as the base model calls them; an expert by
    its parameter.
    """
    trained = set()
    for name, layer in model.get_base_model().named_modules():
        if hasattr(layer, "lora_A"):
            parameter = getattr(layer, "parameter_name", None)
            inner = name.replace(".base_layer", "")
            trained.add(inner if parameter in (None, "weight") else f"{inner}.{parameter}")
    return trained


def _adaptable(model: Any) -> Iterator[str]:
    from torch import nn

    yield from (name for name, _ in _linear(model))
    yield from (name for name, layer in model.named_modules() if isinstance(layer, nn.Embedding))


def _linear(model: Any) -> Iterator[tuple[str, Any]]:
    from torch import nn
    from transformers.pytorch_utils import Conv1D

    for name, layer in model.named_modules():
        if isinstance(layer, nn.Linear | Conv1D):
            yield name, layer


def _named(layer: str, name: str) -> bool:
    return layer == name or layer.endswith(f".{name}")
