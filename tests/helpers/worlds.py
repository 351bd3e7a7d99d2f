"""Two places on one machine that differ in everything that must not matter to a result."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from ds2.base.paths import project_root

_RUN = "import sys, ds2; [ds2.run(line.split(chr(9))) for line in sys.argv[1:]]"


@dataclass(frozen=True)
class World:
    """A folder, and the environment of what runs there."""

    folder: Path
    environment: dict[str, str]

    @property
    def artifacts(self) -> Path:
        return self.folder / "artifacts"

    def start(self, runs: Sequence[Sequence[str]]) -> subprocess.Popen[str]:
        """Begin these runs, one after the other in one process; they find their files below the folder."""
        common = [f"paths.artifacts={self.artifacts}", "tracking=none", "runtime.progress=false"]
        lines = ["\t".join(o.replace("HERE", str(self.folder)) for o in [*run, *common]) for run in runs]
        kept = {k: v for k, v in os.environ.items() if k in ("PATH", "HF_HUB_OFFLINE", "VIRTUAL_ENV")}
        return subprocess.Popen(
            [sys.executable, "-c", _RUN, *lines],
            cwd=self.folder, env={**kept, "PYTHONPATH": str(project_root()), **self.environment},
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, encoding="utf-8",
        )  # fmt: skip


def two_worlds(folder: Path) -> tuple[World, World]:
    """One plain; one with spaces and umlauts in its path, more threads, other hashes, a Turkish locale where
    there is one, another time zone and no home.
    """
    spoken = subprocess.run(["locale", "-a"], capture_output=True, text=True, check=False).stdout.split()
    turkish = next((name for name in spoken if name.startswith("tr_TR")), "C.utf8")
    threads = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")
    plain = World(
        folder / "plain",
        {
            "HOME": str(folder),
            "PYTHONHASHSEED": "1",
            "LC_ALL": "C",
            "TZ": "UTC",
            **dict.fromkeys(threads, "1"),
        },
    )
    odd = World(
        folder / "an öd d place" / "déeper",
        {"PYTHONHASHSEED": "4242", "LC_ALL": turkish, "TZ": "Asia/Kathmandu", **dict.fromkeys(threads, "3")},
    )
    for world in (plain, odd):
        world.folder.mkdir(parents=True)
    return plain, odd
