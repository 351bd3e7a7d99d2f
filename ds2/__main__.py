"""The `ds2` command: answers `--help` without loading anything, and leaves the rest to `ds2.cli`."""

from __future__ import annotations

import sys


def main() -> None:
    """Entry point of the console script."""
    arguments = sys.argv[1:]
    if arguments and arguments[0] in ("-h", "--help", "help"):
        from ds2.usage import usage

        print(usage())
        return
    if arguments == ["--version"]:
        from ds2 import __version__

        print(f"ds2 {__version__}")
        return
    from ds2.cli import run

    sys.exit(run(arguments))


if __name__ == "__main__":
    main()
