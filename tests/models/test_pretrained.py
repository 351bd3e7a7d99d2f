"""A model that brings Python of its own: none of it runs, whoever loads the model and whatever is typed."""

from __future__ import annotations

import ast
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from ds2.base.errors import UserError
from ds2.base.paths import project_root

CODE = """
import pathlib
pathlib.Path({mark!r}).write_text("ran")
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast
class OwnConfig(LlamaConfig):
    model_type = "{kind}"
class OwnModel(LlamaForCausalLM):
    config_class = OwnConfig
class OwnTokenizer(PreTrainedTokenizerFast):
    pass
"""
_SAID = r"it brings Python code of its own .* which DS2 does not run"


@pytest.fixture
def own_code(tiny_model: Path, tmp_path: Path) -> Path:
    """The random Llama as an architecture that its folder's own code makes, which leaves `ran` behind."""
    return with_code(tiny_model, tmp_path / "own", "own_llama")


def with_code(model: Path, folder: Path, kind: str) -> Path:
    shutil.copytree(model, folder)
    config = json.loads((folder / "config.json").read_text())
    named = {
        "AutoConfig": "own.OwnConfig",
        "AutoModelForCausalLM": "own.OwnModel",
        "AutoModel": "own.OwnModel",
    }
    config |= {"model_type": kind, "architectures": ["OwnModel"], "auto_map": named}
    (folder / "config.json").write_text(json.dumps(config))
    file = folder / "tokenizer_config.json"
    tokens = json.loads(file.read_text())
    tokens |= {"tokenizer_class": "OwnTokenizer", "auto_map": {"AutoTokenizer": ["own.OwnTokenizer", None]}}
    file.write_text(json.dumps(tokens))
    (folder / "own.py").write_text(CODE.format(mark=str(folder / "ran"), kind=kind))
    return folder


def test_every_loader_refuses_it_in_one_line(own_code, tmp_path):
    from ds2.config.compose import compose
    from ds2.models import digest, encoder, pretrained, trained_tokens
    from ds2.models.chat import Place
    from ds2.models.chat.local import tokenizer, transformers_model
    from ds2.models.compute import Meter, parameters_of
    from finetune.base import load_base
    from finetune.checks import model_problems

    name, config = str(own_code), compose([])
    local = compose(["rater=local", f"rater.model={own_code}"]).rater
    loads = [
        lambda: pretrained.load_tokens(name),
        lambda: pretrained.load_model(name),
        lambda: pretrained.load_shape(name),
        lambda: digest.stored_digest(name, None),
        lambda: trained_tokens.load_tokenizer(name, None),
        lambda: tokenizer.load_tokenizer(local, None, Place(own_code)),
        lambda: transformers_model._load_model(local, None),
        lambda: parameters_of(name, None),
        lambda: load_base(name, None, config.finetune),
    ]
    for load in loads:
        with pytest.raises(UserError, match=_SAID) as refusal:
            load()
        assert len(str(refusal.value).splitlines()) == 1
        assert "trust_remote_code" not in str(refusal.value)
    (problem,) = model_problems(config.finetune, name, None)
    assert "it brings Python code of its own" in problem
    pytest.importorskip("sentence_transformers")
    with pytest.raises(UserError, match=rf"^embedder\.model=.*{_SAID}"):
        list(
            encoder.encode(
                ["a"], tmp_path, model=name, revision=None, max_tokens=None, batch_size=1, device="cpu",
                progress=False, meter=Meter(), identity="",
            )
        )  # fmt: skip
    assert not (own_code / "ran").exists()


def test_the_evaluation_s_engine_refuses_it(own_code, tmp_path):
    pytest.importorskip("lm_eval")
    from ds2.config.compose import compose
    from eval.engines import load_engine
    from eval.spec import EvalSpec

    config = compose(["eval=tiny"]).eval
    spec = EvalSpec(
        base_model=str(own_code), revision=None, adapter=None, output_dir=str(tmp_path), seed=0, config=config
    )
    with pytest.raises(UserError, match=_SAID):
        load_engine(spec)
    assert not (own_code / "ran").exists()


def test_a_model_that_transformers_has_is_loaded_without_the_code_beside_it(tiny_model, tmp_path):
    from ds2.models.pretrained import load_model, load_shape, model_of

    folder = with_code(tiny_model, tmp_path / "own", "llama")
    assert type(load_model(folder)).__name__ == "LlamaForCausalLM"
    assert type(model_of(load_shape(folder))).__name__ == "LlamaForCausalLM"
    assert not (folder / "ran").exists()


@pytest.mark.parametrize("typed", ["y\n", ""], ids=["y", "no terminal"])
def test_the_command_asks_nobody_and_ends_with_2(own_code, planted_pool, tmp_path, typed):
    command = [
        sys.executable, "-m", "ds2", "pool=jsonl", f"pool.path={planted_pool}", "rater=truth",
        "selection=random", "budget.samples=8", "model=local", f"model.path={own_code}", "model.name=own",
        "finetune=tiny", "eval=none", "tracking=none",
    ]  # fmt: skip
    environment = {**os.environ, "PYTHONPATH": str(project_root())}
    ended = subprocess.run(
        command,
        cwd=tmp_path,
        env=environment,
        input=typed,
        text=True,
        capture_output=True,
        timeout=280,
        check=False,
    )
    said = ended.stdout + ended.stderr
    assert ended.returncode == 2, said
    assert said.count("it brings Python code of its own") == 1
    assert said.count("error ") == 1
    assert "[y/N]" not in said
    assert not (own_code / "ran").exists()


def test_only_one_module_asks_transformers_to_load():
    """`AutoModel.from_pretrained` and its like, which ask on the terminal where they are told nothing."""
    root = project_root()
    calls = [
        f"{path.relative_to(root)}: {ast.unparse(node.func)}"
        for folder in ("ds2", "finetune", "eval", "experiments")
        for path in sorted((root / folder).rglob("*.py"))
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Call) and ast.unparse(node.func).startswith("Auto")
    ]
    assert {call.partition(":")[0] for call in calls} == {"ds2/models/pretrained.py"}
