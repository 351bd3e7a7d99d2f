"""What transformers loads of a folder or a name on the hub: weights, tokens and shapes, never code.

A model may bring Python of its own (`auto_map` in its JSON), which transformers runs where it is told to, and
asks on the terminal where it is told nothing. DS2 says no, everywhere: every model and tokenizer is loaded
here, or within `data_only`.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from ds2.base.errors import UserError

NO_CODE = {"trust_remote_code": False}


class BringsCode(UserError):
    """A model whose files are of no use without Python code that comes with them."""


@contextmanager
def data_only() -> Iterator[None]:
    """Raise BringsCode where transformers, or what stands on it, will not load a model without its code."""
    try:
        yield
    except ValueError as error:
        if "trust_remote_code" not in str(error):
            raise
        raise BringsCode(
            "it brings Python code of its own (`auto_map` in its JSON), which DS2 does not run: take a "
            "model of an architecture that transformers has"
        ) from error


def load_tokens(name: str | Path, revision: str | None = None, **options: Any) -> Any:
    """The tokenizer of a local folder or a name on the hub; `options` are those of transformers.

    Raises:
        BringsCode: see there.
        OSError, ValueError: there is none that transformers can load.
    """
    from transformers import AutoTokenizer

    with data_only():
        return AutoTokenizer.from_pretrained(name, revision=revision, **options, **NO_CODE)


def load_model(name: str | Path, revision: str | None = None, **options: Any) -> Any:
    """The causal language model. Raises what `load_tokens` does."""
    from transformers import AutoModelForCausalLM

    with data_only():
        return AutoModelForCausalLM.from_pretrained(name, revision=revision, **options, **NO_CODE)


def load_shape(name: str | Path, revision: str | None = None) -> Any:
    """The model's configuration. Raises what `load_tokens` does."""
    from transformers import AutoConfig

    with data_only():
        return AutoConfig.from_pretrained(name, revision=revision, **NO_CODE)


def model_of(shape: Any, **options: Any) -> Any:
    """A causal language model of a configuration, with weights of no meaning. Raises BringsCode."""
    from transformers import AutoModelForCausalLM

    with data_only():
        return AutoModelForCausalLM.from_config(shape, **options, **NO_CODE)
