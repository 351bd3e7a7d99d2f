"""What would fail late is said before the first stage, each wrong choice by one line that names it."""

from __future__ import annotations

from pathlib import Path

import pytest

from ds2.config import RunConfig
from ds2.config.command_line import as_they_stand
from ds2.config.compose import compose
from ds2.runs.preflight import Preflight, disk, machine
from ds2.runs.preflight.finding import Run

POOL = ["pool=jsonl", "rater=from_column", "rater.column=true_score", "selection=ds2", "tracking=none",
        "budget.samples=20", "knn.k=20"]  # fmt: skip
TRAIN = "model=tiny finetune=tiny finetune.max_steps=2 eval=tiny".split()


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    import json

    from helpers.planted import planted_rows

    folder = tmp_path_factory.mktemp("preflight")
    rows = [{**row, "word": "x", "text": str(row["true_score"])} for row in planted_rows(240, 6)]
    (folder / "pool.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    return folder


def chosen(folder: Path, choices: str) -> RunConfig:
    paths = [f"pool.path={folder}/pool.jsonl", f"paths.artifacts={folder}/artifacts"]
    return compose(as_they_stand([*POOL, *TRAIN, *paths, *choices.split()]))


def problems(folder: Path, choices: str) -> list[str]:
    return list(Preflight().look(chosen(folder, choices))[1].problems)


def test_a_run_that_can_work_has_no_problem(folder):
    chain, found = Preflight().look(chosen(folder, ""))
    assert chain is not None
    assert found.problems == found.warnings == ()


@pytest.mark.parametrize(
    ("choices", "start"),
    [
        ("eval.tasks=[]", "eval.tasks is empty"),
        ("eval.backend=vllm", "eval.backend=vllm needs vLLM: pip install"),
        ("eval.limit=0", "eval.limit=0 must be"),
        ("eval.dtype=float12", "eval.dtype=float12 is unknown"),
        ("finetune.template=nope", "finetune.template=nope is unknown"),
        ("finetune.template=model", "the base models made here have no chat template"),
        ("finetune.schedule=foo", "finetune.schedule=foo is unknown"),
        ("finetune.rank=0", "finetune.rank=0 must be"),
        ("finetune.max_steps=0", "finetune.max_steps=0 must be"),
        ("finetune.learning_rate=-1", "finetune.learning_rate=-1 must be"),
        ("finetune.target_modules=[nope]", "finetune.target_modules: nope"),
        ("finetune.runtime.attention=flash_attention_2", "finetune.runtime.attention=flash"),
        ("finetune.runtime.device_batch=7", "finetune.total_batch=16"),
        ("eval.data_dir=/nowhere eval.tasks=[paper_gsm8k]", "eval.data_dir=/nowhere: no such folder"),
        ("runtime.isolate=maybe", "runtime.isolate=maybe is none of"),
        ("knn.k=0", "knn.k=0 must be at least 1"),
        ("curation.k=50", "curation.k=50 reads 49 neighbours"),
        ("curation.confidence=2", "curation.confidence must be in 0..1"),
        ("curation.bootstrap=-1", "curation.bootstrap=-1 must not be negative"),
        ("embedder.min_df=500", "embedder.min_df=500 and embedder.max_df=1 leave no term"),
        ("embedder.min_df=1 embedder.max_df=0.004", "embedder=tfidf_svd finds no vocabulary|embedder.min_df"),
        ("embedder.dimensions=0", "embedder.dimensions=0 must be"),
        ("rater.column=nope", "rater.column=nope: no row of the pool has the column"),
        ("rater.column=word", "rater.column=word: column word of 'p0'"),
        ("budget.samples=241", "budget.samples=241 is more than the pool's 240 samples"),
        ("tracking=wandb", "tracking=wandb: nobody is logged in"),
        ("selection=ds2_refined selection.diversity_weight=3", "selection.diversity_weight=3"),
        ("selection=knn selection.k=90", "selection.k=90: the graph stores 20"),
        ("selection=random selection.filter.near_duplicates=2", "selection.filter.near_duplicates=2 must"),
        ("selection=random selection.filter.source_cap=-1", "selection.filter.source_cap=-1 must"),
        ("selection=less selection.target=/no/file.jsonl", "/no/file.jsonl: no such file"),
        ("model=mini finetune=mini", "model=mini knows the words of the generated pool"),
        ("model=local model.path=/no/where", "model /no/where: no such folder"),
        ("model=local model.path=a/b/c", "model a/b/c"),
    ],
)
def test_a_wrong_choice_is_one_line(folder, choices, start, monkeypatch):
    monkeypatch.delenv("WANDB_API_KEY", raising=False)
    monkeypatch.setenv("NETRC", str(folder / "netrc"))
    found = problems(folder, choices)
    assert len(found) == 1, found
    assert found[0].startswith(tuple(start.split("|"))), found[0]


def test_scores_in_text_are_numbers_before_the_run_as_in_it(folder):
    assert problems(folder, "rater.column=text") == []


def test_all_that_is_wrong_is_found_at_once(folder):
    wrong = "seed=-1 knn.k=0 curation.confidence=2 rater.column=nope runtime.isolate=maybe"
    found = problems(folder, f"{wrong} model=local model.path=/no/where")
    for start in ("seed=-1", "knn.k=0", "curation.confidence", "rater.column=nope", "runtime.isolate"):
        assert any(line.startswith(start) for line in found), (start, found)


def test_a_server_that_does_not_answer_stops_a_run_and_is_a_warning_of_a_plan(folder):
    pytest.importorskip("openai")
    served = [*(o for o in POOL if not o.startswith("rater")), f"pool.path={folder}/pool.jsonl", "until=rate",
              f"paths.artifacts={folder}/artifacts", "rater=openai_compatible", "rater.model=m",
              "rater.base_url=http://127.0.0.1:9/v1"]  # fmt: skip
    found = Preflight().look(compose(served))[1]
    assert "no server answers" in found.problems[0]
    planned = Preflight().look(compose([*served, "plan=true"]))[1]
    assert planned.problems == ()
    assert planned.warnings == found.problems
    strict = Preflight().look(compose([*served, "plan=true", "on_warning=fail"]))[1]
    assert strict.problems == (f"{found.problems[0]} (on_warning=fail)",)


def test_a_disk_without_room_is_refused_before_it_is_full(folder, monkeypatch):
    class Usage:
        free = 50_000

    monkeypatch.setattr(disk.shutil, "disk_usage", lambda path: Usage)
    (line,) = problems(folder, "")
    assert "this run writes about" in line
    assert "48.8 KiB are free" in line


@pytest.mark.parametrize("targets", ["[all-linear]", "[q_proj,down_proj]"])
def test_an_adapter_and_its_checkpoints_are_counted_from_the_shapes_of_the_base_model(
    folder, tiny_model, targets
):
    from peft import LoraConfig, get_peft_model
    from transformers import AutoModelForCausalLM

    from ds2.models.lora_targets import find_targets

    local = f"model=local model.path={tiny_model} finetune.rank=4 finetune.target_modules={targets}"
    config = chosen(folder, f"{local} finetune.runtime.save_every_epoch=false "
                            "finetune.runtime.save_minutes=null")  # fmt: skip
    base = AutoModelForCausalLM.from_pretrained(tiny_model)
    names = find_targets(base, config.finetune.target_modules, option="").modules
    trained, _ = get_peft_model(
        base, LoraConfig(r=4, target_modules=list(names))
    ).get_nb_trainable_parameters()
    pending = frozenset({"finetune"})
    assert disk.bytes_wanted(Run(config, pending)) == {"finetune": 4 * trained}
    keeping = chosen(folder, f"{local} finetune.merge=true")
    weights = (tiny_model / "model.safetensors").stat().st_size
    assert disk.bytes_wanted(Run(keeping, pending)) == {"finetune": 4 * trained * 10 + weights}


def test_gradients_that_less_keeps_are_counted(folder):
    config = chosen(folder, f"selection=less selection.target={folder}/pool.jsonl selection.epochs=2 "
                            "selection.projection=100")  # fmt: skip
    wanted = disk.bytes_wanted(Run(config, frozenset({"measure", "knn"})))
    assert wanted == {"knn": 240 * 20 * 8, "measure": 240 * (8 + 2 * 100 * 4)}


def test_a_package_that_is_not_there_is_named_with_what_installs_it(folder, monkeypatch):
    monkeypatch.setattr(machine, "find_spec", lambda name: None if name == "peft" else object())
    (line,) = problems(folder, "")
    assert line.startswith("finetune=tiny needs the package peft: pip install ")


def test_what_is_in_the_store_is_not_looked_at_again(folder):
    done = "until=rate rater=from_column rater.column=true_score"
    chain, _ = Preflight().look(chosen(folder, done))
    assert chain is not None
    chain.run()
    look = Preflight()
    assert look.look(chosen(folder, done))[1].problems == ()
    assert not any(key.startswith(b'["rate"') for key in look._known)


def test_runs_that_agree_are_looked_at_once(folder, monkeypatch):
    look = Preflight()
    look.look(chosen(folder, ""))
    before = dict(look._known)
    assert before
    look.look(chosen(folder, "seed=7"))
    assert look._known == before


def test_a_panel_s_raters_are_each_looked_at_and_are_no_reason_to_stop(folder):
    raters = (
        "[{rater:from_column,column:true_score,name:good},{rater:from_column,column:true_score,name:twin},"
    )
    of_panel = ["rater=panel", f"rater.raters={raters}{{rater:from_column,column:word,name:bad}}]"]
    others = [choice for choice in [*POOL, *TRAIN] if not choice.startswith(("rater", "selection"))]
    paths = [f"pool.path={folder}/pool.jsonl", f"paths.artifacts={folder}/artifacts"]
    _, found = Preflight().look(compose([*others, *paths, *of_panel]))
    assert found.problems == ()
    (line,) = found.warnings
    assert line.startswith("rater bad of the panel: ")
    assert "word" in line


def test_samples_longer_than_the_base_model_s_context_are_said(folder, tmp_path, tiny_model):
    import json
    import shutil

    model = shutil.copytree(tiny_model, tmp_path / "model")
    config = json.loads((model / "config.json").read_text())
    (model / "config.json").write_text(json.dumps({**config, "max_position_embeddings": 8}))
    local = f"model=local model.path={model}"
    _, found = Preflight().look(chosen(folder, f"{local} finetune.max_tokens=512"))
    assert [line for line in found.warnings if "context is 8: finetune.max_tokens=8" in line]
    _, found = Preflight().look(chosen(folder, f"{local} finetune.max_tokens=8"))
    assert not [line for line in found.warnings if "context is 8" in line]


def test_prompts_of_a_benchmark_longer_than_the_base_model_s_context_are_said(folder, tmp_path, tiny_model):
    import json
    import shutil

    model = shutil.copytree(tiny_model, tmp_path / "model")
    config = json.loads((model / "config.json").read_text())
    (model / "config.json").write_text(json.dumps({**config, "max_position_embeddings": 24}))
    _, found = Preflight().look(chosen(folder, f"model=local model.path={model} finetune.max_tokens=24"))
    (line,) = [line for line in found.warnings if "mini_familiar" in line]
    assert "do not fit the base model's context of 24 tokens" in line


def test_a_model_on_this_machine_needs_what_its_engine_needs(folder, tiny_model, monkeypatch):
    local = [*(o for o in POOL if not o.startswith("rater")), f"pool.path={folder}/pool.jsonl", "until=rate",
             f"paths.artifacts={folder}/artifacts", "rater=local", f"rater.model={tiny_model}"]  # fmt: skip
    assert Preflight().look(compose(local))[1].problems == ()
    there = machine.find_spec
    monkeypatch.setattr(machine, "find_spec", lambda name: None if name == "torch" else there(name))
    (line,) = Preflight().look(compose(local))[1].problems
    assert "needs the package torch" in line
