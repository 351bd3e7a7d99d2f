"""docs/exit_codes.md holds: each sentence of it is shown here, or names the test that shows it."""

from __future__ import annotations

import ast
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from ds2.__main__ import main
from ds2.base.paths import project_root
from ds2.cli import main as cli
from ds2.runs.stages import embed

TESTS = Path(__file__).parents[1]
PAGE = (project_root() / "docs" / "exit_codes.md").read_text(encoding="utf-8")
DOCUMENTED = {int(code): text for code, text in re.findall(r"^\| (\d+) \| (.*) \|$", PAGE, re.M)}
"""Code -> what the page says of it."""
SHOWN_ELSEWHERE = [
    (0, "was done before", "cli/test_main.py",
     "test_a_run_prints_each_stage_with_its_state_and_exits_with_0"),
    (1, "a run failed", "cli/test_main.py", "test_a_failing_job_does_not_stop_the_others_and_is_named"),
    (1, "left no record", "cli/test_main.py", "test_a_command_without_a_record_has_failed"),
    (1, "a run of a sweep failed", "cli/test_sweep.py",
     "test_a_failing_run_is_named_does_not_stop_the_others_and_is_the_only_one_run_again"),
    (1, "a damaged artifact", "cli/test_main.py", "test_the_store_can_be_listed_shown_and_checked"),
    (1, "a server that does not rate", "cli/test_doctor.py",
     "test_a_server_that_gives_no_rating_is_exit_code_1"),
    (1, "`ds2 diff` a difference", "cli/test_verify_and_diff.py",
     "test_two_runs_are_told_apart_by_choices_inputs_and_results_and_verified"),
    (2, "the run was refused", "cli/test_main.py", "test_a_user_s_error_is_one_line_and_exit_code_2"),
    (2, "`on_warning=fail`", "cli/test_main.py", "test_warnings_fail_where_that_is_asked_for"),
    (130, "an interrupt", "cli/test_main.py", "test_an_interrupt_is_one_line_and_exit_code_130"),
]  # fmt: skip
"""Code, words of the page, and the test, which compares with that code. Real signals to real commands at each
stage: tests/faults/test_ends.py (slow).
"""


def test_the_page_names_these_codes_and_no_other():
    assert list(DOCUMENTED) == [0, 1, 2, 129, 130, 143]


@pytest.mark.parametrize(("code", "words", "file", "name"), SHOWN_ELSEWHERE, ids=lambda value: str(value))
def test_a_sentence_of_the_page_has_its_test(code, words, file, name):
    assert words in DOCUMENTED[code]
    module = ast.parse((TESTS / file).read_text(encoding="utf-8"))
    (test,) = (node for node in module.body if isinstance(node, ast.FunctionDef) and node.name == name)
    compared = [
        node.comparators[0].value
        for node in ast.walk(test)
        if isinstance(node, ast.Compare) and isinstance(node.comparators[0], ast.Constant)
    ]
    assert code in compared


@pytest.mark.parametrize("number", [signal.SIGHUP, signal.SIGINT, signal.SIGTERM], ids=lambda n: n.name)
def test_a_signal_ends_the_command_with_128_and_its_number(number, monkeypatch, capsys):
    assert number.name in DOCUMENTED[128 + number] or "Ctrl-C" in DOCUMENTED[128 + number]
    before = signal.signal(number, signal.default_int_handler)  # the tests may run under nohup

    def struck(_: object) -> int:
        os.kill(os.getpid(), number)
        time.sleep(10)
        return 0

    monkeypatch.setattr("ds2.cli.look.run", struck)
    try:
        assert cli.run(["look", "mine.jsonl"]) == 128 + number
    finally:
        signal.signal(number, before)
    assert "the same command continues" in capsys.readouterr().err


def chain(pool: Path, *words: str) -> int:
    given = ["pool=jsonl", f"pool.path={pool}", "rater=truth", "until=embed", "tracking=none"]
    return cli.run([*given, *words])


def test_done_is_0_refused_is_2_and_a_plan_of_what_cannot_start_is_1(planted_pool, monkeypatch, capsys):
    monkeypatch.chdir(planted_pool.parent)
    assert chain(planted_pool, "until=rate") == 0
    assert chain(planted_pool, "rater=nobody") == 2
    planned = ["rater=from_column", "rater.column=true_score,nope", "until=rate", "-m", "plan=true"]
    assert chain(planted_pool, *planned) == 1
    assert cli.run(["lok"]) == 2


def test_an_artifact_that_comes_out_otherwise_is_1(planted_pool, monkeypatch, capsys):
    monkeypatch.chdir(planted_pool.parent)
    assert chain(planted_pool) == 0
    (artifact,) = Path("artifacts/embed").iterdir()
    assert cli.run(["verify", str(artifact)]) == 0
    vectors = embed._vectors
    monkeypatch.setattr(embed, "_vectors", lambda *given: [block[::-1] for block in vectors(*given)])
    assert cli.run(["verify", str(artifact)]) == 1
    assert "1 of 1 stage came out otherwise" in capsys.readouterr().err


def test_an_interrupt_while_the_command_is_imported_is_a_word(monkeypatch, capsys):
    class Interrupted:
        def find_spec(self, name, path=None, target=None):
            if name == "ds2.cli.main":
                raise KeyboardInterrupt

    monkeypatch.delitem(sys.modules, "ds2.cli.main", raising=False)
    monkeypatch.setattr(sys, "meta_path", [Interrupted(), *sys.meta_path])
    monkeypatch.setattr(sys, "argv", ["ds2", "until=rate"])
    with pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code == 130
    assert capsys.readouterr().err == "interrupted\n"


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no device that is always full")
@pytest.mark.parametrize(
    ("words", "unbuffered"),
    [([], "1"), (["--help"], ""), (["list"], ""), (["until=rate"], ""), (["experiments"], "")],
    ids=" ".join,
)
def test_an_output_without_room_is_2_and_one_line(words, unbuffered, planted_pool):
    chosen = ["pool=jsonl", f"pool.path={planted_pool}", "rater=truth", "tracking=none"]
    environment = {"PYTHONPATH": str(project_root()), "PYTHONUNBUFFERED": unbuffered}
    with Path("/dev/full").open("w") as full:
        ended = subprocess.run(
            [sys.executable, "-m", "ds2", *words, *(chosen if "until=rate" in words else [])],
            cwd=planted_pool.parent, env={**os.environ, **environment}, stdout=full, stderr=subprocess.PIPE,
            text=True, timeout=120, check=False,
        )  # fmt: skip
    assert "an output that is full" in DOCUMENTED[2]
    assert ended.returncode == 2
    lines = [line for line in ended.stderr.splitlines() if not line.startswith("rate")]  # the stage's clock
    assert len(lines) == 1, ended.stderr
    assert "No space left on device" in lines[0]
