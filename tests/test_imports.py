"""What is light stays light, and the scripts that are no packages import one another in one direction.

Which way imports run inside the packages, import-linter holds (`make lint`).
"""

from __future__ import annotations

import ast
import subprocess
import sys
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

from ds2.base.paths import project_root

ROOT = project_root()


def modules_after(statement: str) -> set[str]:
    script = f"import sys\n{statement}\nprint(*sys.modules)"
    run = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True, cwd=ROOT)
    return {name.split(".")[0] for name in run.stdout.split()}


def test_importing_the_library_loads_neither_torch_nor_hydra():
    assert not modules_after("import ds2") & {"torch", "hydra", "omegaconf", "transformers", "wandb"}
    assert not modules_after("import ds2; ds2.curate, ds2.select, ds2.knn_graph") & {
        "torch",
        "hydra",
        "omegaconf",
    }


def test_with_a_graph_numpy_and_scipy_are_enough():
    blocked = ("faiss", "sklearn", "pandas", "threadpoolctl", "torch", "hydra", "omegaconf", "rich", "tqdm")
    curation = (
        "class Absent:\n"
        "    def find_spec(self, name, *_):\n"
        f"        if name.split('.')[0] in {blocked}: raise ModuleNotFoundError(name)\n"
        "sys.meta_path.insert(0, Absent())\n"
        "import numpy as np, ds2\n"
        "rng = np.random.default_rng(0)\n"
        "others = np.array([[(i + j) % 200 for j in range(1, 31)] for i in range(200)])\n"
        "graph = ds2.KnnGraph(others, np.sort(rng.random((200, 30)).astype('float32'), axis=1))\n"
        "for method in ('rank', 'posterior'):\n"
        "    result = ds2.curate(graph=graph, scores=rng.integers(0, 3, 200), num_scores=3, method=method)\n"
        "    assert len(ds2.select(result.curated, result.long_tail, budget=20)) == 20"
    )
    assert "numpy" in modules_after(curation)


def test_the_command_s_own_modules_load_no_torch():
    assert not modules_after("import ds2.cli.main") & {
        "torch",
        "transformers",
        "wandb",
        "plotly",
        "sklearn",
    }


def test_listing_the_store_loads_nothing_that_computes():
    statement = "from ds2.cli import main; main.run(['list', 'paths.artifacts=nowhere'])"
    assert not modules_after(statement) & {"numpy", "scipy", "pandas", "sklearn"}


@pytest.mark.parametrize("slow", ["scipy.stats", "scipy.optimize"])
def test_planning_loads_no_part_of_scipy_that_takes_long(slow):
    modules_after(f"import ds2.cli.sweep; assert {slow!r} not in sys.modules")


def test_help_loads_no_hydra():
    assert not modules_after("from ds2.cli.usage import usage; usage()") & {"torch", "hydra", "numpy"}


def imported(path: Path) -> set[str]:
    """Dotted names of all that a file imports, at its top or inside a function."""
    names = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
    return names


def scripts(folder: str) -> dict[str, Path]:
    """Dotted name, as the files of that folder import one another -> file."""
    root = ROOT / folder
    return {".".join(p.relative_to(root).with_suffix("").parts): p for p in sorted(root.rglob("*.py"))}


@pytest.mark.parametrize("folder", ["tests", "benchmarks"])
def test_no_circle_runs_through_files_that_are_no_package(folder):
    files = scripts(folder)
    arrows = {name: (imported(path) & files.keys()) - {name} for name, path in files.items()}
    assert any(arrows.values())
    list(TopologicalSorter(arrows).static_order())  # raises CycleError, which names it


def test_tests_share_helpers_and_nothing_else():
    files = scripts("tests")
    for name, path in files.items():
        others = imported(path) & files.keys()
        shared = {o for o in others if not (o.startswith("helpers.") or o.endswith("conftest"))}
        assert not shared, f"tests/{name} imports {shared}"


def test_only_benchmarks_and_their_own_tests_import_experiments():
    for folder in ("ds2", "finetune", "eval", "tests"):
        for name, path in scripts(folder).items():
            names = {dotted.split(".")[0] for dotted in imported(path)}
            assert "benchmarks" not in names, f"{folder}/{name}"
            if not (folder == "tests" and name.startswith(("experiments.", "runs.test_end_to_end"))):
                assert "experiments" not in names, f"{folder}/{name}"


def test_the_package_says_that_it_is_typed():
    assert (ROOT / "ds2" / "py.typed").is_file()
