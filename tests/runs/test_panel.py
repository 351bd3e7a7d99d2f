"""A panel in the chain: each rater its own stage, failures, costs, repeats, and what cannot be fused."""

from __future__ import annotations

import errno
import json
import os
import re
from collections.abc import Callable
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
from helpers.fake_backend import FakeBackend, rating

from ds2.artifacts.curation import RaterErrors, read_curation
from ds2.artifacts.ratings import read_rater_scores, read_ratings
from ds2.base.errors import UserError
from ds2.config.compose import compose
from ds2.config.compose_cache import compose_all
from ds2.models.chat import Answer
from ds2.rating import by_model
from ds2.report import facts, panel_facts
from ds2.runs.chain import Chain, Reporter
from ds2.runs.expected import State, look

THREE = "rater.raters=[{rater: from_column, column: r.a}, {rater: from_column, column: r.b}, LAST]"
ABC = THREE.replace("LAST", "{rater: from_column, column: r.c}")
TWO = "rater.raters=[{rater: from_column, column: r.a}, {rater: from_column, column: r.b}]"
SERVED = "{{rater: openai_compatible, name: {0}, model: {0}, base_url: 'http://127.0.0.1:1/v1', {1}}}"
PRICED = "runtime: {price: {input: 100, output: 200}}"

Build = Callable[..., Chain]


@pytest.fixture
def pool(planted_pool: Path) -> Path:
    """`r.a`, `r.b`, `r.c`: the true score with errors of 1, 1 and 2 points; `r.same` is always 3, `r.late`
    rates only what `r.early` does not, `r.wide` is on a scale of its own.
    """
    rng = np.random.default_rng(0)
    rows = [json.loads(line) for line in planted_pool.open()]
    for i, row in enumerate(rows):
        near = {
            name: int(np.clip(round(row["true_score"] + rng.normal() * spread), 0, 5))
            for name, spread in (("a", 1), ("b", 1), ("c", 2))
        }
        half = {"early": near["a"] if i < 120 else None, "late": near["b"] if i >= 120 else None}
        row["r"] = {**near, **half, "same": 3, "wide": 10 * near["a"]}
    planted_pool.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return planted_pool


@pytest.fixture
def overrides(pool: Path) -> Callable[..., list[str]]:
    fixed = ["pool=jsonl", f"pool.path={pool}", "finetune=none", "eval=none", "model=tiny", "tracking=none",
             "until=rate", "budget.samples=20", "runtime.progress=false",
             f"paths.artifacts={pool.parent / 'artifacts'}"]  # fmt: skip
    return lambda *more: [*fixed, *more]


@pytest.fixture
def chain(overrides: Callable[..., list[str]]) -> Build:
    return lambda *more: Chain(compose(overrides(*more)))


def lines_of(chain: Chain) -> list[str]:
    """What a run of it warns of while it works."""
    said: list[str] = []
    chain.run(Reporter(warning=said.append))
    return said


def truth_of(pool: Path) -> np.ndarray:
    return np.array([json.loads(line)["true_score"] for line in pool.open()])


def serve(monkeypatch: pytest.MonkeyPatch, **raters: FakeBackend) -> None:
    """Each rater has its own back end."""

    @contextmanager
    def opened(config, form, revision, place):
        yield raters[config.name]

    monkeypatch.setattr(by_model, "open_backend", opened)


def draws(seed: int) -> FakeBackend:
    """A rater that gives 3 to 9 at random."""
    rng = np.random.default_rng(seed)
    return FakeBackend(lambda request, times: rating(int(rng.integers(3, 10))))


def test_each_rater_is_a_stage_of_its_own_and_one_rated_alone_is_reused(chain, pool):
    alone = chain("rater=from_column", "rater.column=r.a").run()
    run = chain("rater=panel", ABC).run()
    assert list(run.stages)[:4] == ["rate.r.a", "rate.r.b", "rate.r.c", "rate"]
    assert run.stages["rate.r.a"].path == alone.stages["rate"].path
    assert run.stages["rate.r.a"].status.value == "reused"
    columns = read_rater_scores(run.stages["rate"].path)
    assert columns is not None
    assert columns.raters == ("r.a", "r.b", "r.c")
    assert columns.scores.shape == (240, 3)
    again = chain("rater=panel", ABC).run()
    assert {stage.status.value for stage in again.stages.values()} == {"reused"}


