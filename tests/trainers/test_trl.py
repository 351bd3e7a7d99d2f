"""TRL's `SFTTrainer` over its export: the lines to paste are run, on a CPU."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from helpers.exported import KINDS, answer, decoded, finished_subset, user

from ds2.export import export


@pytest.fixture
def model(tiny_model: Path, tokenizer: Any, tmp_path: Path) -> Path:
    """The tiny model with the template."""
    import shutil

    folder = tmp_path / "model"
    shutil.copytree(tiny_model, folder)
    tokenizer.save_pretrained(folder)
    return folder


def run(stanza: str, model: Path) -> Any:
    """The trainer that the pasted lines make."""
    names: dict[str, Any] = {}
    on_cpu = stanza.replace("SFTConfig(", "SFTConfig(use_cpu=True, bf16=False, report_to='none', ")
    exec(on_cpu.replace("MODEL", str(model)), names)
    return names["trainer"]


def texts(trainer: Any, tokenizer: Any) -> list[tuple[str, str]]:
    return [decoded(tokenizer, row["input_ids"], row["labels"]) for row in trainer.train_dataset]


def test_rows_roles_masks_tools_and_system_prompts_are_ours(
    every_kind, tokenizer, ours, model, tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    done = export(every_kind, "trl", tmp_path / "out")
    trainer = run(done.stanza, model)
    expected = dict(zip(KINDS, ours(every_kind), strict=True))
    expected["untrained"] = (expected["untrained"][0], "wrong</s>right</s>")  # said in the tally
    assert dict(zip(KINDS, texts(trainer, tokenizer), strict=True)) == expected


def test_rows_that_train_their_last_answer_alone_do_so(tokenizer, ours, model, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    last = [{"id": str(i), "messages": [user("one?"), answer("x", weight=0), user("two?"), answer("y")]}
            for i in range(2)]  # fmt: skip
    subset = finished_subset(tmp_path / "store", last)
    done = export(subset, "trl", tmp_path / "out")
    assert texts(run(done.stanza, model), tokenizer) == ours(subset)
