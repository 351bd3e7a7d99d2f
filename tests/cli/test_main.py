"""The command as a person types it: exit codes, one-line errors, multiruns, sweeps, plans."""

from __future__ import annotations

import gc
import json
import shlex
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path
from types import SimpleNamespace

import pytest
from hydra._internal.config_loader_impl import ConfigLoaderImpl
from omegaconf import DictConfig

from ds2.base.version import VERSION
from ds2.cli import app, ending
from ds2.cli import main as cli
from ds2.config.command_line import as_typed
from ds2.config.compose import compose


@pytest.fixture
def arguments(planted_pool: Path, monkeypatch) -> list[str]:
    monkeypatch.chdir(planted_pool.parent)
    return ["pool=jsonl", f"pool.path={planted_pool}", "until=select", "finetune=none", "eval=none",
            "model=tiny", "tracking=none", "budget.samples=20", "runtime.progress=false"]  # fmt: skip


def test_a_run_prints_each_stage_with_its_state_and_exits_with_0(arguments, capsys):
    assert cli.run(arguments) == 0
    first = capsys.readouterr().out
    assert cli.run(arguments) == 0
    second = capsys.readouterr().out
    for stage in ("rate", "embed", "knn", "curate", "select", "report"):
        assert any(line.split()[:2] == [stage, "computed"] for line in first.splitlines())
    reused = [line for line in second.splitlines() if line.split()[:1] == ["reused"]]
    assert len(reused) == 1
    assert "rate, embed, knn, curate, select, report" in reused[0]
    assert sorted(p.name for p in Path().iterdir()) == ["artifacts", "planted.jsonl"]


@pytest.mark.parametrize(
    "typed",
    [
        *(["rater=openai_compatible", "rater.model=m", f"rater.base_url={url}"] for url in (
            "//user:planted-1@127.0.0.1:9/v1", "http://user:planted-1'x@127.0.0.1:9/v1",
            "user:planted-1@127.0.0.1:9/v1", "http:\\\\user:planted-1@host/v1",
            "http://user:99/planted-1@host/v1", "http://127.0.0.1:9/v1#key=planted-1",
            "'http://user:planted-1'x@host/v1",
        )),
        ["+foo=planted-1"],
        ["pool.name=planted-1"],
        ["pool.name=${oc.env:'OPENAI_API_KEY'}"],
        ["pool.name='${oc.env:${oc.env:ELSEWHERE}}'"],
    ],
)  # fmt: skip
def test_a_secret_is_neither_kept_nor_said(arguments, typed, monkeypatch, capfd):
    monkeypatch.setenv("OPENAI_API_KEY", "planted-1")
    monkeypatch.setenv("ELSEWHERE", "OPENAI_API_KEY")
    assert cli.run([*arguments, *typed]) == 2
    captured = capfd.readouterr()
    assert "planted-1" not in captured.out + captured.err
    assert len(captured.err.splitlines()) == 1
    kept = [path for path in Path().rglob("*") if path.is_file() and path.name != "planted.jsonl"]
    assert not [path for path in kept if "planted-1" in str(path) or b"planted-1" in path.read_bytes()]


def test_a_part_of_the_chain_ends_with_what_it_left_and_what_to_do_next(arguments, capsys):
    assert cli.run([*arguments, "rater=truth"]) == 0
    said = dict(line.split(": ", 1) for line in capsys.readouterr().out.splitlines() if ": " in line)
    file, rest = said["subset"].split("  (")
    assert len(Path(file).read_text().splitlines()) == 20
    assert "20 of 240 samples" in rest
    assert Path(said["report"]).is_file()
    assert shlex.split(said["next"]) == ["ds2", "pool=jsonl", arguments[1], "eval=none", "model=tiny",
        "tracking=none", "budget.samples=20", "runtime.progress=false", "rater=truth",
        "finetune=paper"]  # fmt: skip
    without = [argument for argument in arguments if argument not in ("model=tiny", "eval=none")]
    assert cli.run([*without, "rater=truth"]) == 0
    (said,) = (line for line in capsys.readouterr().out.splitlines() if line.startswith("next: "))
    assert shlex.split(said)[1:] == ["ds2", "pool=jsonl", arguments[1], "tracking=none",
        "budget.samples=20", "runtime.progress=false", "rater=truth", "model=local", "model.path=FOLDER",
        "finetune=paper", "eval=none"]  # fmt: skip
    assert cli.run([*arguments, "until=rate"]) == 0
    assert "until=select" in capsys.readouterr().out
    own = [*without, "rater=truth", "finetune.epochs=8", "finetune.max_steps=null", "finetune=small"]
    assert cli.run([o for o in own if o != "finetune=none"]) == 0
    (said,) = (line for line in capsys.readouterr().out.splitlines() if line.startswith("next: "))
    assert shlex.split(said)[-6:] == ["finetune.epochs=8", "finetune.max_steps=null", "finetune=small",
        "model=local", "model.path=FOLDER", "eval=none"]  # fmt: skip