def test_a_panel_is_fused_accounted_for_and_nearer_to_the_truth_than_each_of_its_raters(chain, pool):
    run = chain("rater=panel", ABC, "until=curate").run()
    truth = truth_of(pool)
    order = read_curation(run.stages["curate"].path)["refined"]
    each = read_rater_scores(run.stages["rate"].path)
    follows = np.corrcoef(order, truth)[0, 1]
    assert all(follows > np.corrcoef(scores, truth)[0, 1] for scores in each.scores.T)
    diagnostics = RaterErrors.read(run.stages["curate"].path).diagnostics
    assert diagnostics.panel is not None
    assert [rater.name for rater in diagnostics.panel.raters] == ["r.a", "r.b", "r.c"]
    assert diagnostics.panel.raters[2].loading < diagnostics.panel.raters[0].loading
    assert 1.5 < diagnostics.panel.independent_raters <= 3
    assert f"worth {diagnostics.panel.independent_raters:.1f} independent raters" in diagnostics.verdict
    assert run.stages["curate"].record["counts"]["independent_raters"] == pytest.approx(
        diagnostics.panel.independent_raters
    )


def test_a_rater_that_cannot_be_made_or_fails_leaves_the_panel_of_the_others(chain, pool):
    wanted = chain("rater=panel", TWO)
    for last, why in (
        ("{rater: released, path: nowhere.npy, name: lost}", "nowhere.npy"),
        ("{rater: from_column, column: r.wide, name: lost}", "is not a score 0..5"),
    ):
        short = chain("rater=panel", THREE.replace("LAST", last))
        (line,) = lines_of(short)
        assert re.match(rf"the panel goes on without lost: .*{why}", line), line
        assert "\n" not in line
        assert list(short.lost) == ["lost"]
        assert short.fingerprint == wanted.fingerprint
        assert short.name == wanted.name
    assert {stage.status.value for stage in wanted.run().stages.values()} == {"reused"}


def test_a_defect_in_one_rater_is_printed_whole_and_keeps_the_others(chain, monkeypatch, capsys):
    def fails(request, times):
        raise RuntimeError("out of memory")

    serve(monkeypatch, m1=FakeBackend(fails))
    (line,) = lines_of(chain("rater=panel", THREE.replace("LAST", SERVED.format("m1", "retries: 1"))))
    assert line == "the panel goes on without m1: RuntimeError: out of memory"
    assert "Traceback" in capsys.readouterr().err


def test_a_full_disk_under_one_rater_ends_the_run(chain, monkeypatch):
    def fails(request, times):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    serve(monkeypatch, m1=FakeBackend(fails))
    with pytest.raises(UserError, match="^no space left under .* while writing stage rate"):
        chain("rater=panel", THREE.replace("LAST", SERVED.format("m1", "retries: 1"))).run()


def test_a_rater_s_file_is_found_from_another_folder(overrides, pool, monkeypatch):
    monkeypatch.chdir(pool.parent)
    np.save("mine.npy", np.arange(240) % 6)
    lists = overrides("rater=panel", THREE.replace("LAST", "{rater: released, path: mine.npy, name: mine}"))
    config = compose(lists)
    monkeypatch.chdir("/")
    assert config.rater.members[2].path == str(pool.parent / "mine.npy")
    assert compose_all([lists], memory=pool.parent) == compose_all([lists], memory=pool.parent)
    assert Chain(config).run().stages["rate.mine"].record["counts"]["unrated"] == 0


def test_a_panel_of_which_fewer_than_two_are_left_fails_with_the_reasons(chain):
    two = "rater.raters=[{rater: from_column, column: r.a}, {rater: from_column, column: r.wide}]"
    with pytest.raises(UserError, match=r"needs two raters, and only r\.a is left \(r\.wide: .*not a score"):
        chain("rater=panel", two).run()
    gone = "{rater: released, path: nowhere.npy, name: N}"
    with pytest.raises(UserError, match=r"needs two raters, and none is left \(x: .*; y: "):
        chain("rater=panel", f"rater.raters=[{gone.replace('N', 'x')}, {gone.replace('N', 'y')}]")


