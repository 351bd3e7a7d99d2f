"""The public call: what it accepts, refuses and warns of."""

import subprocess
import sys

import numpy as np
import pytest

import ds2
from ds2.method.curation.diagnostics import measure_clusterability
from ds2.method.curation.planted import ordinal_transition, plant_pool
from ds2.method.knn import knn_graph


def test_importing_the_package_loads_neither_torch_nor_hydra():
    code = (
        "import sys, ds2; ds2.__version__;"
        "print([m for m in ('torch', 'hydra', 'faiss', 'scipy') if m in sys.modules])"
    )
    assert (
        subprocess.run(
            [sys.executable, "-c", code], capture_output=True, text=True, check=True
        ).stdout.strip()
        == "[]"
    )


def test_curating_needs_neither_torch_nor_hydra():
    code = (
        "import sys, numpy as np, ds2; r = np.random.default_rng(0);"
        "[ds2.curate(r.normal(size=(60, 5)), r.integers(0, 6, 60), method=m) for m in "
        "('rank', 'posterior', 'none')];"
        "print([m for m in ('torch', 'hydra', 'sklearn') if m in sys.modules])"
    )
    assert (
        subprocess.run(
            [sys.executable, "-c", code], capture_output=True, text=True, check=True
        ).stdout.strip()
        == "[]"
    )


def test_every_public_name_is_there():
    assert all(getattr(ds2, name) is not None for name in ds2.__all__)
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        ds2.nothing  # noqa: B018


def test_none_keeps_the_scores_and_still_measures_the_long_tail(pool):
    result = ds2.curate(pool.embeddings, pool.scores, method="none")
    np.testing.assert_array_equal(result.curated, pool.scores)
    assert result.transition is None
    assert result.posterior is None
    assert result.posterior_mean is None
    np.testing.assert_allclose(
        result.long_tail, ds2.curate(pool.embeddings, pool.scores, method="rank").long_tail, atol=1e-6
    )


def good(**changed):
    rng = np.random.default_rng(0)
    call = {"embeddings": rng.normal(size=(40, 4)), "scores": rng.integers(0, 6, 40), "method": "rank"}
    return {**call, **changed}


@pytest.mark.parametrize(
    ("changed", "error", "words"),
    [
        ({"scores": None}, TypeError, "needs scores"),
        ({"embeddings": None}, ValueError, "give embeddings, or a graph"),
        ({"scores": np.zeros(39, int)}, ValueError, "40 embeddings but 39 scores"),
        ({"scores": np.full(40, 6)}, ValueError, "row 0 is 6, outside 0..5"),
        ({"scores": np.full(40, -2)}, ValueError, "row 0 is -2"),
        ({"scores": np.full(40, 1.5)}, TypeError, "must be integers"),
        ({"scores": np.full(40, np.nan)}, ValueError, "row 0 is NaN"),
        ({"scores": ["a"] * 40}, TypeError, "scores must be numbers"),
        (
            {"scores": np.zeros((40, 2), int)},
            ValueError,
            "several raters need method='refine' or 'posterior'",
        ),
        ({"scores": np.full(40, -1)}, ValueError, "no sample is rated"),
        ({"scores": np.zeros((0,), int), "embeddings": np.zeros((0, 3))}, ValueError, "non-empty"),
        ({"embeddings": np.zeros((40, 4))}, ValueError, "row 0 is zero"),
        ({"num_scores": 1}, ValueError, "num_scores must be at least 2"),
        ({"num_scores": 12}, ValueError, "at most 11"),
        ({"k": 0}, ValueError, "k must be at least 2"),
        ({"k": 2.5}, TypeError, "k must be an integer"),
        ({"confidence": 1.5}, ValueError, "confidence must be in 0..1"),
        ({"method": "magic"}, ValueError, "method must be one of refine, rank, posterior, none"),
        ({"hoc_solver": "sgd"}, ValueError, "hoc_solver"),
        ({"on_uninformative": "ignore"}, ValueError, "on_uninformative"),
        ({"duplicate_pool": True, "method": "posterior"}, ValueError, "duplicate_pool"),
        ({"bootstrap": 1}, ValueError, "bootstrap must be at least 2"),
        ({"bootstrap": 5, "method": "none"}, ValueError, "bootstrap needs"),
        (
            {"bootstrap": 5, "scores": np.r_[np.arange(6), np.full(34, -1)]},
            ValueError,
            "30 rated samples, got 6",
        ),
        ({"scores": np.full(40, 1e300)}, ValueError, r"row 0 is 1e\+300, outside 0..5"),
        ({"scores": [[1, 2], [3]]}, TypeError, "scores must be an array: its rows differ"),
        ({"embeddings": [[1.0, 2.0], [3.0]]}, TypeError, "embeddings must be an array: its rows differ"),
        ({"embeddings": np.ma.masked_greater(np.ones((40, 2)), 0)}, ValueError, "embeddings hold masked"),
        ({"seed": -1}, ValueError, "seed must be at least 0"),
        ({"seed": 1.5}, TypeError, "seed must be an integer"),
        ({"confidence": "a"}, TypeError, "confidence must be a number"),
        ({"confidence": np.nan}, ValueError, "confidence must be in 0..1"),
        ({"method": ["rank"]}, TypeError, "method must be one of"),
        ({"duplicate_pool": "no"}, TypeError, "duplicate_pool must be True or False"),
        ({"graph": "x"}, TypeError, "graph must be a KnnGraph"),
        ({"device": "gpu"}, ValueError, "device must be one of cpu, cuda"),
        ({"device": "gpu", "graph": knn_graph(np.eye(40), 20)}, ValueError, "device must be one of"),
        ({"texts": list(range(40))}, TypeError, "texts must be a sequence of strings"),
        ({"texts": (str(n) for n in range(40))}, TypeError, "texts must be a sequence of strings"),
        ({"texts": "a" * 40}, TypeError, "texts must be a sequence of strings"),
        ({"lengths": ["a"] * 40}, TypeError, "lengths must be numbers"),
        ({"lengths": [[1], [1, 2]]}, TypeError, "lengths must be an array"),
        ({"texts": ["x"]}, ValueError, "1 texts but 40 scores"),
        ({"lengths": np.full(40, np.nan)}, ValueError, "lengths must be 40 finite"),
    ],
)
def test_inputs_that_cannot_work_are_refused_in_one_line(changed, error, words):
    with pytest.raises(error, match=words) as refused:
        ds2.curate(**good(**changed))
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize(
    ("changed", "error", "words"),
    [
        ({"cluster_size": 0}, ValueError, "cluster_size must be at least 1"),
        ({"num_samples": 2.5}, TypeError, "num_samples must be an integer"),
        ({"transitions": -np.eye(3)}, ValueError, "transitions must be finite shares"),
        ({"transitions": np.zeros((3, 3))}, ValueError, "transitions must be finite shares"),
        ({"transitions": np.ones((2, 3))}, ValueError, r"\(K, K\) or \(R, K, K\)"),
        ({"prior": [1, 1]}, ValueError, "prior must hold 3 shares"),
        ({"prior": [1, np.nan, 1]}, ValueError, "prior must be finite shares"),
        ({"purity": 2}, ValueError, "purity must be in 0..1"),
        ({"spread": np.nan}, ValueError, "spread must be in 0"),
        ({"seed": "a"}, TypeError, "seed must be an integer"),
    ],
)
def test_pools_that_cannot_be_planted_are_refused_in_one_line(changed, error, words):
    with pytest.raises(error, match=words):
        plant_pool(**{"num_samples": 30, "transitions": np.eye(3), **changed})


