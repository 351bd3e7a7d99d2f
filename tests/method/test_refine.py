"""Refine: the given score decides, evidence orders what it leaves equal."""

import subprocess
import sys
from dataclasses import asdict

import numpy as np
import pytest

import ds2
from ds2.base.errors import UserError
from ds2.method.curation.planted import ordinal_transition, plant_pool
from ds2.method.knn import knn_graph
from ds2.method.refine import refine, without_length

K = 6


def good_texts(quality, rng):
    """Texts whose words tell of quality, of lengths that do not."""
    good, bad = [f"good{i}" for i in range(30)], [f"bad{i}" for i in range(30)]
    share = 1 / (1 + np.exp(-quality))
    return [
        " ".join(rng.choice(good if rng.random() < p else bad) for _ in range(rng.integers(8, 40)))
        for p in share
    ]


@pytest.fixture(scope="module")
def planted():
    """Quality, coarse noisy scores, texts that tell of the quality, embeddings that tell nothing."""
    rng = np.random.default_rng(0)
    n = 600
    quality = rng.normal(size=n)
    scores = np.clip(np.round(1.5 + quality + 0.7 * rng.normal(size=n)), 0, 3).astype(int)
    x = rng.normal(size=(n, 16)).astype(np.float32)
    return quality, scores, good_texts(quality, rng), x, knn_graph(x, 12)


@pytest.fixture(scope="module")
def result(planted):
    _, s, texts, x, graph = planted
    return refine(x, s, graph=graph, num_scores=4, texts=texts)


def test_a_higher_given_score_always_comes_first(planted, result):
    s = planted[1]
    for level in range(3):
        assert result.refined[s == level].max() < result.refined[s == level + 1].min()


def test_equal_scores_are_ordered_by_planted_quality(planted, result):
    quality, s = planted[:2]
    within = [np.corrcoef(quality[s == v], result.refined[s == v])[0, 1] for v in (1, 2)]
    assert min(within) > 0.3


def test_neighbours_that_tell_nothing_are_refused_and_the_posterior_with_them(planted, result):
    _, s, texts, x, graph = planted
    members = {m.name: m for m in result.evidence.members}
    assert members["neighbours"].refused
    assert not members["ridge"].refused
    noise = np.random.default_rng(4).normal(size=len(s))
    again = refine(x, s, graph=graph, num_scores=4, texts=texts, posterior_mean=noise)
    assert again.evidence.posterior_weight == 0
    assert (again.refined == result.refined).all()


def test_scores_that_nothing_predicts_leave_their_equals_equal(planted):
    _, _, _, x, graph = planted
    rng = np.random.default_rng(8)
    s = rng.integers(0, 4, 600)
    result = refine(x, s, graph=graph, num_scores=4, texts=good_texts(rng.normal(size=600), rng))
    assert result.evidence.student.refused
    assert np.unique(result.refined).tolist() == [0, 1, 2, 3]
    assert any("predicts nothing" in w for w in result.warnings)


def test_unrated_samples_take_the_students_prediction(planted):
    quality, s, texts, x, graph = planted
    seen = np.where(np.arange(600) % 3 == 0, s, -1)
    result = refine(x, seen, graph=graph, num_scores=4, texts=texts)
    hidden = seen < 0
    assert (result.refined[hidden] == result.student[hidden]).all()
    assert np.corrcoef(result.student[hidden], quality[hidden])[0, 1] > 0.5


def test_given_features_teach_without_texts(planted):
    quality, s, _, x, graph = planted
    result = refine(x, s, graph=graph, num_scores=4, features=quality[:, None])
    assert result.evidence.student.r2 > 0.3
    assert any("without texts" in w for w in result.warnings)