@pytest.mark.parametrize(
    ("given", "chosen"),
    [
        (["experiment=mini"], []),
        (["experiment=paper"], []),
        (["experiment=small_real"], []),
        (["finetune=none"], []),
        (
            ["pool=jsonl", "pool.path=p.jsonl"],
            ["model=local", "model.path=FOLDER", "finetune=paper", "eval=none"],
        ),
        (["pool=jsonl", "pool.path=p.jsonl", "budget.flops=1e11", "finetune.epochs=8"], []),
        (["pool=jsonl", "pool.path=p.jsonl", "model=tiny", "finetune=none"], ["finetune=paper", "eval=none"]),
        (
            ["pool=jsonl", "pool.path='a b.jsonl'", "finetune=small", "eval.data_seed=1"],
            ["model=local", "model.path=FOLDER", "eval=none"],
        ),
    ],
)
def test_the_next_command_keeps_what_was_chosen_and_names_the_rest(given, chosen):
    run = SimpleNamespace(stages={"select": None})
    asked = [*given, "until=select"]
    kept = [as_typed(o) for o in given if o != "finetune=none"]
    assert shlex.split(ending.next_command(compose(asked), asked, run)) == ["ds2", *kept, *chosen]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ("rater=nobody", "rater=nobody is unknown"),
        ("budget.samples=9999", "9999 is more than the pool's 240 samples"),
        ("pool.path=nowhere.jsonl", "nowhere.jsonl: no such file"),
        ("selection.strategy=best", "selection.strategy=best is unknown; there are: alpagasus"),
        ("rater=released rater.path=nowhere.npy", "nowhere.npy"),
        ("rater=from_column rater.column=quality", "column quality"),
        ("rater=openai_compatible", "rater.model is missing: give rater.model=VALUE"),
        ("rater=from_column", "rater.column is missing: give rater.column=VALUE"),
        ("rater=llama_3_1_8b", "model meta-llama/Llama-3.1-8B-Instruct: revision main"),
        ("runtime.offline=true pool=tulu_300k", "not.in.struct|pool.path|no such key"),
        ("seed=abc", "seed: Value 'abc'"),
        ("budget=20", "budget takes a name, one of 10k, 1k"),
        ("budget.samples=[1", "budget.samples=[1 cannot be read"),
        pytest.param(
            "-m hydra/launcher=ray",
            "hydra/launcher=ray is not installed: pip install 'ds2[ray]'",
            marks=pytest.mark.skipif(find_spec("ray") is not None, reason="ray is installed"),
        ),
        ("hydra/launcher=no_such", "hydra/launcher=no_such is unknown; there are: "),
        ("doctr", "doctr is neither key=value nor a command (did you mean doctor?)"),
        ("--multirn", "--multirn: no such option (did you mean --multirun?)"),
        ("sweep=nothing", "sweep=nothing is unknown; there are: ablations, curation_on_baselines"),
        ("scale.high=20", "give 17 score levels"),
    ],
)
def test_a_user_s_error_is_one_line_and_exit_code_2(arguments, capsys, change, message):
    assert cli.run([*arguments, *change.split()]) == 2
    err = capsys.readouterr().err.strip()
    assert all(line.startswith("error ") for line in err.splitlines())
    assert len(err.splitlines()) == (2 if change == "rater=llama_3_1_8b" else 1), "vLLM is missing too"
    assert "Traceback" not in err
    assert any(part in err for part in message.split("|")), err


