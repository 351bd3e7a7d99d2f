"""What the documentation says to type can be typed: marked blocks are run, all others are composed."""

from __future__ import annotations

import difflib
import itertools
import os
import re
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Iterator, Sequence
from dataclasses import fields
from pathlib import Path

import pytest
from helpers.documented import ROOT, Block, blocks, commands, inline, pages
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.errors import HydraException

from ds2.base.errors import UserError
from ds2.cli import store
from ds2.config import plugins
from ds2.config.command_line import parse
from ds2.config.compose import compose, composed
from ds2.config.describe import describe_choices, describe_fields, groups
from ds2.config.run import RunConfig
from ds2.config.sweep import load_sweep

SHELLS = ("bash", "sh", "console")
OURS = ("ds2", "python", "make", "pip")
"""Programs whose arguments are looked at; those of others are theirs."""
WORDS = {
    "look",
    "anchors",
    "export",
    "publish",
    "completion",
    "experiments",
    "help",
    "demo",
    "init",
    *store.NAMES,
}
"""The first words that `ds2` knows."""
PLACEHOLDERS = {"...", "key=value", "key=a,b", "other=c,d", "[key=value", "...]"}
SMALL = {"budget=10k": "budget.samples=40", "10_000": "40"}
"""What a page asks for, and what is asked for of the small pool that stands in for the reader's."""
PRELUDE = """
import json
from pathlib import Path

import numpy as np

rows = [json.loads(line) for line in Path("mine.jsonl").read_text().splitlines()]
scores = np.array([row["score"] for row in rows])
answers = [row.get("answer") or row.get("output") or row["messages"][-1]["content"] for row in rows]
embeddings = np.random.default_rng(0).normal(size=(len(rows), 16)) + scores[:, None]
"""
"""What a reader of the library's examples has at hand."""


def shell_blocks() -> Iterator[Block]:
    for page in pages():
        yield from (block for block in blocks(page) if block.language in SHELLS)


def runnable(slow: bool) -> list[str]:
    """Pages that have marked blocks; one slow block makes its page slow, for blocks follow one another."""
    marked = {}
    for page in pages():
        marks = [block.mark for block in blocks(page) if block.mark]
        if marks:
            marked[str(page.relative_to(ROOT))] = "run: slow" in marks
    return [page for page, is_slow in marked.items() if is_slow == slow]


# -- run ---------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def bin_folder(tmp_path_factory) -> Path:
    """`ds2` and `python` as a reader has them on the path."""
    folder = tmp_path_factory.mktemp("bin")
    (folder / "ds2").write_text(f'#!/bin/sh\nexec {sys.executable} -m ds2 "$@"\n')
    (folder / "ds2").chmod(0o755)
    (folder / "python").symlink_to(sys.executable)
    return folder


def follow(page: str, folder: Path, bin_folder: Path) -> None:
    """Type what a page's marked blocks say, one after the other, in a folder that holds `mine.jsonl`."""
    example = ROOT / "docs" / "tutorials" / "example_pool.py"
    shutil.copy(example, folder)
    subprocess.run([sys.executable, example.name], cwd=folder, check=True)
    environment = {
        **os.environ,
        "PATH": f"{bin_folder}{os.pathsep}{os.environ['PATH']}",
        "PYTHONPATH": str(ROOT),
        "DS2_DATA": str(folder / "no_data"),
        "WANDB_MODE": "disabled",
    }
    for block in blocks(ROOT / page):
        if not block.mark:
            continue
        code = block.code
        for large, small in SMALL.items():
            code = code.replace(large, small)
        if block.language == "python":
            command = [sys.executable, "-c", PRELUDE + code]
        else:
            command = ["bash", "-euo", "pipefail", "-c", code]
        done = subprocess.run(
            command, cwd=folder, env=environment, capture_output=True, text=True, check=False, timeout=280
        )
        assert done.returncode == 0, f"{block}\n{block.code}\n{done.stdout[-1500:]}\n{done.stderr[-3000:]}"


@pytest.mark.parametrize("page", runnable(slow=False))
def test_a_page_can_be_followed(page, tmp_path, bin_folder):
    follow(page, tmp_path, bin_folder)


@pytest.mark.slow
@pytest.mark.parametrize("page", runnable(slow=True))
def test_a_longer_page_can_be_followed(page, tmp_path, bin_folder):
    follow(page, tmp_path, bin_folder)


# -- read --------------------------------------------------------------------------------------------------


def check(words: Sequence[str]) -> None:
    """Refuse a command that names what is not there. Raises AssertionError or UserError."""
    words = [word.strip("[]") if word.startswith(("[--", "--")) else word for word in words]
    while words and re.fullmatch(r"[A-Z_0-9]+=\S*", words[0]):  # variables of the environment
        words = words[1:]
    if not words:
        return
    program, rest = words[0], list(words[1:])
    if program == "ds2":
        check_ds2(rest)
    elif program in ("python", "python3"):
        check_python(rest)
    elif program == "make":
        targets = re.findall(r"^([\w-]+):", (ROOT / "Makefile").read_text(), re.M)
        assert {word for word in rest if "=" not in word} <= set(targets), f"make {rest}"
    elif program == "pip":
        check_pip(rest)
    else:
        assert not difflib.get_close_matches(program, OURS), f"{program}: a slip?"


