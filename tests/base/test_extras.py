"""Every extra of pyproject.toml is known, and a missing module names the one to install."""

from __future__ import annotations

import tomllib

import pytest

from ds2.base.extras import absent, advice, extras
from ds2.base.paths import project_root


def declared() -> dict[str, list[str]]:
    project = tomllib.loads((project_root() / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    return project["optional-dependencies"]


def test_every_declared_extra_is_known():
    assert extras().keys() == declared().keys()
    assert all(extras().values())


@pytest.mark.parametrize(
    ("module", "extra"),
    [
        ("torch", "train"),
        ("sentence_transformers", "train"),
        ("huggingface_hub.errors", "train"),
        ("lm_eval.tasks", "eval"),
        ("openai", "api"),
        ("aiohttp", "api"),
        ("bitsandbytes", "qlora"),
        ("vllm", "vllm"),
        ("ray", "ray"),
        ("wandb_workspaces", "dashboards"),
    ],
)
def test_a_missing_module_names_the_smallest_extra_that_brings_it(module, extra):
    line = advice(ModuleNotFoundError(f"No module named {module!r}", name=module))
    assert line == f"this needs the package {module.split('.')[0]}: pip install 'ds2[{extra}]'"


def test_a_module_of_no_extra_has_no_advice():
    assert advice(ModuleNotFoundError("No module named 'mine'", name="mine")) is None


def test_what_is_installed_is_not_absent():
    assert not {"pytest", "ruff", "mypy"} & set(absent("dev"))
