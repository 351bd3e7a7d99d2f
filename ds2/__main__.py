"""The door: answers `ds2` alone, `--help` and `--version` without loading anything, opens the experiments,
leaves the rest to `ds2.cli`.
"""

from __future__ import annotations

import importlib
import sys
from collections.abc import Sequence


def main() -> None:
    """Entry point of the console script."""
    arguments = sys.argv[1:]
    if not arguments:
        from ds2.cli.usage import WELCOME

        print(WELCOME)
        return
    asks = arguments[0] != "experiments" and {"-h", "--help"} & set(arguments)
    if arguments == ["help"] or asks:
        from ds2.cli.usage import usage

        print(usage([a for a in arguments if a.lstrip("+").startswith("plugins=")]))
        return
    if arguments == ["--version"]:
        from ds2 import __version__

        print(f"ds2 {__version__}")
        return
    try:
        from ds2.cli.main import answer, run
    except KeyboardInterrupt:  # it takes a second, in which nothing was begun
        print("interrupted", file=sys.stderr)
        sys.exit(130)
    if arguments[0] == "experiments":
        sys.exit(answer(lambda: experiments(arguments[1:])))
    sys.exit(run(arguments))


def experiments(arguments: Sequence[str]) -> int:
    """`python -m experiments ARGUMENTS`, also where the project is an installed package; its exit code."""
    from ds2.base.paths import make_importable

    make_importable()
    code: int = importlib.import_module("experiments.__main__").main(arguments)
    return code


if __name__ == "__main__":
    main()
