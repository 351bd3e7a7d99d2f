"""From a model's text to a score: SQuAD-style F1 (TyDiQA), numbers (GSM8K), worked answers (BBH).

TyDiQA: tokens are the words of the normalised text (lower case; no ASCII punctuation; no "a", "an", "the").
With c common
tokens (counted with repetition), p = c / |prediction|, r = c / |reference|: F1 = 2pr / (p + r), best over
references.
"""

from __future__ import annotations

import re
import string
from collections import Counter, defaultdict
from collections.abc import Sequence
from decimal import Decimal
from pathlib import Path
from typing import Any

from ds2.base.errors import UserError
from ds2.base.json_files import read_json_lines

_ARTICLES = re.compile(r"\b(a|an|the)\b")
_NO_PUNCTUATION = str.maketrans("", "", string.punctuation)
_NUMBER = re.compile(r"(?<!\d)[-+]?(?:\d+(?:,\d{3})+|\d+)(?:\.\d+)?|(?<!\d)[-+]?\.\d+")
_WORKED = re.compile(r"[Tt]he answer is:?\s*(.+?)\s*(?:\.(?=\s|$)|\n|$)")
_OPTION = re.compile(r"\(?([a-z])\)")


def normalize(text: str) -> str:
    """SQuAD's normal form, for every language alike."""
    plain = text.lower().translate(_NO_PUNCTUATION)
    return " ".join(_ARTICLES.sub(" ", plain).split())


def token_f1(prediction: str, references: Sequence[str]) -> float:
    """F1 over tokens, 0..1, against the closest reference."""
    return max(_token_f1(normalize(prediction).split(), normalize(text).split()) for text in references)


def exact_match(prediction: str, references: Sequence[str]) -> float:
    """1 where the normal forms of prediction and a reference are equal, else 0."""
    return float(any(normalize(prediction) == normalize(text) for text in references))


def last_number(text: str) -> Decimal | None:
    """The last number of a worked solution: `$1,450.00` is 1450; None where there is none."""
    numbers = _NUMBER.findall(text)
    return Decimal(numbers[-1].replace(",", "")).normalize() if numbers else None


def worked_answer(text: str) -> str:
    """What follows "the answer is", to the end of its sentence; the whole text where nothing does."""
    worked = _WORKED.search(text)
    return (worked.group(1) if worked else text).strip()


def same_answer(given: str, target: str) -> bool:
    """Equal but for case, space between brackets, a final stop and the parentheses of an option `(B)`."""
    return _canonical(given) == _canonical(target)


def score_tydiqa(doc: dict[str, Any], results: list[str]) -> dict[str, float]:
    """lm-eval's `process_results` of the TyDiQA tasks."""
    return {
        "f1": token_f1(results[0], doc["answers"]),
        "exact_match": exact_match(results[0], doc["answers"]),
    }


def score_gsm8k(doc: dict[str, Any], results: list[str]) -> dict[str, float]:
    """lm-eval's `process_results` of GSM8K: the last number against the number after `####`."""
    given = last_number(results[0])
    return {"exact_match": float(given is not None and given == last_number(doc["answer"]))}


def score_bbh(doc: dict[str, Any], results: list[str]) -> dict[str, float]:
    """lm-eval's `process_results` of the BBH tasks."""
    return {"exact_match": float(same_answer(worked_answer(results[0]), doc["target"]))}


def score_file(path: str | Path) -> dict[str, dict[str, float]]:
    """TyDiQA scores in percent, per language and averaged over languages, of a JSONL file of answered
    questions.

    Rows hold `lang`, `answers` (a list of {"text"}) and `prediction_text`. Raises UserError naming file and
    line.
    """
    scores: dict[str, list[tuple[float, float]]] = defaultdict(list)
    source = Path(path)
    for number, row in read_json_lines(source):
        try:
            references = [answer["text"] for answer in row["answers"]]
            prediction = row["prediction_text"]
            scores[row["lang"]].append(
                (token_f1(prediction, references), exact_match(prediction, references))
            )
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise UserError(f"{source}, line {number}: not an answered question ({error})") from error
    if not scores:
        raise UserError(f"{source}: no answered questions")
    return _percent(scores)


def _percent(scores: dict[str, list[tuple[float, float]]]) -> dict[str, dict[str, float]]:
    table = {}
    for language, pairs in sorted(scores.items()):
        f1, exact = (100 * sum(column) / len(pairs) for column in zip(*pairs, strict=True))
        table[language] = {"f1": f1, "exact_match": exact, "n": len(pairs)}
    languages = list(table.values())
    average = {key: sum(row[key] for row in languages) / len(languages) for key in ("f1", "exact_match")}
    return {**table, "average": {**average, "n": sum(int(row["n"]) for row in languages)}}


def _token_f1(prediction: list[str], reference: list[str]) -> float:
    common = sum((Counter(prediction) & Counter(reference)).values())
    if common == 0:
        return 0.0
    precision, recall = common / len(prediction), common / len(reference)
    return 2 * precision * recall / (precision + recall)


def _canonical(text: str) -> str:
    plain = " ".join(text.lower().split()).removesuffix(".").strip("\"'` ")
    option = _OPTION.fullmatch(plain)
    if option:
        return option.group(1)
    return plain.replace(" ", "") if set(plain) <= set("()[]{}<> ") else plain