def test_a_masked_score_is_an_unrated_one(pool, pool_graph):
    hidden = np.arange(2000) < 500
    masked = np.ma.masked_array(pool.scores.astype(np.uint8), mask=hidden)
    one = ds2.curate(graph=pool_graph, scores=masked, method="posterior")
    two = ds2.curate(graph=pool_graph, scores=np.where(hidden, -1, pool.scores), method="posterior")
    assert one.diagnostics.raters[0].num_rated == 1500
    np.testing.assert_array_equal(one.curated, two.curated)


def test_a_graph_of_another_pool_is_refused():
    graph = knn_graph(np.random.default_rng(1).normal(size=(30, 4)), 5)
    with pytest.raises(ValueError, match="holds 30 samples but there are 40"):
        ds2.curate(**good(graph=graph))


@pytest.mark.parametrize(("method", "needed"), [("posterior", 10), ("rank", 9), ("none", 9)])
def test_a_graph_shorter_than_k_is_rebuilt_from_embeddings_or_refused(method, needed):
    pool = plant_pool(200, transitions=ordinal_transition(6), seed=3)
    short = knn_graph(pool.embeddings, 5)
    with pytest.raises(ValueError, match=f"k = 10 needs {needed} neighbours of a graph that stores 5"):
        ds2.curate(graph=short, scores=pool.scores, method=method)
    rebuilt = ds2.curate(pool.embeddings, pool.scores, graph=short, method=method)
    whole = ds2.curate(pool.embeddings, pool.scores, method=method)
    np.testing.assert_array_equal(rebuilt.curated, whole.curated)
    np.testing.assert_allclose(rebuilt.long_tail, whole.long_tail, atol=1e-6)


@pytest.mark.parametrize("method", ["rank", "posterior", "none"])
@pytest.mark.parametrize("n", [3, 5, 9, 12])
def test_pools_smaller_than_k_work(method, n):
    rng = np.random.default_rng(n)
    result = ds2.curate(rng.normal(size=(n, 3)), rng.integers(0, 6, n), method=method)
    assert result.curated.shape == (n,)
    assert np.isfinite(result.long_tail).all()


@pytest.mark.parametrize("method", ["rank", "posterior"])
def test_constant_scores_work_and_are_called_so(method):
    result = ds2.curate(np.random.default_rng(0).normal(size=(200, 4)), np.full(200, 3), method=method)
    assert (result.curated == 3).all()
    assert any("one score only" in line for line in result.diagnostics.warnings)


