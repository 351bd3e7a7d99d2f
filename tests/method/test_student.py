"""The student of a rater: what it learns, what it refuses, and that nothing teaches itself."""

import numpy as np
import pytest

from ds2.base.threads import one_blas_thread
from ds2.method.knn import knn_graph
from ds2.method.student.boosting import cross_fitted_boosting
from ds2.method.student.features import SURFACE, count_terms, surface_features, text_vectors
from ds2.method.student.fit import learn_student
from ds2.method.student.folds import seeded_folds, twin_groups
from ds2.method.student.neighbors import neighbor_mean
from ds2.method.student.ridge import PENALTIES, cross_fitted_ridge
from ds2.method.student.stack import r_squared, stack_members

WORDS = [f"w{a}{b}" for a in "abcdefghijklmnopqrst" for b in "abcdefghijklmnopqrst"]


def make_texts(n, seed=0, words=30):
    rng = np.random.default_rng(seed)
    return [" ".join(rng.choice(WORDS, rng.integers(5, words))) for _ in range(n)]


@pytest.fixture(scope="module")
def world():
    """Scores of six levels that follow ten columns with noise."""
    rng = np.random.default_rng(3)
    x = rng.normal(size=(800, 10)).astype(np.float32)
    quality = x[:, 0] + 0.5 * x[:, 1]
    scores = np.clip(np.round(2.5 + quality + rng.normal(size=800)), 0, 5)
    return x, quality, scores, knn_graph(x, 12)


def test_ridge_equals_a_ridge_fitted_on_the_other_folds(world):
    x, _, y, _ = world
    fold = np.arange(800) % 4
    got = cross_fitted_ridge(x, y, fold)
    for f in range(4):
        m, v = x[fold != f].astype(float), y[fold != f]
        left_out = x[fold == f].astype(float)
        unit = m.var(axis=0).mean() * len(m)
        gram = np.cov(m.T, bias=True) * len(m)
        tried = [
            v.mean()
            + (left_out - m.mean(0))
            @ np.linalg.solve(gram + a * unit * np.eye(10), (m - m.mean(0)).T @ (v - v.mean()))
            for a in PENALTIES
        ]
        assert min(np.abs(t - got[fold == f]).max() for t in tried) < 1e-8


@pytest.mark.parametrize("learner", [cross_fitted_ridge, cross_fitted_boosting])
def test_a_score_has_no_say_in_its_own_prediction(world, learner):
    x, _, y, _ = world
    fold = np.arange(800) % 4
    other = y.copy()
    other[fold == 2] = 5 - other[fold == 2]
    before, after = learner(x, y, fold), learner(x, other, fold)
    assert (before[fold == 2] == after[fold == 2]).all() or np.allclose(
        before[fold == 2], after[fold == 2], atol=1e-9
    )
    assert not np.allclose(before[fold == 1], after[fold == 1])


@pytest.mark.parametrize("learner", [cross_fitted_ridge, cross_fitted_boosting])
def test_unrated_rows_are_predicted_by_the_mean_of_the_fits(world, learner):
    x, quality, y, _ = world
    fold = np.where(np.arange(800) < 400, np.arange(800) % 4, -1)
    assert np.corrcoef(learner(x, y, fold)[400:], quality[400:])[0, 1] > 0.8


def test_folds_never_separate_copies_or_near_copies_of_a_text():
    texts = make_texts(300)
    copies = [texts[i].upper() + "." for i in range(40)] + [texts[i] + " extra" for i in range(40, 60)]
    rows = np.random.default_rng(0).normal(size=(360, 6))
    long = [t + " " + t for t in make_texts(360, seed=5)]
    assert len(long) == 360
    groups = twin_groups(knn_graph(rows, 5), count_terms(texts + copies))
    fold = seeded_folds(np.arange(360) % 5.0, np.ones(360, bool), groups, 5, 0)
    assert (fold[300:340] == fold[:40]).all()
    alike = np.array([len(set(texts[i].split())) >= 10 for i in range(40, 60)])
    assert (fold[340:][alike] == fold[40:60][alike]).all()


def test_folds_never_separate_near_duplicate_embeddings_where_there_are_no_texts():
    rng = np.random.default_rng(0)
    x = rng.normal(size=(200, 8))
    x = np.concatenate([x, x[:50] + 1e-3 * rng.normal(size=(50, 8))])
    groups = twin_groups(knn_graph(x, 5), None)
    fold = seeded_folds(rng.integers(0, 4, 250).astype(float), np.ones(250, bool), groups, 5, 0)
    assert (fold[200:] == fold[:50]).all()


def test_a_chain_of_near_duplicates_does_not_swallow_the_pool():
    x = np.stack([np.cos(np.arange(300) / 300), np.sin(np.arange(300) / 300)], axis=1)
    assert len(np.unique(twin_groups(knn_graph(x, 4), None))) == 300