def test_length_ignored_leaves_no_length_in_the_student_nor_among_equals():
    rng = np.random.default_rng(2)
    words = rng.integers(5, 60, 500)
    texts = [" ".join(f"w{i}" for i in rng.integers(0, 200, n)) for n in words]
    s = np.clip(np.round(words / 15 + 0.5 * rng.normal(size=500)), 0, 4).astype(int)
    x = rng.normal(size=(500, 8))
    graph = knn_graph(x, 12)
    with_length = refine(x, s, graph=graph, num_scores=5, texts=texts)
    without = refine(x, s, graph=graph, num_scores=5, texts=texts, length="ignore")
    chars = np.log1p([len(t) for t in texts])
    assert np.corrcoef(chars, with_length.student)[0, 1] > 0.9
    assert abs(np.corrcoef(chars, without.student)[0, 1] if np.ptp(without.student) else 0) < 0.01


def test_without_length_takes_log_length_and_its_square_out():
    z = np.random.default_rng(0).normal(size=300)
    left = without_length(3 + 2 * z - z**2 + np.sin(np.arange(300)), z, np.ones(300, bool))
    assert abs(np.corrcoef(left, z)[0, 1]) < 1e-6
    assert abs(np.corrcoef(left, z**2)[0, 1]) < 1e-6


def test_continuous_scores_are_equal_within_the_noise_of_repeats(planted):
    quality, _, texts, x, graph = planted
    rng = np.random.default_rng(1)
    repeats = np.clip(1.5 + quality[:, None] + 0.8 * rng.normal(size=(600, 4)), 0, 3)
    means = repeats.mean(axis=1)
    result = refine(x, means, graph=graph, num_scores=4, texts=texts, repeats=repeats)
    assert result.evidence.noise_source == "repeats"
    assert result.evidence.noise == pytest.approx(0.33, abs=0.08)
    far = means[:, None] > means[None, :] + 2 * np.sqrt(2) * result.evidence.noise
    assert (result.refined[:, None] > result.refined[None, :])[far].all()
    assert refine(x, means, graph=graph, num_scores=4, texts=texts).evidence.noise_source == (
        "out-of-fold residual"
    )
    halves = refine(x, means, graph=graph, num_scores=4, texts=texts, repeats=repeats[:, :2])
    assert halves.evidence.noise_source == "split halves"


def test_planted_wrong_scores_are_flagged_more_often_than_right_ones():
    pool = plant_pool(1000, transitions=ordinal_transition(6, accuracy=0.6), cluster_size=15, seed=1)
    result = ds2.curate(pool.embeddings, pool.scores, method="refine")
    wrong = pool.scores != pool.true_scores
    assert result.flagged[wrong].mean() > 5 * max(result.flagged[~wrong].mean(), 0.001)
    assert (result.curated == pool.scores).all()


def first(order, value, budget):
    """Mean value of the first `budget`, equal ones at the cut by their expectation."""
    cut = np.sort(order)[::-1][budget - 1]
    above, tie = value[order > cut], value[order == cut]
    return (above.sum() + (budget - len(above)) * tie.mean()) / budget


@pytest.mark.parametrize(("accuracy", "purity"), [(0.6, 1.0), (0.6, 0.3), (0.9, 0.6)])
def test_never_below_the_given_scores_on_planted_pools(accuracy, purity):
    gains = []
    for seed in range(3):
        T = ordinal_transition(6, accuracy=accuracy)
        pool = plant_pool(1000, transitions=T, purity=purity, cluster_size=15, seed=seed)
        result = ds2.curate(pool.embeddings, pool.scores, method="refine")
        true = (pool.true_scores - pool.true_scores.mean()) / pool.true_scores.std()
        for budget in (100, 300):
            gains.append(first(result.refined, true, budget) - first(pool.scores, true, budget))
    assert np.mean(gains) > -0.005


def test_all_equal_scores_say_that_there_is_nothing_to_learn(planted):
    _, _, texts, x, graph = planted
    result = refine(x, np.full(600, 2), graph=graph, num_scores=4, texts=texts)
    assert (result.refined == 2).all()
    assert any("nothing to learn" in w for w in result.warnings)


@pytest.mark.parametrize("texts", [[""] * 60, ["the same text"] * 60], ids=["empty", "one text for all"])
def test_texts_that_tell_nothing_are_no_error(texts):
    rng = np.random.default_rng(0)
    result = ds2.curate(rng.normal(size=(60, 5)), rng.integers(0, 4, 60), method="refine", texts=texts)
    assert np.isfinite(result.refined).all()