def test_a_sweep_does_not_take_the_smaller_panel_for_the_one_that_was_asked_for(overrides, pool):
    lost = THREE.replace("LAST", "{rater: released, path: nowhere.npy, name: lost}")
    runs = [overrides("rater=panel", lost), overrides("rater=panel", TWO)]
    found = look(runs, pool.parent / "artifacts")
    assert [each.state for each in found] == [State.unknown, State.missing]
    assert "of its panel, lost: " in found[0].reason


@pytest.mark.parametrize(
    ("raters", "line"),
    [
        ("[{rater: from_column, column: r.a}, {rater: from_column, column: r.same}]",
         r"^r\.same gives every sample the score 3; leave it out of the panel$"),
        ("[{rater: from_column, column: r.early}, {rater: from_column, column: r.late}]",
         r"^r\.late shares no rows with r\.early: raters of a panel need at least 10 samples"),
        ("[{rater: from_column, column: r.a}]",
         r"a panel needs at least two raters, or for one: rater=from_column"),
        ("[{rater: from_column, column: r.a}, simulatd_mistral_7b]",
         r"there is no rater simulatd_mistral_7b; there are: azure_openai, "),
        ("[{rater: from_column, column: r.a}, {rater: from_column, column: r.a}]",
         r"two raters are called r\.a; give one a name of its own"),
        ("[{rater: from_column, column: r.a}, from_column]",
         r"from_column needs column: give \{rater: from_column, column: VALUE\}"),
        ("[{rater: from_column, colum: r.a}, truth]", r"from_column: rater\.colum: no such key"),
        ("[{column: r.a}, truth]", r"is neither a rater's name nor options with one"),
        ("[truth, simulated_panel]", r"simulated_panel is a panel itself; name its raters instead"),
        ("[truth, {rater: several, columns: [r.a, true_score]}, {rater: from_column, column: r.a}]",
         r"two raters are called r\.a; give one a name of its own"),
    ],
)  # fmt: skip
def test_a_panel_that_cannot_work_is_refused_in_one_line(chain, raters, line):
    with pytest.raises(UserError, match=line) as caught:
        chain("rater=panel", f"rater.raters={raters}").run()
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("method", ["rank", "none"])
def test_a_curation_of_one_rater_says_what_to_do_before_anything_is_rated(chain, method):
    with pytest.raises(UserError, match=rf"^curation={method} takes one rater.*use curation=refine"):
        chain("rater=panel", ABC, f"curation={method}", "until=curate")


def test_the_older_fused_posterior_stays_reachable(chain):
    run = chain("rater=panel", ABC, "curation=posterior", "until=curate").run()
    errors = RaterErrors.read(run.stages["curate"].path)
    assert np.shape(errors.transitions) == (3, 6, 6)
    assert errors.diagnostics.panel is None


def test_repeats_are_kept_as_columns_of_one_rater_and_fused_by_refine(chain, monkeypatch, pool):
    serve(monkeypatch, m=draws(0))
    one = ["rater=openai_compatible", "rater.name=m", "rater.model=m", "rater.repeats=3"]
    run = chain(*one, "until=curate").run()
    columns = read_rater_scores(run.stages["rate"].path)
    assert columns is not None
    assert columns.repeats
    assert columns.scores.shape == (240, 3)
    table = read_ratings(run.stages["rate"].path)
    assert table["rating"][0] == pytest.approx(table[["rating_0", "rating_1", "rating_2"]].loc[0].mean())
    diagnostics = RaterErrors.read(run.stages["curate"].path).diagnostics
    assert diagnostics.panel is not None
    assert diagnostics.panel.repeats_of == "m"
    assert "3 repeats of m" in diagnostics.verdict
    mean = chain(*one, "curation=posterior", "until=curate").run()
    assert mean.stages["rate"].status.value == "reused"
    assert RaterErrors.read(mean.stages["curate"].path).transition is not None


