"""What is light stays light; which way imports run, import-linter holds (`make lint`)."""

from __future__ import annotations

import subprocess
import sys

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


def test_help_loads_no_hydra():
    assert not modules_after("from ds2.cli.usage import usage; usage()") & {"torch", "hydra", "numpy"}