@pytest.mark.parametrize("n", [2, 3, 9, 20])
def test_tiny_pools_and_two_levels_are_refined(n):
    rng = np.random.default_rng(n)
    s = np.arange(n) % 2
    result = ds2.curate(
        rng.normal(size=(n, 4)), s, method="refine", num_scores=2, texts=[f"text {i} here" for i in range(n)]
    )
    assert result.refined[s == 1].min() > result.refined[s == 0].max()


@pytest.mark.parametrize(
    ("settings", "error", "message"),
    [
        ({"texts": ["a"]}, UserError, "1 texts but 600 scores"),
        ({"texts": "abc"}, TypeError, "texts must be a sequence of strings"),
        ({"features": np.zeros((3, 2))}, UserError, r"features must be \(600, f\)"),
        ({"features": np.full((600, 1), np.nan)}, UserError, "features row 0 is not finite"),
        ({"length": "short"}, UserError, "length must be one of as_rated, ignore"),
        ({"length": "ignore"}, UserError, "needs texts"),
        ({"posterior_mean": np.zeros(3)}, UserError, "posterior_mean must be 600"),
    ],
)
def test_bad_input_is_refused_in_one_line(planted, settings, error, message):
    _, s, _, x, graph = planted
    with pytest.raises(error, match=message):
        refine(x, s, graph=graph, num_scores=4, **settings)


def test_curate_returns_the_order_its_evidence_and_a_verdict(planted):
    _, s, texts, x, graph = planted
    result = ds2.curate(x, s, method="refine", num_scores=4, texts=texts, graph=graph)
    d = result.diagnostics.to_dict()
    assert d["evidence"]["student"]["r2"] > 0.1
    assert "student of the rater" in result.diagnostics.verdict
    assert "cannot tell" in result.diagnostics.verdict
    assert (ds2.select(result, 50) == np.argsort(-result.refined, kind="stable")[:50]).all()
    assert asdict(result.diagnostics)["method"] == "refine"


def test_curate_fills_unrated_samples_with_the_posteriors_score(planted):
    _, s, texts, x, graph = planted
    seen = np.where(np.arange(600) % 2, s, -1)
    result = ds2.curate(x, seen, method="refine", num_scores=4, texts=texts, graph=graph)
    assert (result.curated[seen >= 0] == s[seen >= 0]).all()
    assert (result.curated >= 0).all()


def test_curate_takes_scores_between_whole_numbers_and_masked_ones(planted):
    quality, _, texts, x, graph = planted
    means = np.clip(1.5 + quality + 0.4 * np.random.default_rng(3).normal(size=600), 0, 3)
    masked = np.ma.masked_array(means, mask=np.arange(600) < 30)
    result = ds2.curate(x, masked, method="refine", num_scores=4, texts=texts, graph=graph)
    assert result.diagnostics.evidence.noise_source == "out-of-fold residual"
    assert (result.curated[30:] == np.rint(means[30:])).all()
    with pytest.raises(UserError, match=r"scores row 0 is -0\.5"):
        ds2.curate(x, np.where(np.arange(600) == 0, -0.5, means), method="refine", num_scores=4, graph=graph)


def test_a_result_of_another_method_is_selected_by_its_curated_scores(planted):
    _, s, _, x, graph = planted
    result = ds2.curate(x, s, method="posterior", num_scores=4, graph=graph)
    assert (ds2.select(result, 40) == ds2.select(result.curated, result.long_tail, 40)).all()


def test_features_are_refused_by_other_methods(planted):
    _, s, _, x, graph = planted
    with pytest.raises(UserError, match="method='refine'"):
        ds2.curate(x, s, method="none", num_scores=4, graph=graph, features=x)


def test_importing_the_method_loads_neither_scikit_learn_nor_configuration():
    code = (
        "import sys, ds2.method.refine;"
        "print([m for m in ('sklearn', 'torch', 'omegaconf', 'hydra') if m in sys.modules])"
    )
    out = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert out.stdout.strip() == "[]"