def test_folds_have_the_same_mixture_of_scores_and_size():
    s = np.random.default_rng(1).integers(0, 5, 1000).astype(float)
    fold = seeded_folds(s, np.ones(1000, bool), np.arange(1000), 10, 0)
    means = [s[fold == f].mean() for f in range(10)]
    assert np.bincount(fold).tolist() == [100] * 10
    assert np.ptp(means) < 0.1


def test_neighbours_of_a_group_do_not_teach_each_other():
    x = np.random.default_rng(0).normal(size=(60, 4))
    graph = knn_graph(np.concatenate([x, x]), 8)
    s = np.random.default_rng(1).integers(0, 5, 120).astype(float)
    groups, rated = np.tile(np.arange(60), 2), np.ones(120, bool)
    changed = s.copy()
    changed[60] = 5 - changed[60]
    before, after = (neighbor_mean(graph, v, rated, groups, 5) for v in (s, changed))
    drift = (changed.mean() - s.mean()) * 3 / 8
    assert after[0] - before[0] == pytest.approx(drift)


def test_stack_refuses_a_member_that_predicts_nothing(world):
    _, quality, y, _ = world
    rng = np.random.default_rng(5)
    fold = np.arange(800) % 5
    columns = {"good": 2.5 + 0.5 * quality, "noise": 2.5 + 0.3 * rng.normal(size=800)}
    stack = stack_members(columns, y, fold, np.arange(800))
    good, noise = stack.members
    assert (good.refused, noise.refused, stack.whole.refused) == (False, True, False)
    assert noise.weight == 0
    assert 0 < good.r2_low < good.r2 < good.r2_high < 1


def test_interval_of_r2_holds_the_truth_about_as_often_as_it_says():
    rng, held = np.random.default_rng(0), 0
    for _ in range(200):
        f = rng.normal(size=300)
        y = f + rng.normal(size=300)  # R^2 = 1/2
        _, low, high = r_squared(y, f, np.zeros(300), np.arange(300))
        held += low <= 0.5 <= high
    assert 180 <= held <= 199


def test_surface_features_count_what_they_name():
    texts = ["One two. Three!\nFour 4", "", "a  b"]
    got = surface_features(texts, count_terms(texts))
    row = dict(zip(SURFACE, got[0], strict=True))
    assert np.expm1(row["log characters"]) == pytest.approx(22)
    assert np.expm1(row["log words"]) == pytest.approx(5)
    assert np.expm1(row["log line breaks"]) == pytest.approx(1)
    assert row["sentence ends per word"] == pytest.approx(2 / 5)
    assert row["digits per character"] == pytest.approx(1 / 22)
    assert row["punctuation per character"] == pytest.approx(2 / 22)
    assert (got[1] == 0).all()
    assert np.expm1(got[2][1]) == pytest.approx(2)


def test_words_beyond_the_basic_plane_and_lone_surrogates_are_counted():
    texts = ["\U0001f600 \ud800 x", "\u3000"]
    assert np.expm1(surface_features(texts, count_terms(["ab", "cd"]))[:, 1]) == pytest.approx([3, 0])


def test_text_vectors_are_unit_rows_and_close_for_texts_of_the_same_words():
    texts = [*make_texts(200), "", "unheard"]
    texts[1] = " ".join(reversed(texts[0].split()))
    v = text_vectors(count_terms(texts), dimensions=30)
    assert v.shape == (202, 30)
    assert v[0] @ v[1] == pytest.approx(1, abs=1e-4)
    assert (v[200:] == 0).all()
    assert np.linalg.norm(v[:200], axis=1) == pytest.approx(1, abs=1e-5)


def test_a_pool_put_beside_its_own_copy_gains_no_r2():
    rng = np.random.default_rng(0)
    texts, s = make_texts(150), rng.integers(0, 4, 150).astype(float)
    x = rng.normal(size=(150, 8)).astype(np.float32)
    twice = learn_student(
        np.concatenate([x, x]),
        np.concatenate([s, s]),
        np.ones(300, bool),
        knn_graph(np.concatenate([x, x]), 12),
        texts=texts + texts,
    )
    assert twice.whole.refused
    assert twice.twins == 300


def test_the_numbers_do_not_depend_on_threads(world):
    import faiss

    x, _, y, graph = world
    texts = make_texts(800)
    predictions = []
    for threads in (1, 3):
        before = faiss.omp_get_max_threads()
        faiss.omp_set_num_threads(threads)
        try:
            predictions.append(learn_student(x, y, np.ones(800, bool), graph, texts=texts).predicted)
        finally:
            faiss.omp_set_num_threads(before)
    with one_blas_thread():
        predictions.append(learn_student(x, y, np.ones(800, bool), graph, texts=texts).predicted)
    assert predictions[0].tobytes() == predictions[1].tobytes() == predictions[2].tobytes()
