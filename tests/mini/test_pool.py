"""The miniature pool keeps its promises: planted truth, portable randomness, questions nobody has seen."""

from __future__ import annotations

import hashlib
import json
from collections import defaultdict

import numpy as np
import pytest

from ds2.base.errors import UserError
from ds2.mini import generate_pool, generate_questions
from ds2.mini.language import FAMILIES, vocabulary
from ds2.mini.pool import DEFAULT_SAMPLES, right_probability

KINDS = ("familiar", "new")


def prompts(pool: list[dict]) -> set[str]:
    return {row["messages"][0]["content"] for row in pool}


def test_a_pool_is_the_same_on_every_machine():
    pool = generate_pool(samples=300, seed=0, num_scores=6)
    text = json.dumps(pool, sort_keys=True)
    assert hashlib.sha256(text.encode()).hexdigest()[:16] == "43227a280c032f9e"
    questions = [generate_questions(kind, samples=80, seed=0, pool_seed=0) for kind in KINDS]
    text = json.dumps(questions, sort_keys=True)
    assert hashlib.sha256(text.encode()).hexdigest()[:16] == "2491e9039ee45425"


def test_another_seed_gives_another_pool():
    first, second = (generate_pool(samples=300, seed=seed, num_scores=6) for seed in (0, 1))
    assert prompts(first) != prompts(second)


def test_rows_have_the_documented_fields_and_unique_ids_and_prompts():
    pool = generate_pool(samples=DEFAULT_SAMPLES, seed=0, num_scores=6)
    assert len({row["id"] for row in pool}) == DEFAULT_SAMPLES == len(prompts(pool))
    for row in pool:
        assert set(row) == {
            "id", "source", "messages", "true_score", "family", "cluster", "answer_right",
        }  # fmt: skip
        assert [message["role"] for message in row["messages"]] == ["user", "assistant"]
        assert all(message["content"] for message in row["messages"])


@pytest.mark.parametrize("num_scores", [2, 4, 6, 10, 11])
def test_the_true_score_governs_how_often_an_answer_is_right(num_scores):
    right = defaultdict(list)
    for row in generate_pool(samples=6000, seed=0, num_scores=num_scores):
        right[row["true_score"]].append(row["answer_right"])
    assert set(right) == set(range(num_scores))
    for score, answers in right.items():
        expected = right_probability(score, num_scores)
        margin = 4 * (expected * (1 - expected) / len(answers)) ** 0.5 + 1e-9
        assert abs(sum(answers) / len(answers) - expected) <= margin


def test_six_levels_have_the_documented_chances():
    assert [round(right_probability(y, 6), 9) for y in range(6)] == [0, 0.1, 0.3, 0.6, 0.85, 1]


def test_answers_marked_right_are_right_and_the_others_wrong():
    """An independent solver reads the prompt's text."""
    pool = generate_pool(samples=2000, seed=2, num_scores=6)
    for row in pool:
        prompt, answer = (message["content"] for message in row["messages"])
        assert (solve(row["family"], prompt) == answer) == row["answer_right"], row


@pytest.mark.parametrize("kind", KINDS)
def test_the_expected_answer_of_a_question_is_right(kind):
    questions = generate_questions(kind, samples=640, seed=5, pool_seed=0)
    assert all(solve(q["family"], q["prompt"]) == q["answer"] for q in questions)
    assert [q["family"] for q in questions] == [FAMILIES[i % len(FAMILIES)] for i in range(640)]
    assert len({q["prompt"] for q in questions}) == 640


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("seed", [0, 1])
def test_no_question_occurs_in_the_pool(kind, seed):
    pool = prompts(generate_pool(samples=DEFAULT_SAMPLES, seed=seed, num_scores=6))
    questions = generate_questions(kind, samples=640, seed=3, pool_seed=seed)
    assert not pool & {q["prompt"] for q in questions}


