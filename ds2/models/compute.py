"""What a stage computed: tokens, operations, dollars and on what. The block `compute` of its record.

Operations are counted from tokens and sizes of models (`ds2.models.flops`), never from time, so that the same
artifact counts the same wherever it is made. What nobody can tell is None and never 0.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass
from typing import TypedDict

from ds2.base.errors import MissingInput
from ds2.models import flops
from ds2.models.pretrained import load_shape, model_of
from ds2.models.quiet import quiet_transformers

SERVER = "server"
"""The device of a model behind an API."""


class Block(TypedDict):
    """What computing an artifact took, as its record says it."""

    tokens: int | None
    seconds: float
    flops: float | None
    dollars: float | None
    device: str


@dataclass(frozen=True)
class Compute:
    """Of one stage; None: not known."""

    tokens: int | None
    """Read, written or trained on by models, padding and caches left aside."""
    flops: float | None
    """Floating-point operations."""
    dollars: float | None = 0.0
    """Paid to somebody; a machine of one's own has no price here."""
    device: str = "cpu"
    """The accelerator's name, `cpu`, or `server`."""

    def block(self, seconds: float) -> Block:
        """As it stands in the record, with the wall time of the stage."""
        return {
            "tokens": self.tokens, "seconds": round(seconds, 3), "flops": self.flops,
            "dollars": self.dollars, "device": self.device,
        }  # fmt: skip


NO_MODEL = Compute(0, 0.0)
"""No model ran: what a CPU does besides (TF-IDF, curation, choosing) is told in seconds alone."""
UNKNOWN = Compute(None, None, None)
"""Nobody counted."""


def from_block(block: Block | None) -> Compute:
    """The same; `UNKNOWN` for an artifact of before there was such a block."""
    if block is None:
        return UNKNOWN
    return Compute(block["tokens"], block["flops"], block["dollars"], block["device"])


class Meter:
    """Adds up what models do in a stage; until something is counted, nothing is known."""

    def __init__(self) -> None:
        self.tokens: int | None = None
        self.flops: float | None = None

    def read(self, parameters: int, tokens: int) -> None:
        """A forward pass."""
        self.add(Compute(tokens, flops.reading(parameters, tokens)))

    def train(self, parameters: int, tokens: int) -> None:
        """A forward and a backward pass, whatever is trained."""
        self.add(Compute(tokens, flops.training(parameters, tokens)))

    def add(self, done: Compute) -> None:
        """What was counted elsewhere, all of it known."""
        self.tokens = (self.tokens or 0) + (done.tokens or 0)
        self.flops = (self.flops or 0.0) + (done.flops or 0.0)

    def total(self, device: str) -> Compute:
        """All of it, done on this machine."""
        return Compute(self.tokens, self.flops, 0.0, device_name(device))


def device_name(device: str) -> str:
    """What torch's word for a device stands for here: the GPU's own name, or the word (`cpu`, `mps`)."""
    if device != "auto" and not device.startswith("cuda"):
        return device
    if "torch" not in sys.modules:  # which nothing can have run on a GPU without
        return "cpu"
    import torch

    if not torch.cuda.is_available():
        return "cpu"
    return str(torch.cuda.get_device_name(int(device.partition(":")[2] or 0)))


def parameters_of(name: str, revision: str | None) -> int:
    """How many parameters a causal language model has, from its configuration alone: no weights are read. Of
    a mixture of experts all of them.

    Args:
        name: local directory, or name on the hub.

    Raises:
        MissingInput: it has no configuration that transformers can make a model of.
    """
    import torch

    with quiet_transformers():
        try:
            config = load_shape(name, revision)
            with torch.device("meta"):
                model = model_of(config)
        except (OSError, ValueError) as error:
            raise MissingInput(
                f"how many parameters {name} has cannot be told: {str(error).splitlines()[0]}"
            ) from error
    return int(sum(parameter.numel() for parameter in model.parameters()))
