"""Paired differences against what is known: planted gains, calibrated coverage, questions that are not
shared.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import pytest
from helpers.evaluated import evaluated

from ds2.artifacts.evaluation import AnsweredQuestion, Evaluation, Result, write_answered
from ds2.report.answers import Answers, Questions
from ds2.report.differences import difference


def pair(folder, ours, theirs, *, seed=1):
    """Two runs with these question scores, by task."""
    made = []
    for name, questions in (("ours", ours), ("theirs", theirs)):
        values = {task: float(np.mean(scores)) for task, scores in questions.items()}
        made.append(Answers(evaluated(folder / name / str(seed), values, seed=seed, questions=questions)))
    return made


def test_pairing_over_questions_sees_a_gain_that_unpaired_means_could_not(tmp_path):
    rng = np.random.default_rng(0)
    theirs = (rng.random(300) < 0.5).astype(float)
    ours = theirs.copy()
    ours[np.flatnonzero(theirs == 0)[:12]] = (
        1  # twelve further questions right: 4 points of 300, unpaired error 4
    )
    a, b = pair(tmp_path, {"t": ours.tolist()}, {"t": theirs.tolist()})
    gap = difference({1: a}, {1: b}, "t")
    assert gap.value == pytest.approx(0.04)
    assert gap.over == "questions"
    assert gap.low > 0.01
    assert gap.high < 0.07


def test_the_interval_covers_the_truth_about_as_often_as_it_says(tmp_path):
    rng, hits = np.random.default_rng(1), 0
    for trial in range(100):
        theirs, ours = rng.random(200) < 0.5, rng.random(200) < 0.6
        a, b = pair(tmp_path / str(trial), {"t": ours * 1.0}, {"t": theirs * 1.0})
        gap = difference({1: a}, {1: b}, "t")
        hits += gap.low <= 0.1 <= gap.high
    assert 88 <= hits <= 99


@dataclass(frozen=True)
class Planted:
    """A run whose questions' scores are given, without files."""

    scores: np.ndarray
    tasks: tuple[str, ...] = ("t",)

    def value(self, task):
        return float(self.scores.mean())

    def questions(self, task):
        return Questions(np.arange(len(self.scores), dtype=np.uint64), self.scores)


@pytest.mark.parametrize("shared", [True, False], ids=["the same questions", "each seed its own"])
@pytest.mark.parametrize("moves", [0.0, 0.02, 0.06])
@pytest.mark.parametrize(("seeds", "most"), [(2, 0.13), (3, 0.09), (5, 0.08)])
def test_methods_without_a_difference_are_seldom_told_apart(seeds, most, moves, shared):
    """Whatever of it a seed moves, a question, or both at once; 300 times each."""
    rng, told, tries, n = np.random.default_rng([seeds, int(100 * moves), shared]), 0, 300, 320
    for _ in range(tries):
        of_questions = rng.normal(0, 0.3, n if shared else (seeds, n))
        gaps = rng.normal(0, moves, (seeds, 1)) + of_questions + rng.normal(0, 0.45, (seeds, n))
        ours = {seed: Planted(gap) for seed, gap in enumerate(gaps)}
        theirs = {seed: Planted(np.zeros(n)) for seed in range(seeds)}
        told += difference(ours, theirs, "t").clear
    assert told / tries <= most


def test_a_difference_that_every_seed_shows_is_seen_with_three(tmp_path):
    rng = np.random.default_rng(0)
    ours = {seed: Planted(0.05 + rng.normal(0, 0.01) + rng.normal(0, 0.2, 640)) for seed in range(3)}
    theirs = {seed: Planted(np.zeros(640)) for seed in range(3)}
    gap = difference(ours, theirs, "t")
    assert gap.clear
    assert gap.high - gap.low < 0.08


def test_one_seed_s_gain_is_none_of_two(tmp_path):
    same = [1.0, 0.0] * 50
    runs = [pair(tmp_path, {"t": [1.0] * 100 if seed else same}, {"t": same}, seed=seed) for seed in (0, 1)]
    gap = difference({i: a for i, (a, _) in enumerate(runs)}, {i: b for i, (_, b) in enumerate(runs)}, "t")
    assert gap.over == "seeds and questions"
    assert gap.low < 0
    assert gap.high > 0.4


def test_without_kept_answers_the_interval_is_student_s_over_seeds_and_one_seed_says_nothing(tmp_path):
    ours = {s: Answers(evaluated(tmp_path / "a", {"t": 0.6 + 0.01 * s}, seed=s)) for s in range(3)}
    theirs = {s: Answers(evaluated(tmp_path / "b", {"t": 0.5}, seed=s)) for s in range(3)}
    gap = difference(ours, theirs, "average")
    assert gap.over == "seeds"
    half = 4.302653 * 0.01 / 3**0.5  # t of two degrees of freedom
    assert (gap.low, gap.high) == (pytest.approx(0.11 - half), pytest.approx(0.11 + half))
    assert difference(ours, theirs, "average", level=0.99).low < gap.low
    assert difference({0: ours[0]}, {0: theirs[0]}, "t") is None
    assert difference({0: ours[0]}, {1: theirs[1]}, "t") is None


def test_other_questions_are_not_paired(tmp_path):
    a, b = pair(tmp_path, {"t": [1.0, 0.0, 1.0]}, {"t": [1.0, 0.0]})
    assert difference({1: a}, {1: b}, "t") is None


def test_a_run_without_a_seed_stands_beside_every_seed(tmp_path):
    ours = {s: Answers(evaluated(tmp_path / "a", {"t": 0.6}, seed=s)) for s in range(3)}
    base = {None: Answers(evaluated(tmp_path / "b", {"t": 0.5}))}
    assert difference(ours, base, "t").pairs == 3
    assert difference(base, ours, "t").value == pytest.approx(-0.1)


@pytest.mark.parametrize(("value", "known"), [(0.75, True), (2 / 3, True), (0.6, False)])
def test_a_group_s_score_is_the_mean_over_questions_or_over_members_or_not_resampled(tmp_path, value, known):
    """Members x (1 of 1 right) and y (1 of 2 right): 2/3 over questions, .75 over members; .6 is neither."""
    run = evaluated(tmp_path, {"g": value})
    folder = run.stages["evaluate"].path
    evaluation = Evaluation.read(folder)
    members = [Result(task=m, metric="em", value=0.0, stderr=None, n=1) for m in ("x", "y")]
    replace(evaluation, results=[*evaluation.results, *members]).write(folder)
    rows = [("x", 0, "a", 1.0), ("y", 0, "a", 1.0), ("y", 1, "b", 0.0)]
    write_answered(
        folder, [AnsweredQuestion(task, n, "", target, "", score) for task, n, target, score in rows]
    )
    answered = Answers(run).questions("g")
    assert (answered is not None) is known
    if known:
        assert answered.scores.mean() == pytest.approx(value)
