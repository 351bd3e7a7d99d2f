"""`ds2 verify` and `ds2 diff` as a person types them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from ds2.cli import main as cli


@pytest.fixture
def arguments(planted_pool: Path, monkeypatch) -> list[str]:
    monkeypatch.chdir(planted_pool.parent)
    return ["pool=jsonl", f"pool.path={planted_pool}", "until=select", "finetune=none", "eval=none",
            "selection=ds2_without_curation", "rater=from_column", "rater.column=true_score", "scale.low=0",
            "scale.high=5", "tracking=none", "runtime.progress=false"]  # fmt: skip


def test_two_runs_are_told_apart_by_choices_inputs_and_results_and_verified(arguments, capsys):
    for budget in ("20", "30"):
        assert cli.run([*arguments, f"budget.samples={budget}"]) == 0
    capsys.readouterr()
    pages = sorted(str(path) for path in Path("artifacts/report").iterdir())
    assert cli.run(["diff", *pages]) == 1
    table = capsys.readouterr().out
    assert "budget.samples" in table
    assert "the subsets share 20 of 20 and 30 samples" in table
    assert cli.run(["diff", *pages, "--json"]) == 1
    found = json.loads(capsys.readouterr().out)
    assert found["choices"] == {"budget.samples": [20.0, 30.0]}
    assert found["execution"] == found["versions"] == {}
    assert set(found["inputs"]) == {"select", "report"}
    assert found["results"] == {"select.selected": [20, 30]}
    assert cli.run(["diff", pages[0], pages[0]]) == 0
    assert "the same in choices" in capsys.readouterr().out
    assert cli.run(["verify", pages[0]]) == 0
    assert capsys.readouterr().out.endswith("equal\n")


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["diff", "a"], "takes two runs"),
        (["verify"], "takes an artifact"),
        (["verify", "0000", "chian"], "takes an artifact"),
        (["verify", "0000", "--json"], "takes no --json"),
        (["diff", "0000", "1111"], "0 artifacts"),
        (["until=rate", "--json"], "--json goes with ds2 list, show and diff"),
    ],
)
def test_what_cannot_be_told_is_said_in_a_line(arguments, words, said, capsys):
    assert cli.run(words) == 2
    assert said in capsys.readouterr().err