def test_an_interrupt_is_one_line_and_exit_code_130(arguments, capsys, monkeypatch):
    def interrupted(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr("ds2.runs.stages.rate.rate", interrupted)
    assert cli.run(arguments) == 130
    said = (
        "the same command continues from the last finished stage, a rating from its last answer, an embedding"
    )
    assert f"{said} from its last block" in capsys.readouterr().err


def test_a_multirun_shares_stages(arguments, capsys):
    assert (
        cli.run(
            ["-m", *arguments, "rater=simulated_mistral_7b,simulated_gpt_4o_mini", "budget.samples=10,20"]
        )
        == 0
    )
    out = capsys.readouterr().out
    assert "4 of 4 runs done" in out
    lines = [line.split() for line in out.splitlines()]
    count = {
        s: sum(line[:2] == [s, "computed"] for line in lines)
        for s in ("rate", "embed", "knn", "curate", "select")
    }
    assert count == {"rate": 2, "embed": 1, "knn": 1, "curate": 2, "select": 4}


def test_a_multirun_keeps_no_configuration_of_jobs_that_ended(arguments, monkeypatch):
    held, run = [], app._run

    def counted(*given):
        gc.collect()
        held.append(sum(type(each) is DictConfig for each in gc.get_objects()))
        run(*given)

    monkeypatch.setattr(app, "_run", counted)
    assert cli.run(["-m", *arguments, "budget.samples=10,20,30,40"]) == 0
    assert len(held) == 4
    assert held[-1] <= held[1] + 5


def test_the_first_job_of_a_multirun_does_not_wait_until_hydra_has_composed_all(arguments, monkeypatch):
    composed, run, compose = [0], app._run, ConfigLoaderImpl.load_sweep_config

    def counted(*given, **named):
        composed.append(composed[-1] + 1)
        return compose(*given, **named)

    def told(*given):
        begun.append(composed[-1])
        run(*given)

    begun: list[int] = []
    monkeypatch.setattr(ConfigLoaderImpl, "load_sweep_config", counted)
    monkeypatch.setattr(app, "_run", told)
    assert cli.run(["-m", *arguments, "budget.samples=10,20,30"]) == 0
    assert begun == [1, 2, 3]


def test_a_failing_job_does_not_stop_the_others_and_is_named(arguments, capsys):
    assert cli.run(["-m", *arguments, "budget.samples=10,9999,20"]) == 1
    captured = capsys.readouterr()
    assert "2 of 3 runs done" in captured.out
    failed = [line for line in captured.err.splitlines() if line.startswith("error budget.samples=9999: ")]
    assert len(failed) == 1
    assert "more than the pool's 240 samples" in failed[0]


def test_parallel_jobs_compute_each_stage_once(arguments):
    pytest.importorskip("hydra_plugins.hydra_joblib_launcher")
    command = [
        "-m",
        *arguments,
        "budget.samples=10,12,14,16",
        "hydra/launcher=joblib",
        "hydra.launcher.n_jobs=2",
    ]
    run = subprocess.run([sys.executable, "-m", "ds2", *command], capture_output=True, text=True, check=True)
    lines = [line.split() for line in run.stdout.splitlines()]
    count = {
        s: sum(line[:2] == [s, "computed"] for line in lines)
        for s in ("rate", "embed", "knn", "curate", "select")
    }
    assert count == {"rate": 1, "embed": 1, "knn": 1, "curate": 1, "select": 4}
    assert "4 of 4 runs done" in run.stdout


def test_a_plan_computes_nothing_and_says_what_is_cached(arguments, capsys):
    assert cli.run([*arguments, "plan=true"]) == 0
    out = capsys.readouterr().out
    assert out.count("compute") == 5
    assert not list(Path("artifacts").glob("[!.]*"))  # but for what is remembered of the pool
    cli.run([*arguments, "until=knn"])
    capsys.readouterr()
    cli.run([*arguments, "plan=true"])
    out = capsys.readouterr().out
    assert out.count("cached") == 2
    assert out.count("compute") == 3


def test_prepare_names_what_is_missing(arguments, capsys, tmp_path):
    trained = [o for o in arguments if not o.startswith(("until=", "finetune=", "model="))]
    command = [*trained, "prepare=true", "embedder=bge_large", "model=llama_3_2_3b", "finetune=paper"]
    assert cli.run(command) == 2
    captured = capsys.readouterr()
    assert "pool files: 240 samples" in captured.out
    assert "embedder bge_large" in captured.err
    assert "base model llama_3_2_3b" in captured.err


def test_prepare_fetches_nothing_for_stages_that_the_run_has_not(arguments, capsys):
    never = ["embedder=bge_large", "model=llama_3_2_3b", "selection=random"]
    assert cli.run([*arguments, "prepare=true", *never]) == 0
    assert capsys.readouterr().out.splitlines() == ["pool files: 240 samples"]


def test_prepare_is_content_with_what_is_here(arguments, capsys):
    assert cli.run([*arguments, "prepare=true"]) == 0
    assert "240 samples" in capsys.readouterr().out


def test_help_and_version_answer_at_once():
    for flag, expected in (("--help", "selection   alpagasus"), ("--version", f"ds2 {VERSION}")):
        run = subprocess.run([sys.executable, "-m", "ds2", flag], capture_output=True, text=True, check=True)
        assert expected in run.stdout


def test_the_composed_configuration_can_be_printed(arguments, capsys):
    assert cli.run([*arguments, "--cfg", "job"]) == 0
    assert "budget:\n  samples: 20" in capsys.readouterr().out


def test_the_store_can_be_listed_shown_and_checked(arguments, capsys):
    assert cli.run(arguments) == 0
    capsys.readouterr()
    assert cli.run(["list"]) == 0
    listed = capsys.readouterr().out
    assert "6 artifacts" in listed
    assert cli.run(["list", "knn"]) == 0
    assert "1 artifact, " in capsys.readouterr().out
    embed = next(Path("artifacts/embed").iterdir())
    assert cli.run(["show", embed.name.rpartition("-")[2][:6]]) == 0
    assert '"stage": "embed"' in capsys.readouterr().out
    assert cli.run(["show", embed.name.rpartition("-")[2], "--json"]) == 0
    shown = json.loads(capsys.readouterr().out)
    assert cli.run(["list", "embed", "--json"]) == 0
    (listed,) = map(json.loads, capsys.readouterr().out.splitlines())
    assert listed.items() >= {key: shown[key] for key in ("stage", "fingerprint", "path")}.items()
    assert cli.run(["list", "choices", "--json"]) == 2
    assert "takes no --json" in capsys.readouterr().err
    assert cli.run(["doctor"]) == 0
    assert "6 sound artifacts" in capsys.readouterr().out
    (embed / "embeddings.npy").write_bytes(b"x")
    assert cli.run(["doctor"]) == 1
    captured = capsys.readouterr()
    assert "5 sound artifacts" in captured.out
    assert "embeddings.npy does not match" in captured.err


def test_what_crashed_runs_left_can_be_removed(arguments, capsys):
    left = Path("artifacts/finetune/.partial-0123456789abcdef")
    left.mkdir(parents=True)
    (left / "record.json").write_text("{}")  # killed before it had its name
    assert cli.run(["gc"]) == 0
    assert str(left) in capsys.readouterr().out
    assert left.exists()
    assert cli.run(["gc", "delete"]) == 0
    assert not left.exists()


@pytest.mark.parametrize(
    "words", [["list", "nothing"], ["show"], ["show", "ffff"], ["doctor", "now"], ["gc", "all"]]
)
def test_subcommands_refuse_what_they_do_not_know(arguments, capsys, words):
    assert cli.run(words) == 2
    assert len(capsys.readouterr().err.strip().splitlines()) == 1


def test_a_missing_package_names_the_extra_that_brings_it(arguments, capsys, monkeypatch):
    def gone(*_, **__):
        raise ModuleNotFoundError("No module named 'torch'", name="torch")

    monkeypatch.setattr("ds2.runs.stages.rate.rate", gone)
    assert cli.run(arguments) == 2
    assert "needs the package torch: pip install 'ds2[train]'" in capsys.readouterr().err


def test_a_failed_run_is_found_where_an_interpolation_puts_it(arguments, capsys, monkeypatch):
    monkeypatch.setenv("MYROOT", str(Path("r").absolute()))
    rooted = [*arguments, "paths.artifacts=${oc.env:MYROOT}/a"]
    assert cli.run([*rooted, "budget.samples=5000"]) == 2
    assert "more than the pool's 240 samples" in capsys.readouterr().err
    assert cli.run([*rooted[:3], "-m", *rooted[3:], "budget.samples=5000,10", "until=rate"]) == 0
    assert cli.run([*rooted[:3], "-m", *rooted[3:], "budget.samples=5000,5001"]) == 2
    assert cli.run([*rooted, "-m", "until=rate", "rater.seed=1,3"]) == 0
    capsys.readouterr()
    assert cli.run(["list", "rate", rooted[-1]]) == 0
    assert "3 artifacts" in capsys.readouterr().out
    assert sorted(p.name for p in Path().iterdir()) == ["planted.jsonl", "r"]


def test_a_command_without_a_record_has_failed(capsys):
    assert ending.summary([], expected=1, many=False) == 1
    assert "no run left a record" in capsys.readouterr().err


@pytest.mark.parametrize("name", ["my file é.jsonl", "[x] = #1 'y'.jsonl"])
def test_a_pool_is_read_whatever_its_file_is_called(arguments, capsys, name):
    Path("planted.jsonl").rename(name)
    changed = [a for a in arguments if not a.startswith("pool.path")]
    assert cli.run([*changed, f"pool.path={name}", "until=rate", "-m", "seed=1,2"]) == 0
    assert "2 of 2 runs done" in capsys.readouterr().out


def test_hydra_s_information_can_be_asked_for(arguments):
    command = [sys.executable, "-m", "ds2", "--info", "searchpath", *arguments]
    run = subprocess.run(command, capture_output=True, text=True, check=True)
    assert "main" in run.stdout
    assert not Path("artifacts").exists()


def test_everything_wrong_is_said_at_once_and_a_plan_says_the_same(arguments, capsys):
    wrong = [*arguments, "knn.k=0", "budget.samples=999", "rater=from_column", "rater.column=nope"]
    assert cli.run(wrong) == 2
    said = capsys.readouterr()
    assert len(said.err.strip().splitlines()) == 3
    assert not list(Path("artifacts").glob("[!.]*"))
    assert cli.run([*wrong, "plan=true"]) == 2
    planned = capsys.readouterr()
    assert planned.err == said.err
    assert "compute" in planned.out


def test_several_runs_are_looked_at_before_any_starts(arguments, capsys):
    swept = [*arguments, "until=rate", "rater=from_column", "-m", "rater.column=nope,true_score"]
    assert cli.run(swept) == 1
    said = capsys.readouterr()
    assert said.err.startswith("error 1 of 2 runs: rater.column=nope")
    assert "1 of 2 runs done" in said.out
    assert cli.run([*swept, "--fail-fast"]) == 2
    assert cli.run([*swept, "rater.column=nope,neither"]) == 2
    assert "runs done" not in capsys.readouterr().out


def test_after_a_failure_under_fail_fast_nothing_more_is_started(arguments, capsys, monkeypatch):
    def broken(*_, **__):
        raise ZeroDivisionError("by zero")

    monkeypatch.setattr("ds2.runs.stages.rate.rate", broken)
    assert cli.run([*arguments, "until=rate", "-m", "rater.seed=1,2,3", "--fail-fast"]) == 1
    out = capsys.readouterr().out
    assert out.count("not started") == 2
    assert "0 of 3 runs done" in out


def test_a_multirun_ends_with_a_table_of_its_runs(arguments, capsys):
    assert cli.run([*arguments, "selection=random", "-m", "budget.samples=10,20"]) == 0
    table = [line for line in capsys.readouterr().out.splitlines() if "subset.jsonl" in line]
    assert len(table) == 2
    for line, count in zip(table, (10, 20), strict=True):
        assert f"budget.samples={count}" in line
        assert f"{count} of 240 selected" in line
        path = next(word for word in line.split() if word.endswith("subset.jsonl"))
        assert len(Path(path).read_text().splitlines()) == count


def test_warnings_fail_where_that_is_asked_for(arguments, capsys):
    chosen = [*arguments, "rater=truth", "on_warning=fail"]
    assert cli.run([*chosen, "until=embed"]) == 0
    assert cli.run(chosen) == 2
    assert "curate: " in capsys.readouterr().err


def test_ds2_alone_shows_what_it_does(tmp_path):
    command = [sys.executable, "-m", "ds2"]
    run = subprocess.run(command, capture_output=True, text=True, check=True, cwd=tmp_path)
    assert run.stdout.count("\n  ds2 ") == 3
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_a_shell_s_script_completes_the_command(shell):
    command = [sys.executable, "-m", "ds2", "completion", shell]
    run = subprocess.run(command, capture_output=True, text=True, check=True)
    assert "complete" in run.stdout
    assert " ds2" in run.stdout


def test_an_unknown_shell_is_refused(capsys):
    assert cli.run(["completion", "tcsh"]) == 2
    assert "takes a shell: bash, zsh, fish" in capsys.readouterr().err
