"""Searching a real pool for evaluation questions and near-duplicates: false alarms, planted copies, speed.

    python benchmarks/sifting.py [--seed 0]

The pool (67,013 rows of Dolly and Alpaca) and the sets (GSM8K's test, BBH, TyDiQA) are those of DS2_DATA. The
pool was written without these sets, so whatever is found in it counts as a false alarm, and each is listed.
Then copies of 200 questions of each set are looked for, as they are and altered in five ways, and how many
are found is told; for comparison, what a single shared run of 13 or of 8 words would have found. Writes
`benchmarks/results/sifting.md`.
"""

from __future__ import annotations

import argparse
import gzip
import json
import random
import resource
import time
import unicodedata
from collections.abc import Callable
from pathlib import Path

from ds2.config import EvalConfig
from ds2.config.compose import compose
from ds2.method.near_duplicates import copies_among
from ds2.method.overlap import QuestionIndex
from ds2.method.terms import words_of
from eval.questions import questions_of

SETS = ("gsm8k", "bbh", "tydiqa")
PLANTED = 200
Change = Callable[[str, random.Random], str]


def _no_sign(character: str) -> str:
    return " " if unicodedata.category(character)[0] in "PS" else character


def one_word(text: str, rng: random.Random) -> str:
    words = text.split()
    words[rng.randrange(len(words))] = "zebra"
    return " ".join(words)


CHANGES: dict[str, Change] = {
    "as it is": lambda text, rng: text,
    "capitals": lambda text, rng: text.upper(),
    "white space": lambda text, rng: text.replace(" ", " \n  "),
    "no punctuation": lambda text, rng: "".join(
        " " if unicodedata.category(c)[0] in "PS" else c for c in text
    ),
    "within other text": lambda text, rng: f"Please solve this: {text} Explain your answer step by step.",
    "one word changed": one_word,
}


class AnyRun:
    """What a shared run of n words anywhere would find."""

    def __init__(self, questions: list[str], n: int) -> None:
        self._n = n
        self._runs: dict[str, set[int]] = {}
        for q, question in enumerate(questions):
            for run in self._in(question):
                self._runs.setdefault(run, set()).add(q)

    def _in(self, text: str) -> list[str]:
        words = words_of(text)
        return [" ".join(words[i : i + self._n]) for i in range(len(words) - self._n + 1)]

    def found(self, text: str) -> set[int]:
        return {q for run in self._in(text) for q in self._runs.get(run, ())}


def rows_of(path: Path) -> list[list[str]]:
    with gzip.open(path, "rt", encoding="utf-8") as file:
        return [[turn["content"] for turn in json.loads(line)["messages"]] for line in file]


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    data = Path(compose([]).paths.data)
    pool = rows_of(data / "pools" / "ds2_67k.jsonl.gz")
    config = EvalConfig(data_dir=str(data / "evals"))
    sets = {name: questions_of(name, config) for name in SETS}
    lines = [
        f"`python benchmarks/sifting.py --seed {options.seed}`: {len(pool):,} rows of Dolly and Alpaca.",
        "",
    ]
    lines += false_alarms(pool, sets)
    lines += planted(sets, random.Random(options.seed))
    lines += speed(pool)
    text = "\n".join(lines) + "\n"
    (Path(__file__).parent / "results" / "sifting.md").write_text(text, encoding="utf-8")
    print(text)


def false_alarms(pool: list[list[str]], sets: dict[str, list[str]]) -> list[str]:
    head = "| set | questions | rows that hold one | a run of 13 words | a run of 8 words |"
    lines = [head, "|---|---:|---:|---:|---:|"]
    listed = []
    for name, questions in sets.items():
        index, runs = QuestionIndex(questions), [AnyRun(questions, n) for n in (13, 8)]
        found = [(turns, held) for turns in pool if (held := index.held_in(turns))]
        by_run = [sum(any(run.found(turn) for turn in turns) for turns in pool) for run in runs]
        lines.append(f"| {name} | {len(questions):,} | {len(found)} | {by_run[0]} | {by_run[1]} |")
        listed += [
            f"- {name}: {questions[held[0].question]!r} in {turns[0][:120]!r}" for turns, held in found
        ]
    return [*lines, "", *listed, *([""] if listed else [])]


def planted(sets: dict[str, list[str]], rng: random.Random) -> list[str]:
    lines = [
        "| copy | " + " | ".join(f"{name}, 13 words and more | {name}, shorter" for name in sets) + " |",
        "|---|" + "---:|" * (2 * len(sets)),
    ]
    indices = {name: QuestionIndex(questions) for name, questions in sets.items()}
    for change, alter in CHANGES.items():
        cells = []
        for name, questions in sets.items():
            for part in ([q for q, text in enumerate(questions) if (len(words_of(text)) >= 13) is long]
                         for long in (True, False)):  # fmt: skip
                chosen = rng.sample(part, min(PLANTED, len(part)))
                found = sum(
                    q in {held.question for held in indices[name].held_in([alter(questions[q], rng)])}
                    for q in chosen
                )
                cells.append(f"{found} of {len(chosen)}" if chosen else "")
        lines.append(f"| {change} | " + " | ".join(cells) + " |")
    return [*lines, ""]


def speed(pool: list[list[str]]) -> list[str]:
    texts = [" ".join(turns) for turns in pool]
    lines = [
        "| near_duplicates | CPU seconds | copies | groups | the largest |",
        "|---:|---:|---:|---:|---:|",
    ]
    for similarity in (1.0, 0.9, 0.8, 0.7):
        began = time.process_time()
        groups = copies_among(texts, similarity).groups
        seconds = time.process_time() - began
        copies = sum(len(group) - 1 for group in groups)
        lines.append(f"| {similarity:g} | {seconds:.0f} | {copies} | {len(groups)} | {len(groups[0])} |")
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    return [*lines, "", f"Peak memory {peak:.1f} GiB, the pool's own texts included."]


if __name__ == "__main__":
    main()
