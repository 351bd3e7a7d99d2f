"""The whole chain for real, small: a tiny model is fine-tuned on the selected subset, evaluated, reported
and tracked.
"""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from ds2.cli import main as cli
from experiments.__main__ import main as experiments

torch = pytest.importorskip("torch")


@pytest.fixture(scope="module")
def arguments(tmp_path_factory) -> list[str]:
    from helpers.planted import planted_rows

    folder = tmp_path_factory.mktemp("chain")
    pool = folder / "planted.jsonl"
    pool.write_text("".join(json.dumps(row) + "\n" for row in planted_rows(240, 6)))
    return ["pool=jsonl", f"pool.path={pool}", "budget.samples=20", "model=tiny", "finetune=tiny",
            "finetune.max_steps=3", "eval=tiny", "eval.data_samples=4", "runtime.progress=false",
            f"paths.artifacts={folder}/artifacts", f"paths.wandb={folder}/wandb"]  # fmt: skip


def states(out: str) -> dict[str, str]:
    """Stage -> its state, in order; stages reused in a row are one line, `reused   rate, embed  12 ms`."""
    said = {}
    for words in (line.split() for line in out.splitlines()):
        if words[1:2] == ["computed"]:
            said[words[0]] = "computed"
        elif words[:1] == ["reused"]:
            last = next(i for i, word in enumerate(words) if i and not word.endswith(","))
            said |= {word.rstrip(","): "reused" for word in words[1 : last + 1]}
    return said


def test_from_a_pool_to_a_report_and_again_from_the_store(arguments, capsys):
    chain = ["rate", "embed", "knn", "curate", "select", "model", "finetune", "evaluate", "report"]
    assert cli.run(arguments) == 0
    out = capsys.readouterr().out
    assert states(out) == dict.fromkeys(chain, "computed")
    assert "mini_familiar" in out
    report = next(
        Path(line.removeprefix("report: ")) for line in out.splitlines() if line.startswith("report: ")
    )
    html = report.read_text(encoding="utf-8")
    for section in ("evaluation", "scores", "rater", "selection", "samples", "training", "stages"):
        assert f'id="{section}"' in html
    wandb = next(Path(a.removeprefix("paths.wandb=")) for a in arguments if a.startswith("paths.wandb="))
    assert len(list(wandb.glob("wandb/offline-run-*"))) == 1

    assert cli.run(arguments) == 0
    assert states(capsys.readouterr().out) == dict.fromkeys(chain, "reused")
    assert len(list(wandb.glob("wandb/offline-run-*"))) == 1


def test_another_seed_trains_again_and_selects_nothing_anew(arguments, capsys):
    assert cli.run([*arguments, "seed=7", "tracking=none"]) == 0
    state_of = states(capsys.readouterr().out)
    assert {stage for stage, state in state_of.items() if state == "computed"} == {
        "finetune",
        "evaluate",
        "report",
    }


def test_the_base_model_alone_is_evaluated(arguments, capsys):
    assert cli.run([*arguments, "selection=base", "tracking=none"]) == 0
    assert list(states(capsys.readouterr().out)) == ["model", "evaluate", "report"]


def test_a_sweep_ends_in_a_table_and_a_page(arguments, capsys, tmp_path, monkeypatch):
    conf = tmp_path / "conf" / "sweep"
    conf.mkdir(parents=True)
    (conf / "small.yaml").write_text(
        "title: Small\nnote: read this\ngrids:\n  - {selection: [base, random, ds2]}\n"
    )
    monkeypatch.setattr("ds2.config.sweep.conf_folders", lambda: {"ds2": tmp_path / "conf"})
    assert cli.run(["sweep=small", *arguments, "tracking=none"]) == 0
    out = capsys.readouterr().out
    assert "3 runs: 3 done" in out
    assert "read this" in out
    page = next(
        Path(line.removeprefix("report: ")) for line in out.splitlines() if line.startswith("report: ")
    )
    of_runs = page.read_text(encoding="utf-8").split('<section id="runs"')[1]
    assert of_runs.count("<tr data-runs=") == 3
    assert [
        line.split("|")[1].strip() for line in page.with_name("table.md").read_text().splitlines()[2:]
    ] == [
        "base",
        "random",
        "ds2 (rank)",
    ]
    for table in page.parents[2].glob("select/*/subset.parquet"):
        table.chmod(0o644)
        table.write_bytes(b"x")
    assert experiments(["report", "small", *arguments, "tracking=none"]) == 2
    err = capsys.readouterr().err.strip()
    assert err.splitlines() == [err]
    assert "does not match its checksum" in err


def test_child_processes_give_the_same_adapter_as_this_one(arguments, tmp_path, capsys):
    """`runtime.isolate` is how to execute, not what: the same fingerprint and the same weights."""
    from safetensors.torch import load_file

    weights = []
    for isolate in ("false", "true"):
        store = [
            f"paths.artifacts={tmp_path}/{isolate}",
            "tracking=none",
            f"runtime.isolate={isolate}",
            "until=finetune",
        ]
        assert cli.run([*arguments, *store]) == 0
        (adapter,) = Path(f"{tmp_path}/{isolate}/finetune").glob("*/adapter/adapter_model.safetensors")
        weights.append((adapter.parent.parent.name, load_file(adapter)))
    (name, one), (other_name, other) = weights
    assert name == other_name
    assert all(torch.allclose(one[key], other[key], atol=1e-5) for key in one)