def test_no_two_prompts_of_a_pool_are_the_same_bag_of_words():
    """The embedder reads bags of words: copies would fake agreement between neighbours."""
    pool = generate_pool(samples=DEFAULT_SAMPLES, seed=1, num_scores=6)
    assert len({tuple(sorted(prompt.split())) for prompt in prompts(pool)}) == DEFAULT_SAMPLES


def test_neighbours_tend_to_share_the_true_score():
    """The share that docs/mini.md states, with the mini experiment's embedding; chance is .18."""
    feature_extraction = pytest.importorskip("sklearn.feature_extraction.text")
    decomposition = pytest.importorskip("sklearn.decomposition")
    pool = generate_pool(samples=DEFAULT_SAMPLES, seed=0, num_scores=6)
    texts = [" ".join(message["content"] for message in row["messages"]) for row in pool]
    vectorizer = feature_extraction.TfidfVectorizer(sublinear_tf=True, min_df=2)
    rows = decomposition.TruncatedSVD(128, random_state=0).fit_transform(vectorizer.fit_transform(texts))
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    similarity = rows @ rows.T
    np.fill_diagonal(similarity, -1)
    nearest = np.argpartition(-similarity, 10, axis=1)[:, :10]
    truth = np.array([row["true_score"] for row in pool])
    assert 0.5 < np.mean(truth[nearest] == truth[:, None]) < 0.7


def test_familiar_questions_speak_as_the_pool_does_and_new_ones_need_not():
    def manner(prompt: str) -> tuple[str, str]:
        style, _, rest = prompt.partition(" ")
        return style, rest.partition(" : ")[0]

    spoken = {manner(prompt) for prompt in prompts(generate_pool(samples=4000, seed=0, num_scores=6))}
    familiar, new = (
        [manner(q["prompt"]) in spoken for q in generate_questions(kind, samples=640, seed=0, pool_seed=0)]
        for kind in KINDS
    )
    assert all(familiar)
    assert sum(new) < 0.5 * len(new)


def test_a_cluster_shares_its_level():
    clusters = defaultdict(list)
    for row in generate_pool(samples=DEFAULT_SAMPLES, seed=0, num_scores=6):
        clusters[row["cluster"]].append(row["true_score"])
    assert len(clusters) == 96
    shares = [max(scores.count(y) for y in set(scores)) / len(scores) for scores in clusters.values()]
    assert 0.87 < sum(shares) / len(shares) < 0.93


def test_every_word_is_in_the_vocabulary():
    words = set(vocabulary())
    for row in generate_pool(samples=2000, seed=0, num_scores=6):
        for message in row["messages"]:
            assert set(message["content"].split()) <= words


@pytest.mark.parametrize(
    "wrong", [{"samples": 0}, {"num_scores": 1}, {"num_scores": 12}], ids=lambda wrong: str(wrong)
)
def test_impossible_pools_are_refused(wrong):
    with pytest.raises(UserError):
        generate_pool(**{"samples": 10, "seed": 0, "num_scores": 6, **wrong})


def test_an_unknown_kind_of_question_is_refused():
    with pytest.raises(UserError, match="familiar"):
        generate_questions("unheard", samples=8, seed=0, pool_seed=0)


def solve(family: str, prompt: str) -> str:
    """Written apart from the generator."""
    numbers = {word: i for i, word in enumerate(NUMBERS)}
    shown = prompt.split(" : ")[1]
    words = shown.split()
    match family:
        case "reverse":
            return " ".join(words[::-1])
        case "sort":
            return " ".join(sorted(words))
        case "last":
            return words[-1]
        case "count":
            return NUMBERS[len(words)]
        case "repeat":
            return f"{shown} {shown}"
        case "add":
            return NUMBERS[sum(numbers[word] for word in words)]
        case "join":
            return " - ".join(words)
        case "largest":
            return max(words, key=numbers.__getitem__)
    raise AssertionError(family)


NUMBERS = [
    "zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve",
    "thirteen", "fourteen", "fifteen", "sixteen", "seventeen", "eighteen", "nineteen", "twenty",
]  # fmt: skip
