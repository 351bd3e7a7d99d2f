"""Leave-one-rater-out: planted raters, and the paper's real ones where they are at hand."""

import gzip
import json
import os
from pathlib import Path

import numpy as np
import pytest
from scipy.stats import spearmanr

import ds2
from ds2.method.agreement import quadratic_kappa
from ds2.method.curation.planted import ordinal_transition, plant_pool
from ds2.method.curation.validation import agreement
from ds2.method.knn import knn_graph

DATA = Path(os.environ.get("DS2_DATA", Path(__file__).resolve().parents[4] / "shared"))


def test_curation_moves_planted_raters_towards_the_ones_it_never_saw():
    raters = [ordinal_transition(6, accuracy=a) for a in (0.45, 0.5, 0.55)]
    pool = plant_pool(2000, transitions=raters, cluster_size=15, purity=0.9, unrated=0.05, seed=0)
    lengths = np.random.default_rng(0).integers(5, 500, 2000)
    left_out = ds2.leave_one_rater_out(pool.embeddings, pool.scores, lengths=lengths, names=["a", "b", "c"])
    assert [f.rater for f in left_out] == ["a", "b", "c"]
    for f in left_out:
        assert f.curated.spearman > f.raw.spearman
        assert f.curated.kappa > f.raw.kappa
        assert f.curated.spearman_without_length == pytest.approx(f.curated.spearman, abs=0.02)
        json.dumps(f.to_dict())


def test_agreement_that_only_follows_length_does_not_count():
    rng = np.random.default_rng(1)
    lengths = rng.random(5000)
    a, b = (np.clip((6 * (lengths + 0.3 * rng.normal(size=5000))).astype(int), 0, 5) for _ in range(2))
    measured = agreement(a, a, b.astype(float), lengths, 6)
    assert measured.spearman == pytest.approx(spearmanr(a, b).statistic)
    assert measured.spearman > 0.4
    assert abs(measured.spearman_without_length) < 0.05


def test_kappa_is_one_for_perfect_zero_for_chance_and_below_for_opposite():
    rng = np.random.default_rng(2)
    a = rng.integers(0, 6, 20000)
    assert quadratic_kappa(a, a, 6) == pytest.approx(1)
    assert quadratic_kappa(a, rng.permutation(a), 6) == pytest.approx(0, abs=0.03)
    assert quadratic_kappa(a, 5 - a, 6) < -0.9


def test_one_rater_is_refused():
    with pytest.raises(ValueError, match="at least 2 raters"):
        ds2.leave_one_rater_out(np.eye(4), np.zeros(4, int))


@pytest.mark.parametrize(
    ("changed", "error", "words"),
    [
        ({"scores": np.full((40, 2), 7)}, ValueError, "row 0 is 7, outside 0..5"),
        ({"scores": np.full((40, 2), "a")}, TypeError, "scores must be numbers"),
        ({"scores": None}, TypeError, "needs scores"),
        ({"lengths": np.ones(39)}, ValueError, "lengths must be 40 finite"),
        ({"lengths": np.full(40, np.nan)}, ValueError, "lengths must be 40 finite"),
        ({"k": "a"}, TypeError, "k must be an integer"),
        ({"names": ["one"]}, ValueError, "1 names for 2 raters"),
        ({"embeddings": np.ones((39, 3))}, ValueError, "39 embeddings but 40 scores"),
    ],
)
def test_inputs_that_cannot_work_are_refused_in_one_line(changed, error, words):
    rng = np.random.default_rng(0)
    call = {"embeddings": rng.normal(size=(40, 3)), "scores": rng.integers(0, 6, (40, 2))}
    with pytest.raises(error, match=words):
        ds2.leave_one_rater_out(**{**call, **changed})


@pytest.mark.parametrize("method", ["rank", "posterior"])
def test_one_graph_serves_every_rater(method, monkeypatch):
    from ds2.method.curation import inputs

    built = []
    monkeypatch.setattr(inputs, "knn_graph", lambda *a, **kw: built.append(1) or knn_graph(*a, **kw))
    pool = plant_pool(300, transitions=[ordinal_transition(6)] * 3, seed=0)
    ds2.leave_one_rater_out(pool.embeddings, pool.scores, method=method)
    assert built == [1]


@pytest.mark.slow
def test_real_raters_move_towards_the_raters_that_were_left_out():
    path = DATA / "pools" / "ds2_67k.jsonl.gz"
    if not path.exists():
        pytest.skip("needs pools/ds2_67k.jsonl.gz (set DS2_DATA to the folder that holds pools/)")
    from ds2.method.embedding import tfidf_svd

    texts, scores = [], []
    with gzip.open(path, "rt", encoding="utf-8") as lines:
        for line in lines:
            row = json.loads(line)
            if row["source"] == "stanford_alpaca":
                texts.append("\n".join(m["content"] for m in row["messages"]))
                scores.append([row["scores"][r] for r in ("gpt_4o_mini", "llama_3_1_8b", "mistral_7b")])
    x = tfidf_svd(texts, dimensions=128)
    x[np.abs(x).sum(axis=1) == 0] = 1.0
    graph = ds2.knn_graph(x, k=64)
    left_out = ds2.leave_one_rater_out(graph=graph, scores=np.array(scores), lengths=[len(t) for t in texts])
    for f, plain, without in zip(left_out, (0.40, 0.44, 0.49), (0.165, 0.165, 0.23), strict=True):
        assert f.curated.spearman >= plain
        assert f.curated.spearman_without_length >= without
        assert f.curated.spearman > f.raw.spearman
