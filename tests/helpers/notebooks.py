"""Executing the notebooks of docs/notebooks, each in a folder and a kernel of its own.

python tests/helpers/notebooks.py    # write their outputs anew (make notebooks)
"""

from __future__ import annotations

import os
import sys
import tempfile
from pathlib import Path

import nbformat
from nbclient import NotebookClient

from ds2.base.paths import project_root

NOTEBOOKS = sorted((project_root() / "docs" / "notebooks").glob("*.ipynb"))


def execute(path: Path, folder: Path) -> nbformat.NotebookNode:
    """A notebook with the outputs that its cells have now, run in a folder; what it writes stays there.

    Raises CellExecutionError.
    """
    commands = folder / ".bin"  # `!ds2` means the code of this clone
    commands.mkdir()
    (commands / "ds2").write_text(f'#!/bin/sh\nexec {sys.executable} -m ds2 "$@"\n')
    (commands / "ds2").chmod(0o755)
    environment = {
        **os.environ,
        "PATH": f"{commands}{os.pathsep}{os.environ['PATH']}",
        "PYTHONPATH": str(project_root()),
        "COLUMNS": "80",
        "JUPYTER_PLATFORM_DIRS": "1",
    }
    notebook = nbformat.read(path, as_version=4)
    client = NotebookClient(
        notebook, timeout=120, kernel_name="python3", record_timing=False, coalesce_streams=True,
        resources={"metadata": {"path": str(folder)}},
    )  # fmt: skip
    client.execute(env=environment)
    for output in (output for cell in notebook.cells for output in cell.get("outputs", ())):
        _name_from_here(output, f"{folder.resolve()}{os.sep}")
    return notebook


def _name_from_here(output: nbformat.NotebookNode, folder: str) -> None:
    """Files by their names below the working folder, which is another one each time."""
    texts = output.get("data", output)
    for kind in ("text", "text/plain", "text/html"):
        if kind in texts:
            texts[kind] = texts[kind].replace(folder, "")


def main() -> None:
    for path in NOTEBOOKS:
        with tempfile.TemporaryDirectory() as folder:
            nbformat.write(execute(path, Path(folder)), path)


if __name__ == "__main__":
    main()
