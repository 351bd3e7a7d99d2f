"""Two places on one machine that differ in everything that must not matter to a result, and whether their
results do.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from ds2.artifacts.comparison import differences
from ds2.artifacts.record import find_artifacts, read_record
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


def differing(one: Path, other: Path) -> dict[str, str]:
    """Artifact -> how it differs between two stores; one entry for each that does. Times and places do not
    count, nor do pages, which show them.
    """
    ones, others = artifacts(one), artifacts(other)
    found = dict.fromkeys(ones.keys() ^ others.keys(), "only in one of the two stores")
    for name in sorted(ones.keys() & others.keys()):
        path = ones[name]
        apart = differences(path, others[name], read_record(path)["files"])
        if apart:
            found[name] = "; ".join(f"{each.name}: {each.text}" for each in apart)
    return found


def artifacts(root: Path, *, pages: bool = False) -> dict[str, Path]:
    """The finished artifacts of a store by stage and name; of reports only if asked for."""
    folders = [path for path in root.iterdir() if path.is_dir() and not path.name.startswith(".")]
    kept = [folder for folder in folders if pages or folder.name != "report"]
    return {f"{f.name}/{path.name}": path for f in kept for path in find_artifacts(f)}