def test_repeats_count_as_one_rater_of_a_panel(chain, monkeypatch, pool):
    truth = iter([*np.repeat(truth_of(pool), 2)])
    serve(monkeypatch, m=FakeBackend(lambda request, times: rating(int(next(truth)) + 4)))
    last = SERVED.format("m", "repeats: 2")
    run = chain("rater=panel", THREE.replace("LAST", last), "until=curate").run()
    columns = read_rater_scores(run.stages["rate"].path)
    assert columns is not None
    assert columns.raters == ("r.a", "r.b", "m", "m")
    account = panel_facts.panel_account(run)
    assert account is not None
    assert [(rater.name, rater.repeats) for rater in account.raters] == [("r.a", 1), ("r.b", 1), ("m", 2)]


def test_released_scores_of_several_raters_come_from_one_file(chain, pool, tmp_path):
    truth = truth_of(pool)
    file = tmp_path / "scores.npz"
    np.savez(file, x=truth, y=np.minimum(truth + 1, 5), z=np.zeros(240))
    released = ["rater=released", f"rater.path={file}", "rater.columns=[x,y]"]
    run = chain(*released).run()
    columns = read_rater_scores(run.stages["rate"].path)
    assert columns is not None
    assert columns.raters == ("x", "y")
    assert np.array_equal(columns.scores[:, 0], truth)
    for wrong, line in (
        (["rater.columns=[x]"], "at least two different columns; for one, use rater.key"),
        (["rater.columns=[x,w]"], r"has no array w; it has: x, y, z"),
        (["rater.columns=[x,y]", "rater.key=x"], "rater.key names one array"),
    ):
        with pytest.raises(UserError, match=line):
            chain(*released[:2], *wrong, "until=rate").run()


def test_a_panel_s_cost_adds_up_and_its_limit_is_for_all(chain, monkeypatch):
    # An answer: 100 prompt tokens (40 cached, at the price of the others) and 20 more: $.014; 240 of them.
    serve(monkeypatch, m1=draws(1), m2=draws(2))
    two = f"rater.raters=[{SERVED.format('m1', PRICED)}, {SERVED.format('m2', PRICED)}]"
    (line,) = next(step for step in chain("rater=panel", two).steps if step.name == "rate").forecast()
    assert re.match(r"together: 480 questions to ask of 2 served raters; about \$\d+\.\d\d, at most", line)
    with pytest.raises(UserError, match=r"only m1 is left \(m2: rater\.max_cost=\S+ US dollars is reached"):
        chain("rater=panel", two, "rater.max_cost=5").run()
    run = chain("rater=panel", two, "rater.max_cost=80").run()
    assert run.stages["rate.m1"].status.value == "reused"
    assert panel_facts.rating_costs(run) == {"m1": pytest.approx(3.36), "m2": pytest.approx(3.36)}
    (line,) = next(step for step in chain("rater=panel", two).steps if step.name == "rate").forecast()
    assert line == "together: 0 questions to ask of 0 served raters; nothing to pay for m1, m2"


def test_what_a_spare_rater_costs_is_told_where_its_price_is_known(chain, monkeypatch):
    serve(monkeypatch, noise=draws(5))
    raters = THREE.replace("LAST", SERVED.format("noise", PRICED))
    run = chain("rater=panel", raters, "rater.prices={r.a: 1.5}", "until=curate").run()
    account = panel_facts.panel_account(run)
    assert account is not None
    assert {rater.name: rater.price for rater in account.raters} == {
        "r.a": 1.5, "r.b": None, "noise": pytest.approx(3.36)
    }  # fmt: skip
    assert account.spare == ["noise"]
    assert account.saved == pytest.approx(3.36)
    assert "leaving out noise costs next to nothing and saves $3.36" in facts.verdict(run)
    with pytest.raises(UserError, match=r"rater\.prices: no rater is called r\.z; there are: r\.a, r\.b"):
        chain("rater=panel", TWO, "rater.prices={r.z: 1}")


def test_an_answer_without_rating_leaves_a_gap_that_others_fill(chain, monkeypatch, pool):
    def half(request, times):
        return rating(7) if int(request.key[:4], 16) % 2 else Answer("", "no", prompt_tokens=1)

    serve(monkeypatch, m=FakeBackend(half))
    options = "retries: 0, max_unrated: 1"
    with pytest.raises(UserError, match="m gives every sample the score 3"):
        chain("rater=panel", THREE.replace("LAST", SERVED.format("m", options))).run()
