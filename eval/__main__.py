"""`python -m eval SPEC.json`: one evaluation."""

from __future__ import annotations

import sys

from ds2.errors import UserError

USAGE = "usage: python -m eval SPEC.json"


def main(arguments: list[str]) -> int:
    """Exit code 0, or 2 with one line on stderr where the user has something to change."""
    if len(arguments) != 1 or arguments[0] in ("-h", "--help"):
        print(USAGE, file=sys.stderr)
        return 2
    from eval.run import evaluate
    from eval.spec import read_spec

    try:
        spec = read_spec(arguments[0])
    except (OSError, ValueError) as error:
        print(f"eval: {arguments[0]}: {error}", file=sys.stderr)
        return 2
    try:
        evaluate(spec)
    except UserError as error:
        print(f"eval: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
