"""SimiFeat-rank, against a trace of the authors' code and by its definition."""

import numpy as np
import pytest

from ds2.method.curation.detection import detect_errors, detect_round, flag_fractions, soft_labels
from ds2.method.curation.subsample import neighbors_within


def one_round(z):
    drawn = z["trace_sample"].astype(np.int64)
    near = neighbors_within(z["graph"], drawn, 9, z["features"])
    votes = np.concatenate([z["score"][drawn][:, None], z["score"][near.rows]], axis=1)
    distances = np.concatenate([np.zeros((len(drawn), 1)), near.distances], axis=1)
    return drawn, votes, distances


@pytest.mark.parametrize("name", ["a", "b"])
def test_one_round_reproduces_the_authors_trace(golden, name):
    z = golden(name)
    drawn, votes, distances = one_round(z)
    np.testing.assert_allclose(distances[:, 1:], z["trace_knn_distance"][:, 1:], atol=2e-3)
    q = soft_labels(votes, distances, 6)
    flagged, suggested = detect_round(votes[:, 0], q, flag_fractions(z["posterior_true_given_rated"]))
    # Their distances are float16: samples whose votes tie to within 1e-3 may fall on either side.
    assert len(set(drawn[flagged]) ^ set(z["trace_flagged"].tolist())) <= 0.01 * len(z["trace_flagged"])
    ours = dict(zip(drawn.tolist(), suggested.tolist(), strict=True))
    same = [
        ours[n] == j for n, j in zip(z["trace_flagged"].tolist(), z["trace_suggested"].tolist(), strict=True)
    ]
    assert np.mean(same) >= 0.99


@pytest.mark.parametrize("name", ["a", "b"])
def test_one_round_on_the_authors_own_distances_is_theirs(golden, name):
    z = golden(name)
    drawn = z["trace_sample"].astype(np.int64)
    q = soft_labels(z["trace_knn_scores"].astype(np.int64), z["trace_knn_distance"].astype(np.float64), 6)
    flagged, _ = detect_round(z["score"][drawn], q, flag_fractions(z["posterior_true_given_rated"]))
    assert len(set(drawn[flagged]) ^ set(z["trace_flagged"].tolist())) <= 2


def test_flag_fractions_leave_ordinary_shares_alone():
    R = np.diag([1.0, 0.0, 0.3, 1.2])
    np.testing.assert_allclose(flag_fractions(R), [0.05, 0.95, 0.7, 0.05])


def test_the_own_vote_counts_as_one_step_nearer_than_the_first_neighbour():
    scores = np.array([[0, 1, 1]])
    distances = np.array([[0.0, 0.2, 0.3]])
    votes = np.array([1 - (2 * 0.2 - 0.3), 0.8 + 0.7])
    np.testing.assert_allclose(soft_labels(scores, distances, 2)[0], votes / np.linalg.norm(votes))


def test_nothing_flagged_and_empty_levels_just_work(pool, pool_graph):
    scores = np.where(pool.scores == 3, 2, pool.scores)
    detection = detect_errors(
        pool_graph, scores, np.eye(6), embeddings=pool.embeddings, confidence=1.0, rounds=5
    )
    assert (detection.curated == scores).all()


def test_unrated_samples_stay_unrated(pool, pool_graph):
    scores = pool.scores.copy()
    scores[:200] = -1
    detection = detect_errors(pool_graph, scores, 0.6 * np.eye(6), embeddings=pool.embeddings, rounds=5)
    assert (detection.curated[:200] == -1).all()
    assert not detection.flagged[:200].any()
    assert (detection.confidence[:200] == 0).all()
