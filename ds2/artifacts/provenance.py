"""Where and with what an artifact was made: versions, commit, host, peak memory."""

from __future__ import annotations

import contextlib
import platform
import resource
import subprocess
import sys
from collections.abc import Mapping
from functools import cache
from importlib import metadata
from pathlib import Path
from types import TracebackType
from typing import TypedDict

from ds2.base.load import load_module
from ds2.base.version import VERSION
from ds2.config import plugins

_PACKAGES = (
    "numpy", "scipy", "faiss-cpu", "scikit-learn", "sentence-transformers", "torch", "transformers",
    "peft", "accelerate", "datasets", "lm-eval", "vllm", "openai",
)  # fmt: skip


class Host(TypedDict):
    """The machine."""

    name: str
    machine: str
    system: str


class Provenance(TypedDict):
    """Where and with what."""

    versions: Mapping[str, str]
    """Package -> version, of those that shape results and are installed."""
    packages: Mapping[str, str]
    """Package -> version of all that is installed: what `pip freeze` says."""
    python: str
    git_commit: str | None
    """None outside a clone."""
    host: Host


@cache
def provenance(plugin: str | None = None) -> Provenance:
    """Versions (a plugin's too), git commit (None outside a clone) and host; computed once a process."""
    versions = {} if plugin is None else {plugin: plugin_version(plugin)}
    versions["ds2"] = (
        VERSION  # of the code that runs: an editable install keeps the number it was installed at
    )
    for package in _PACKAGES:
        try:
            versions[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            continue
    return {
        "versions": versions,
        "packages": _installed(),
        "python": platform.python_version(),
        "git_commit": _git_commit(),
        "host": {"name": platform.node(), "machine": platform.machine(), "system": platform.system()},
    }


def _installed() -> dict[str, str]:
    found = {str(each.metadata["Name"]): each.version for each in metadata.distributions()}
    return dict(sorted(found.items(), key=lambda item: item[0].lower()))


def plugin_version(package: str) -> str:
    """The version of the distribution that installed it, else the `__version__` that it gives itself."""
    for distribution in (
        plugins.installed().get(package),
        *metadata.packages_distributions().get(package, []),
    ):
        if distribution:
            return metadata.version(distribution)
    return str(getattr(load_module(package), "__version__", "unknown"))


def _git_commit() -> str | None:
    here = Path(__file__).resolve().parent
    try:
        run = subprocess.run(
            ["git", "describe", "--always", "--abbrev=40", "--dirty", "--exclude=*"],
            cwd=here, capture_output=True, text=True, timeout=10, check=True,
        )  # fmt: skip
    except (OSError, subprocess.SubprocessError):
        return None
    return run.stdout.strip()


class peak_memory:  # noqa: N801 - reads as a context: `with peak_memory() as memory`
    """Peak resident memory of this process while the context is open, in bytes.

    Linux can reset its high-water mark; elsewhere `bytes` is the peak of the process's whole life.
    """

    bytes: int | None = None

    def __enter__(self) -> peak_memory:
        # Not Linux, or not allowed: the process's peak is reported instead.
        with contextlib.suppress(OSError):
            Path("/proc/self/clear_refs").write_text("5", encoding="ascii")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None
    ) -> None:
        self.bytes = _high_water_mark()


def _high_water_mark() -> int:
    try:
        for line in Path("/proc/self/status").read_text(encoding="ascii").splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024
    except OSError:
        pass  # not Linux
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024
