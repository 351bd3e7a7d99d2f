"""Near-duplicates: planted copies are found, and nothing else, by Jaccard's similarity of trigrams."""

from __future__ import annotations

import random
import sys

import numpy as np
import pytest

from ds2.base.errors import UserError
from ds2.method.near_duplicates import copies_among, jaccard, trigrams
from ds2.method.terms import words_of


def text(seed: int, length: int = 60) -> str:
    rng = random.Random(seed)
    return " ".join(
        rng.choice("abcdefghij") * rng.randint(1, 9) + str(rng.randrange(50)) for _ in range(length)
    )


def changed(original: str, *places: int) -> str:
    words = original.split()
    for place in places:
        words[place] = f"new{place}"
    return " ".join(words)


def test_equal_words_are_copies_whatever_case_spacing_and_punctuation():
    texts = ["Say it: once.", "other words here", "say  IT once!", "", "Other words, here", "..."]
    found = copies_among(texts, 1)
    assert found.of.tolist() == [0, 1, 0, 3, 1, 5]
    assert found.groups == [[0, 2], [1, 4]]


def test_a_text_with_a_word_changed_is_a_copy_below_that_similarity_and_none_above():
    originals = [text(seed) for seed in range(200)]
    texts = originals + [changed(original, 30) for original in originals]
    likeness = jaccard(*(trigrams(words_of(t)) for t in (texts[0], texts[200])))
    assert likeness == pytest.approx(55 / 61)
    found = copies_among(texts, 0.9)
    assert found.of[:200].tolist() == list(range(200))
    assert (found.of[200:] == np.arange(200)).mean() == 1.0
    assert found.similarity[found.of != np.arange(400)].min() >= 0.9
    assert copies_among(texts, 0.95).of.tolist() == list(range(400))


def test_what_is_found_is_what_comparing_all_pairs_finds():
    rng = random.Random(3)
    texts = [text(seed, 30) for seed in range(60)]
    texts += [changed(texts[seed], *rng.sample(range(30), rng.randint(1, 4))) for seed in range(60)]
    sets = [trigrams(words_of(t)) for t in texts]
    stays: list[int] = []
    of = []
    for n in range(len(texts)):
        near = [(jaccard(sets[n], sets[m]), -m) for m in stays]
        best = max(near, default=(0.0, 0))
        of.append(-best[1] if best[0] >= 0.6 else n)
        stays += [n] if of[-1] == n else []
    found = copies_among(texts, 0.6)
    assert np.mean(found.of == of) >= 0.98
    assert sum(o != n for n, o in enumerate(of)) > 20


def test_chains_end_at_the_text_that_stays_and_groups_are_the_largest_first():
    first = text(1)
    texts = [first, text(2), first.upper(), text(2), first + "!", text(3)]
    found = copies_among(texts, 0.8)
    assert found.groups == [[0, 2, 4], [1, 3]]


def test_short_texts_and_scripts_without_spaces_are_compared_too():
    texts = ["yes", "Yes!", "no no", "今天天气很好我们去公园", "今天天气很好，我们去公园。", "昨天天气不好"]
    assert copies_among(texts, 0.7).of.tolist() == [0, 0, 2, 3, 3, 5]


def test_the_same_texts_give_the_same_result_again():
    texts = [changed(text(seed % 50), seed % 60) for seed in range(150)]
    first, second = copies_among(texts, 0.85), copies_among(texts, 0.85)
    assert first.of.tolist() == second.of.tolist()
    assert trigrams(["a", "b", "c", "d"]).tolist() == [9371196998947595924, 13681471167781635354]


@pytest.mark.parametrize("similarity", [0, -0.1, 1.5, float("nan")])
def test_a_similarity_out_of_range_is_refused(similarity):
    with pytest.raises(UserError, match="pool.near_duplicates=.* must be a similarity above 0"):
        copies_among(["a"], similarity)


def test_without_datasketch_the_line_says_how_to_install_it(monkeypatch):
    monkeypatch.setitem(sys.modules, "datasketch", None)
    with pytest.raises(
        UserError, match="needs datasketch: pip install .*near_duplicates=1 .* needs no package"
    ):
        copies_among(["a", "b"], 0.9)
    assert copies_among(["a", "A"], 1).of.tolist() == [0, 0]
