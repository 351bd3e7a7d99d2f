"""Trainers' own code over exports; what DS2's recipe trains of the same rows."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from importlib.machinery import ModuleSpec
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from helpers.exported import finished_subset, rows

from ds2.base.paths import project_root

INSTALLED = find_spec("llamafactory") is not None
if INSTALLED:
    os.environ["DISABLE_VERSION_CHECK"] = "1"  # LLaMA-Factory's own switch: it asks for older transformers
    # It imports torchaudio for sound alone, and there is no build of that for this torch.
    sys.modules["torchaudio"] = ModuleType("torchaudio")
    sys.modules["torchaudio"].__spec__ = ModuleSpec("torchaudio", None)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark everything here, and say why it is skipped where the trainers are absent."""
    here = Path(__file__).parent
    for item in items:
        if here in item.path.parents:
            item.add_marker(pytest.mark.trainers)
            if not INSTALLED:
                item.add_marker(pytest.mark.skip(reason="make test-trainers brings the trainers"))


TULU = (
    (project_root() / "ds2" / "models" / "templates" / "tulu.jinja").read_text(encoding="utf-8").rstrip("\n")
)
MARKED = """\
{%- if bos_token %}{{- bos_token }}{%- endif %}
{%- for message in messages %}
{%- if not loop.first %}{{- '\\n' }}{%- endif %}
{%- set parts = namespace(text=message['content'] or '') %}
{%- for call in message['tool_calls'] or [] %}
{%- set parts.text = parts.text + ('\\n' if parts.text else '') + '<tool_call>\\n{"name": '
    + call['function']['name'] | tojson + ', "arguments": ' + call['function']['arguments'] | tojson
    + '}\\n</tool_call>' %}
{%- endfor %}
{{- '<|' + message['role'] + '|>\\n' }}
{%- if message['role'] == 'assistant' %}{% generation %}{{ parts.text | trim + eos_token }}{% endgeneration %}
{%- else %}{{- parts.text | trim }}{%- endif %}
{%- endfor %}
{%- if add_generation_prompt %}{{- '\\n<|assistant|>\\n' }}{%- endif %}"""
"""The Tulu template with the marks that TRL asks for, and arguments as objects, as TRL and Axolotl hand them
over.
"""


@pytest.fixture(scope="session")
def tokenizer() -> Any:
    from ds2.models.tiny import byte_tokenizer

    tokenizer = byte_tokenizer()
    tokenizer.chat_template = MARKED
    return tokenizer


@pytest.fixture(scope="session")
def ours() -> Callable[[Path], list[tuple[str, str]]]:
    """(the whole text, what is trained of it) of each row of a subset, by DS2's own recipe."""
    from ds2.artifacts.subset import read_conversations
    from ds2.artifacts.written_samples import present_fields
    from ds2.models.tiny import byte_tokenizer
    from ds2.models.trained_tokens import decode_trained, encode_samples

    tokenizer = byte_tokenizer()
    tokenizer.chat_template = TULU

    def trained(subset: Path) -> list[tuple[str, str]]:
        messages = [[present_fields(turn) for turn in turns] for _, turns in read_conversations(subset)]
        encoded = encode_samples(tokenizer, messages, max_tokens=4096)
        whole = [tokenizer.decode(ids) for ids in encoded.ids]
        return list(zip(whole, decode_trained(tokenizer, encoded), strict=True))

    return trained


@pytest.fixture(scope="module")
def every_kind(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished subset of every kind of row."""
    return finished_subset(tmp_path_factory.mktemp("store"), rows())
