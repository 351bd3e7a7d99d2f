"""The miniature language: known cases of every task, and wrong answers that are wrong."""

from __future__ import annotations

import subprocess
import sys
from random import Random

import pytest

from ds2.mini.language import ERRORS, FAMILIES, TOPICS, is_held_out, make_problem, wrong_answer


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("kind", ERRORS)
def test_a_wrong_answer_is_never_right(family, kind):
    rng = Random(0)
    for _ in range(300):
        problem = make_problem(family, "fruit", rng)
        wrong = wrong_answer(problem, kind, rng)
        assert wrong
        assert wrong != problem.answer


def test_no_word_is_in_two_topics():
    words = [word for words in TOPICS.values() for word in words]
    assert len(set(words)) == len(words) == 120


def test_one_prompt_in_five_is_held_out():
    held_out = [is_held_out(f"please reverse : word {i}") for i in range(5000)]
    assert 0.18 < sum(held_out) / len(held_out) < 0.22


def test_importing_the_package_loads_no_torch():
    code = "import sys, ds2.mini; sys.exit(any(name in sys.modules for name in ('torch', 'transformers')))"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