@pytest.mark.parametrize("method", ["rank", "posterior"])
@pytest.mark.parametrize("num_scores", range(2, 12))
def test_every_number_of_scores_works(method, num_scores):
    pool = plant_pool(300, transitions=ordinal_transition(num_scores), cluster_size=10, seed=num_scores)
    result = ds2.curate(pool.embeddings, pool.scores, num_scores=num_scores, method=method)
    assert result.transition.shape == (num_scores, num_scores)
    assert set(np.unique(result.curated)) <= set(range(num_scores))


def shuffled_pool(seed=0):
    pool = plant_pool(1500, transitions=ordinal_transition(6, accuracy=0.6), seed=2)
    return pool.embeddings, np.random.default_rng(seed).permutation(pool.scores)


def test_neighbours_without_information_are_called_so_and_the_policy_is_obeyed():
    x, scores = shuffled_pool()
    warned = ds2.curate(x, scores, method="rank")
    assert any("no information about this rater" in line for line in warned.diagnostics.warnings)
    kept = ds2.curate(x, scores, method="posterior", on_uninformative="keep_raw")
    np.testing.assert_array_equal(kept.curated, scores)
    assert kept.diagnostics.kept_raw
    assert not kept.flagged.any()
    with_bootstrap = ds2.curate(x, scores, on_uninformative="keep_raw", bootstrap=3, method="rank")
    assert with_bootstrap.uncertainty is None
    assert any(line.startswith("no bootstrap") for line in with_bootstrap.diagnostics.warnings)
    with pytest.raises(ValueError, match="no information"):
        ds2.curate(x, scores, on_uninformative="fail", method="rank")


def test_informative_neighbours_pass_every_policy(pool, pool_graph):
    result = ds2.curate(
        pool.embeddings, pool.scores, graph=pool_graph, on_uninformative="fail", method="rank"
    )
    assert result.diagnostics.clusterability.informative
    assert result.diagnostics.clusterability.ratio > 1.5


def test_shuffled_scores_are_rarely_called_informative():
    called = 0
    for seed in range(10):
        x, scores = shuffled_pool(seed)
        called += measure_clusterability(knn_graph(x, 10), scores, seed=seed).informative
    assert called <= 2


def test_what_is_wrong_with_a_rater_is_said():
    rng = np.random.default_rng(0)
    lengths = rng.integers(10, 1000, 800)
    scores = np.clip((lengths / 200).astype(int), 0, 4)
    x = np.concatenate([rng.normal(size=(700, 6)), np.ones((100, 6))])
    texts = [f"text {n}" for n in range(700)] + ["the same"] * 100
    said = " ".join(ds2.curate(x, scores, lengths=lengths, texts=texts, method="rank").diagnostics.warnings)
    assert "never gives score 5" in said
    assert "follow length" in said
    assert "99 of 800 texts occur more than once" in said
    collapsed = ds2.curate(x, np.where(np.arange(800) % 10 == 0, 1, 2), method="rank").diagnostics.warnings
    assert any("has collapsed: one score takes 90%" in line for line in collapsed)


def test_several_raters_can_be_resampled_and_kept_raw():
    pool = plant_pool(
        800, transitions=[ordinal_transition(4, accuracy=a) for a in (0.6, 0.7)], unrated=0.1, seed=6
    )
    u = ds2.curate(pool.embeddings, pool.scores, num_scores=4, method="posterior", bootstrap=3).uncertainty
    assert u.transition.low.shape == (2, 4, 4)
    assert u.error_probability.shape == (800, 2)
    assert np.isnan(u.error_probability[pool.scores < 0]).all()
    noise = np.random.default_rng(1).normal(size=(800, 12))
    kept = ds2.curate(noise, pool.scores, num_scores=4, method="posterior", on_uninformative="keep_raw")
    assert kept.diagnostics.kept_raw
    assert ((kept.curated >= -1) & (kept.curated < 4)).all()


def test_several_raters_are_compared_with_their_median():
    pool = plant_pool(600, transitions=[ordinal_transition(6, accuracy=0.6)] * 3, cluster_size=20, seed=0)
    result = ds2.curate(pool.embeddings, pool.scores, method="posterior")
    moved = (result.curated != np.median(pool.scores, axis=1)).sum()
    assert result.diagnostics.num_changed == moved > 0


def test_a_rater_that_rated_nothing_is_said_to_in_one_line():
    pool = plant_pool(400, transitions=ordinal_transition(6, accuracy=0.7), cluster_size=20, seed=0)
    scores = np.stack([pool.scores, np.full(400, -1)], axis=1)
    said = ds2.curate(pool.embeddings, scores, method="posterior").diagnostics.warnings
    assert [line for line in said if "rater 1" in line] == ["rater 1 rated nothing"]


def test_too_few_ratings_to_measure_anything_are_called_that():
    few = good(method="posterior", scores=np.r_[np.arange(6), np.full(34, -1)])
    with pytest.raises(ValueError, match="too few rated samples to tell"):
        ds2.curate(**few, on_uninformative="fail")
    kept = ds2.curate(**few, on_uninformative="keep_raw")
    assert any("too few rated samples to tell" in line for line in kept.diagnostics.warnings)
    np.testing.assert_array_equal(kept.curated, few["scores"])