def check_ds2(words: list[str]) -> None:
    open_ended = bool(PLACEHOLDERS & set(words))
    words = [word for word in words if word not in PLACEHOLDERS]
    if words[:1] in (["--help"], ["--version"]) or not words:
        return
    first = words[0]
    if first[0].isalpha() and "=" not in first:
        assert first in WORDS, f"ds2 {first}: no such command"
        words.pop(0)
        if first == "experiments":
            return check_experiments(words)
        if first in ("help", "look", "export", "publish", "completion", "show", "verify", "diff", "init"):
            if first == "help" and words and words[0].islower():
                group, _, choice = words[0].partition("=")
                assert choice in ("", *(known.name for known in describe_choices(group)))
            return None
        words = [w for w in words if "=" in w and not w.startswith(("n=", "out=", "criteria="))]
        open_ended = True
    words = [word for word in words if not is_a_name(word)]
    if any(word.startswith("plugins=") for word in words):
        return None  # tests/config/test_plugins.py follows the page that makes one
    searched, words = [[w for w in words if w.startswith("search.") is told] for told in (True, False)]
    line = parse(words)
    assert not line.words, line.words
    if line.sweep is not None:
        assert line.sweep in plugins.choices("sweep"), line.sweep
        load_sweep(line.sweep, searched)
    for overrides in every_run(line.overrides) if line.many else [line.overrides]:
        composed(overrides) if open_ended or line.sweep else compose(overrides)
    return None


def is_a_name(word: str) -> bool:
    """`model=NAME`, `sweep=NAME`: the reader's own choice goes there."""
    key, _, value = word.partition("=")
    return value.isupper() and value.isalpha() and bool(plugins.choices(key))


def every_run(overrides: Sequence[str]) -> Iterator[list[str]]:
    """The runs of a multirun, the first and last value of each sweep."""
    parser, axes = OverridesParser.create(), []
    for override in overrides:
        read = parser.parse_override(override)
        values = list(read.sweep_string_iterator()) if read.is_sweep_override() else []
        axes.append(
            [f"{read.get_key_element()}={value}" for value in (values[0], values[-1])]
            if values
            else [override]
        )
    yield from map(list, itertools.product(*axes))


def check_python(words: list[str]) -> None:
    if words[:1] == ["-m"]:
        if words[1] == "experiments":
            return check_experiments(words[2:])
        assert words[1] in ("eval", "finetune", "ds2", "venv", "pytest", "pip"), words
    elif words[0] != "-c":
        assert words[0] == "example_pool.py" or (ROOT / words[0]).is_file(), words[0]
    return None


WITH_VALUE = ["--entity", "--project", "--eval", "--held-out", "--out"]


def check_experiments(words: list[str]) -> None:
    values = {after for word, after in itertools.pairwise(words) if word in WITH_VALUE}
    names = [word for word in words if re.fullmatch(r"[a-z_]+", word) and word not in values]
    known = {
        *(path.stem for path in (ROOT / "experiments").glob("*.py")),
        *plugins.choices("sweep"),
        "status",
        "report",
        "dashboard",
        "slurm",
        "jobs",
        "mini",
    }
    assert set(names) <= known, set(names) - known
    composed([word for word in words if "=" in word and not word.startswith("-")])


def check_pip(words: list[str]) -> None:
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    for word in words:
        for given in re.findall(r"(?:ds2|\.|\.whl)\[([\w,]+)\]", word):
            assert set(given.split(",")) <= {*extras, "all"}, given


@pytest.mark.parametrize(
    "wrong",
    [
        "ds2 curaton=refine until=select ...",
        "ds2 curation=refined until=select ...",
        "ds2 rater=from_column rater.colum=score ...",
        "ds2 until=selct ...",
        "ds2 -m rater=truth,simulatd ...",
        "ds2 sweep=mini_tabel",
        "ds2 lok mine.jsonl",
        "ds2 help rater=nobody",
        "python benchmarks/none.py",
        "python -m experiments main_tabel",
        "make tset",
        "pip install 'ds2[everything]'",
        "dss pool=mini",
    ],
)
def test_a_command_with_a_slip_is_noticed(wrong):
    (words,) = commands(wrong)
    with pytest.raises((AssertionError, UserError, HydraException)):
        check(words)


@pytest.mark.parametrize("block", list(shell_blocks()), ids=str)
def test_every_command_of_a_block_names_what_there_is(block):
    for words in commands(block.code):
        check(words)


def test_every_command_in_a_line_of_text_names_what_there_is():
    wrong = []
    for page in pages():
        for code in inline(page):
            if code.startswith(("ds2 ", "make ", "python -m ", "python benchmarks/")):
                try:
                    for words in commands(code):
                        check_ds2([*words[1:], "..."]) if words[0] == "ds2" else check(words)
                except (AssertionError, UserError, HydraException) as error:
                    wrong.append((page.name, code, str(error).splitlines()[0]))
    assert wrong == []


def test_every_choice_and_field_in_a_line_of_text_is_one():
    run = {field.name for field in fields(RunConfig)}
    known_fields = {group: field_names(group) for group in groups()}
    wrong = []
    for page in pages():
        for code in inline(page):
            match = re.fullmatch(r"([a-z_]+)((?:\.[a-z_0-9]+)*)(?:=(\S*))?", code)
            if match is None or match[1] not in run or not (match[2] or match[3]) or code.endswith(".py"):
                continue
            group, field, value = match[1], match[2][1:], match[3]
            if field:
                named = known_fields.get(group)
                right = named is None or field in named or any(name.startswith(f"{field}.") for name in named)
            else:
                choices = plugins.choices(group)
                right = not choices or all(v in choices or v.isupper() for v in str(value).split(","))
            if not right:
                wrong.append((page.name, code))
    assert wrong == []


def field_names(group: str) -> set[str]:
    """The fields that any choice of a group has."""
    schemas = {choice.schema for choice in describe_choices(group) if choice.schema is not None}
    return {field.name for schema in schemas for field in describe_fields(schema)}
