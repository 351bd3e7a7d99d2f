"""What a leaf in a process of its own says, and ends with, where it is stopped."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

FULL = "import errno, os\nraise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), 'checkpoint.pt')\n"


@pytest.mark.parametrize(
    ("source", "code", "said"),
    [
        (
            FULL,
            2,
            ["leaf: too little space on the disk: [Errno 28] No space left on device: 'checkpoint.pt'"],
        ),
        ("raise RuntimeError('[enforce fail] write: File too large')", 2, None),
        ("raise MemoryError('4 GiB')", 2, ["leaf: too little memory: 4 GiB"]),
        ("raise KeyboardInterrupt", 130, []),
        ("raise SystemExit(143)", 143, []),
    ],
    ids=["full disk", "full disk in another's words", "memory", "interrupt", "asked to end"],
)
def test_what_stops_a_leaf_is_a_line_and_an_exit_code(source, code, said, tmp_path):
    ended = child(tmp_path, source)
    assert ended.returncode == code
    lines = ended.stderr.splitlines()
    assert lines == said if said is not None else len(lines) == 1


def test_a_defect_of_a_leaf_keeps_its_traceback(tmp_path):
    ended = child(tmp_path, "raise KeyError('defect')")
    assert ended.returncode == 1
    assert "Traceback" in ended.stderr
    assert ended.stderr.rstrip().endswith("KeyError: 'defect'")


def child(folder: Path, source: str) -> subprocess.CompletedProcess[str]:
    """The leaf of this source, run as a child."""
    (folder / "leaf.py").write_text(source)
    path = os.pathsep.join([str(folder), *sys.path])
    return subprocess.run(
        [sys.executable, "-m", "ds2.runs.child", "leaf"],
        capture_output=True, text=True, timeout=60, check=False, env={**os.environ, "PYTHONPATH": path},
    )  # fmt: skip
