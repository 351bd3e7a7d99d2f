"""Commands of the evaluation leaf.

python -m eval SPEC.json             one evaluation (eval.spec.EvalSpec)
python -m eval score FILE.jsonl      TyDiQA scores of given answers, in percent
python -m eval answer SPEC.json      one model's answers to a file of prompts (eval.judge.spec.AnswerSpec)
python -m eval judge SPEC.json       two models' answers before a judge (eval.judge.spec.JudgeSpec)
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from ds2.base.dataclass_json import from_plain
from ds2.base.errors import UserError
from ds2.base.json_files import json_text, read_json
from ds2.base.progress import clock

USAGE = "usage: python -m eval SPEC.json | score FILE.jsonl | answer SPEC.json | judge SPEC.json"


def main(arguments: list[str]) -> int:
    """Exit code 0, or 2 with one line on stderr where the user has something to change."""
    try:
        match arguments:
            case ["score", path]:
                from eval.answers import score_file

                print(json_text(score_file(path)))
            case ["answer", path]:
                from eval.judge.answer import write_answers
                from eval.judge.spec import AnswerSpec

                answers: AnswerSpec = _read(AnswerSpec, path)
                with clock("answer", shown=answers.progress):
                    write_answers(answers)
            case ["judge", path]:
                from eval.judge.run import compare
                from eval.judge.spec import JudgeSpec

                comparison: JudgeSpec = _read(JudgeSpec, path)
                with clock("judge", shown=comparison.progress):
                    print(json_text(compare(comparison)))
            case [path] if path not in ("-h", "--help", "score", "answer", "judge"):
                from eval.run import evaluate
                from eval.spec import EvalSpec

                spec: EvalSpec = _read(EvalSpec, path)
                with clock("evaluate", shown=spec.progress):
                    evaluate(spec)
            case _:
                print(USAGE, file=sys.stderr)
                return 2
    except UserError as error:
        print(f"eval: {error}", file=sys.stderr)
        return 2
    return 0


def _read(cls: type[Any], path: str) -> Any:
    try:
        return from_plain(cls, read_json(Path(path)))
    except (OSError, ValueError) as error:
        raise UserError(f"{path}: {error}") from error


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
