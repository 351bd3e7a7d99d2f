"""`python -m eval SPEC.json`: one evaluation. `python -m eval score FILE.jsonl`: TyDiQA scores of given answers."""

from __future__ import annotations

import json
import sys

from ds2.errors import UserError

USAGE = "usage: python -m eval SPEC.json | python -m eval score FILE.jsonl"


def main(arguments: list[str]) -> int:
    """Exit code 0, or 2 with one line on stderr where the user has something to change."""
    try:
        match arguments:
            case ["score", path]:
                from eval.answers import score_file

                print(json.dumps(score_file(path), indent=2))
            case [path] if path not in ("-h", "--help", "score"):
                _evaluate(path)
            case _:
                print(USAGE, file=sys.stderr)
                return 2
    except UserError as error:
        print(f"eval: {error}", file=sys.stderr)
        return 2
    return 0


def _evaluate(path: str) -> None:
    from eval.run import evaluate
    from eval.spec import read_spec

    try:
        spec = read_spec(path)
    except (OSError, ValueError) as error:
        raise UserError(f"{path}: {error}") from error
    evaluate(spec)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
