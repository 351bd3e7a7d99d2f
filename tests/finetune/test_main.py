from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from finetune.__main__ import main
from finetune.spec import FinetuneSpec, write_spec

MakeSpec = Callable[..., FinetuneSpec]


def run(spec: FinetuneSpec, tmp_path: Path) -> int:
    write_spec(spec, tmp_path / "spec.json")
    return main([str(tmp_path / "spec.json")])


def test_a_spec_file_is_trained(make_spec: MakeSpec, tmp_path: Path) -> None:
    spec = make_spec(max_steps=1)
    assert run(spec, tmp_path) == 0
    assert (Path(spec.output_dir) / "adapter" / "adapter_model.safetensors").is_file()


def test_what_the_user_can_change_is_one_line_and_exit_code_2(
    make_spec: MakeSpec, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(make_spec(device_batch=3), tmp_path) == 2
    lines = capsys.readouterr().err.strip().splitlines()
    assert len(lines) == 1
    assert lines[0].startswith("finetune: finetune.total_batch=8")


def test_an_unknown_key_is_named(
    make_spec: MakeSpec, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_spec(make_spec(), tmp_path / "spec.json")
    spec = json.loads((tmp_path / "spec.json").read_text())
    spec["config"]["learning_rat"] = 1.0
    (tmp_path / "spec.json").write_text(json.dumps(spec))
    assert main([str(tmp_path / "spec.json")]) == 2
    assert "FinetuneSpec.config.learning_rat: no such field" in capsys.readouterr().err


def test_no_spec_is_a_usage_line(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([]) == 2
    assert capsys.readouterr().err.startswith("usage: python -m finetune")
