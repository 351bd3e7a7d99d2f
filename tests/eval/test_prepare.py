from __future__ import annotations

import json
from pathlib import Path

import pytest

import ds2.base.hub
from ds2.base.errors import MissingInput
from ds2.config import EvalConfig
from eval.prepare import prepare_tasks


def test_the_judges_of_truthfulqa_are_fetched_with_its_questions(
    tmp_path: Path, tiny_model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []

    def fetch(name: str, revision: str | None, *, kind: str) -> Path:
        asked.append(name)
        raise MissingInput(f"{name} is not on this machine")

    monkeypatch.setattr(ds2.base.hub, "fetch", fetch)
    (tmp_path / "truthfulqa.jsonl").write_text(json.dumps({"question": "Why?", "best_answer": "So."}) + "\n")
    config = EvalConfig(
        name="t",
        tasks=["paper_truthfulqa"],
        data_dir=str(tmp_path),
        truth_judge="some/judge",
        info_judge=str(tiny_model),
    )
    with pytest.raises(MissingInput, match="judge of paper_truthfulqa: some/judge is not on this machine"):
        prepare_tasks(config, base_model=str(tiny_model), revision=None)
    assert asked == ["some/judge"]
    config.truth_judge = str(tiny_model)
    assert prepare_tasks(config, base_model=str(tiny_model), revision=None) == "1 tasks"
