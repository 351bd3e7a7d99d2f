"""The wheel under each Python at hand, in an environment of its own and outside the clone.

    python tests/helpers/interpreters.py build/dist python3.11 python3.12 python3.13    # make test-pythons
    python tests/helpers/interpreters.py build/dist --extras eval python3.11            # the miniature too

Says for each which version it is and what was run; exit code 1 where something failed. An interpreter that is
not found is named and left out.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
LOCK = ROOT / "constraints.txt"
EXAMPLE = ROOT / "docs" / "tutorials" / "example_pool.py"
OWN_FILE = (
    "pool=jsonl pool.path=messy.jsonl pool.on_bad_rows=drop rater=from_column rater.column=score "
    "budget.samples=40 until=select tracking=none runtime.progress=false"
)


def commands(extras: str) -> Iterator[list[str]]:
    """What a person types first, with the extras there are."""
    yield ["ds2", "--version"]
    yield ["ds2", "look", "messy.jsonl"]
    yield ["ds2", *OWN_FILE.split()]
    if "eval" in extras.split(","):
        yield ["ds2", "demo"]


def run(command: list[str], folder: Path, environment: dict[str, str]) -> str:
    """The last line of what a command says. Raises RuntimeError with all of it where it fails."""
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"{' '.join(command)}\n{done.stdout[-2000:]}\n{done.stderr[-3000:]}")
    return (done.stdout.strip().splitlines() or [""])[-1]


def try_one(interpreter: str, wheel: Path, extras: str) -> str:
    """Install and run under one interpreter; what to say of it."""
    began = time.monotonic()
    with tempfile.TemporaryDirectory() as scratch:
        folder, place = Path(scratch), Path(scratch) / "venv"
        environment = {**os.environ, "PATH": f"{place / 'bin'}{os.pathsep}{os.environ['PATH']}"}
        environment.pop("PYTHONPATH", None)
        run([interpreter, "-m", "venv", str(place)], folder, environment)
        install = [str(place / "bin" / "pip"), "install", "--quiet", "--constraint", str(LOCK)]
        if "eval" in extras.split(","):
            run([*install, "torch==2.13.0"], folder, environment)
        run([*install, f"{wheel}[{extras}]" if extras else str(wheel)], folder, environment)
        installed = time.monotonic() - began
        shutil.copy(EXAMPLE, folder)
        run(["python", EXAMPLE.name], folder, environment)
        for command in commands(extras):
            run(command, folder, environment)
        (subset,) = folder.glob("artifacts/select/messy-*/subset.jsonl")
        assert len(subset.read_text(encoding="utf-8").splitlines()) == 40
        top_level = [path.name for path in place.glob("lib/*/site-packages/*") if path.name in OURS]
        assert top_level == [], f"in site-packages beside ds2: {top_level}"
        version = run(["python", "--version"], folder, environment)
    typed = ", ".join(command[1] if command[1] in ("--version", "look", "demo") else "a selection"
                      for command in commands(extras))  # fmt: skip
    return f"{version}: installed in {installed:.0f} s; {typed}: {time.monotonic() - began - installed:.0f} s"


OURS = ("conf", "finetune", "eval", "experiments", "tests", "docs", "benchmarks")
"""Folders of the clone that must never be importable by themselves where the wheel is installed."""


def main() -> int:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    arguments.add_argument("dist", type=Path, help="folder that holds one wheel")
    arguments.add_argument("interpreters", nargs="+")
    arguments.add_argument("--extras", default="", help="of the wheel, separated by commas")
    given = arguments.parse_args()
    (wheel,) = given.dist.resolve().glob("*.whl")
    failed = False
    for interpreter in given.interpreters:
        if shutil.which(interpreter) is None:
            print(f"{interpreter}: not found, not run", flush=True)
            continue
        try:
            print(try_one(interpreter, wheel, given.extras), flush=True)
        except (RuntimeError, AssertionError) as error:
            failed = True
            print(f"{interpreter}: failed\n{error}", flush=True)
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
