"""CONTRIBUTING.md works: each recipe is applied to a copy of the repository, and its command run there."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from ds2.base.paths import project_root

ROOT = project_root()
PAGE = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
RECIPES = {
    title: (diff, command)
    for title, diff, command in re.findall(
        r"^### (.+?)$(?:(?!^###).)*?^```diff\n(.*?)^```\n\n```\n(.*?)\n```$", PAGE, re.M | re.S
    )
}
"""Title -> the diff and the command."""
PRINTED = {
    "A rater": r"rate +computed .*samples 60",
    "A selection strategy": r"select +computed .*selected 7, pool 60",
    "An embedder": r"embed +computed .*dimensions 64",
    "A stage": r"size +computed .*characters [\d,]+",
    "A benchmark": r"mini_terse +│ exact_match",
    "A table": r"Samples by source",
}
"""What the command prints once the recipe is followed."""
SLOW = {"A benchmark"}


@pytest.fixture(scope="module")
def repository(tmp_path_factory) -> Path:
    """A copy of what runs."""
    copy = tmp_path_factory.mktemp("clone")
    for name in ("ds2", "conf", "finetune", "eval", "experiments"):
        shutil.copytree(ROOT / name, copy / name, ignore=shutil.ignore_patterns("__pycache__"))
    return copy


def test_every_kind_of_addition_has_a_recipe():
    assert RECIPES.keys() == PRINTED.keys()


@pytest.mark.parametrize("title", PRINTED)
def test_a_recipe_is_a_diff_of_at_most_thirty_lines(title):
    diff, _ = RECIPES[title]
    assert len([line for line in diff.splitlines() if not line.startswith(("--- ", "+++ "))]) <= 30


@pytest.mark.parametrize(
    "title", [pytest.param(t, marks=pytest.mark.slow) if t in SLOW else t for t in PRINTED]
)
def test_following_a_recipe_adds_the_choice(title, repository, tmp_path):
    diff, command = RECIPES[title]
    apply = ["git", "apply", "--whitespace=nowarn", "-"]
    environment = {
        **os.environ,
        "PYTHONPATH": str(repository),
        "GIT_CEILING_DIRECTORIES": str(repository.parent),
    }
    subprocess.run(apply, cwd=repository, input=diff, text=True, check=True, env=environment)
    arguments = [*command.removeprefix("ds2 ").split()]
    if "experiments" not in arguments:
        arguments += ["tracking=none", "runtime.progress=false", "finetune=none"]
    run = subprocess.run(
        [sys.executable, "-m", "ds2", *arguments],
        cwd=tmp_path, capture_output=True, text=True, check=False, env=environment,
    )  # fmt: skip
    assert re.search(PRINTED[title], run.stdout), run.stdout + run.stderr


def test_the_tree_names_every_room():
    tree = PAGE.split("## The rooms")[1].split("## A row")[0]
    rooms = {path.name for path in (ROOT / "ds2").iterdir() if (path / "__init__.py").is_file()}
    assert {room for room in rooms if not re.search(rf"^  {room}/ ", tree, re.M)} == set()


def test_every_file_of_the_walk_exists():
    walk = PAGE.split("## A row's walk")[1].split("## Adding one")[0]
    paths = re.findall(r"`((?:ds2|conf)/[\w/.]+)`", walk)
    assert len(paths) > 15
    assert [path for path in paths if not (ROOT / path).is_file()] == []
