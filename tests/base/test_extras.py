"""Every extra of pyproject.toml is known, and a missing module names the one to install."""

from __future__ import annotations

import re
import tomllib

import pytest

from ds2.base.extras import absent, advice, expanded, extras
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


def test_an_extra_holds_the_packages_of_those_it_includes():
    requirements = [
        "numpy", "torch==2.13.0; extra == 'train'", "ds2[train]; extra == 'eval'",
        "lm-eval==0.4.13; extra == 'eval'", "ds2[eval,train]; extra == 'all'",
        "openai[aiohttp]>=3; extra == 'all'",
    ]  # fmt: skip
    assert expanded(["train", "eval", "all"], requirements) == {
        "train": ("torch",),
        "eval": ("torch", "lm-eval"),
        "all": ("torch", "lm-eval", "openai"),
    }


def test_all_leaves_out_what_the_page_says_it_does_and_every_extra_is_on_the_page():
    page = (project_root() / "docs" / "install.md").read_text(encoding="utf-8")
    rows = dict(re.findall(r"^\| `(\w+)` \|.*\| (yes|no) \|$", page, re.M))
    assert rows.keys() == declared().keys() - {"all"}
    (everything,) = declared()["all"]
    included = set(re.search(r"\[(.*)\]", everything)[1].split(","))
    assert included == {extra for extra, told in rows.items() if told == "yes"}


def test_a_module_of_no_extra_has_no_advice():
    assert advice(ModuleNotFoundError("No module named 'mine'", name="mine")) is None


def test_what_is_installed_is_not_absent():
    assert "pytest" in extras()["dev"]
    assert "pytest" not in absent("dev")
