"""The door: answers `ds2` alone, `--help` and `--version` without loading anything, opens the experiments,
leaves the rest to `ds2.cli`.
"""

from __future__ import annotations

import importlib
import os
import sys
from collections.abc import Sequence


def main() -> None:
    """Entry point of the console script."""
    code = 0
    try:
        code = _run(sys.argv[1:])
        sys.stdout.flush()
    except OSError as error:
        from ds2.base.drafts import is_disk_full

        if not (is_disk_full(error) or isinstance(error, BrokenPipeError)):
            raise
        if code == 0:  # else it is said
            print(f"standard output: {error.strerror}", file=sys.stderr)
            code = 2
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # Python tries the rest once more
    sys.exit(code)


def _run(arguments: Sequence[str]) -> int:
    """The command; its exit code."""
    if not arguments:
        from ds2.cli.usage import WELCOME

        print(WELCOME)
        return 0
    asks = arguments[0] != "experiments" and {"-h", "--help"} & set(arguments)
    if arguments == ["help"] or asks:
        from ds2.cli.usage import usage

        print(usage([a for a in arguments if a.lstrip("+").startswith("plugins=")]))
        return 0
    if arguments == ["--version"]:
        from ds2 import __version__

        print(f"ds2 {__version__}")
        return 0
    try:
        from ds2.cli.main import answer, run
    except KeyboardInterrupt:  # it takes a second, in which nothing was begun
        print("interrupted", file=sys.stderr)
        return 130
    if arguments[0] == "experiments":
        return answer(lambda: experiments(arguments[1:]))
    return run(arguments)


def experiments(arguments: Sequence[str]) -> int:
    """`python -m experiments ARGUMENTS`, also where the project is an installed package; its exit code."""
    from ds2.base.paths import make_importable

    make_importable()
    code: int = importlib.import_module("experiments.__main__").main(arguments)
    return code


if __name__ == "__main__":
    main()
