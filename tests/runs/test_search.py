"""Trials of a search: kept, resumed, halved and never made twice."""

from __future__ import annotations

from pathlib import Path

import pytest
from helpers.full_disk import no_file_beyond
from helpers.searching import small_search

from ds2.base.errors import UserError
from ds2.config.search import Direction
from ds2.runs.search import Trials, opened

pytest.importorskip("optuna", reason="optuna is not installed")
GOOD = {"length": 0.3, "random": 0.5, "ds2": 0.6}


def worth(chosen: dict, rung: int) -> float:
    """What a combination is planted to come to at a rung."""
    return GOOD[chosen["selection"]] + 0.01 * chosen.get("curation.k", 0) + 0.05 * rung


def search_through(trials: Trials, search, *, until: int, asked: list, stop_at: tuple | None = None) -> None:
    """As the command does: `stop_at` (trial, rung) leaves off there as a killed process does."""
    while len(trials.finished()) < until:
        trial = trials.next()
        run = repr(sorted(trial.chosen.items()))
        if trials.identify(trial, run) is not None:
            continue
        for rung in range(search.heights):
            if rung not in trial.climbed:
                if stop_at == (trial.number, rung):
                    return
                asked.append((run, rung))
                value = worth(trial.chosen, rung)
            else:
                value = trial.climbed[rung]
            if not trials.climb(trial, rung, value):
                break
        trials.complete(trial, 1.0)


def test_the_first_trial_is_the_default_and_the_best_is_found(tmp_path):
    search, asked = small_search(trials=12), []
    with opened(tmp_path / "trials.db", search) as trials:
        search_through(trials, search, until=12, asked=asked)
        ended = trials.finished()
    assert ended[0].chosen == {"selection": "length"}
    best = max((t for t in ended if t.value is not None), key=lambda t: t.value)
    assert best.chosen["selection"] == "ds2"
    assert best.chosen["curation.k"] >= 15
    assert len({t.run for t in ended}) == len(ended) == 12


def test_small_budgets_prune_most_trials(tmp_path):
    search, asked = (
        small_search(startup=24),
        [],
    )  # drawn at random: a sampler that learns proposes few bad ones
    with opened(tmp_path / "trials.db", search) as trials:
        search_through(trials, search, until=17, asked=asked)
        ended = trials.finished()
    rungs = [rung for _, rung in asked]
    assert rungs.count(0) == 17
    assert rungs.count(2) <= rungs.count(1) <= 12
    assert {t.state for t in ended} == {"complete", "pruned"}
    for pruned in (t for t in ended if t.state == "pruned"):  # some earlier trial was better where it ended
        last = max(pruned.values)
        assert any(o.values.get(last, 0) > pruned.values[last] for o in ended if o.number < pruned.number)


@pytest.mark.parametrize("stop_at", [(2, 1), (4, 0)])
def test_an_interrupted_search_goes_on_as_if_it_had_not_been(tmp_path, stop_at):
    search, whole, parts = small_search(), [], []
    with opened(tmp_path / "whole.db", search) as trials:
        search_through(trials, search, until=6, asked=whole)
        expected = trials.finished()
    with opened(tmp_path / "parts.db", search) as trials:
        search_through(trials, search, until=6, asked=parts, stop_at=stop_at)
    with opened(tmp_path / "parts.db", search) as trials:
        search_through(trials, search, until=6, asked=parts)
        assert trials.finished() == expected
    assert parts == whole
    assert len(set(parts)) == len(parts)


def test_a_combination_that_was_tried_is_not_a_trial_of_its_own(tmp_path):
    search = small_search(space={"selection": small_search().space["selection"]})
    asked: list = []
    with opened(tmp_path / "trials.db", search) as trials:
        search_through(trials, search, until=3, asked=asked)
        for _ in range(4):
            trial = trials.next()
            same = trials.identify(trial, repr(sorted(trial.chosen.items())))
            assert same is not None
        assert len(trials.finished()) == 3


def test_what_is_minimised_is_halved_from_below(tmp_path):
    search, asked = small_search(direction=Direction.minimize, default={"selection": "random"}), []
    with opened(tmp_path / "trials.db", search) as trials:
        search_through(trials, search, until=8, asked=asked)
        whole = [t for t in trials.finished() if t.value is not None]
    assert min(whole, key=lambda t: t.value).chosen == {"selection": "length"}


def test_a_search_is_made_by_one_process_at_a_time(tmp_path):
    search = small_search()
    with (
        opened(tmp_path / "trials.db", search),
        pytest.raises(UserError, match="another process is making"),
        opened(tmp_path / "trials.db", search),
    ):
        pass


def test_a_failed_trial_keeps_its_reason_and_the_search_goes_on(tmp_path):
    search = small_search()
    with opened(tmp_path / "trials.db", search) as trials:
        trials.fail(trials.next(), "no such column")
        search_through(trials, search, until=3, asked=[])
        first, *others = trials.finished()
    assert (first.state, first.reason, first.value) == ("failed", "no such column", None)
    assert all(other.state != "failed" for other in others)


def fail_one(file: Path, search, reason: str = "") -> None:
    """One more trial."""
    with opened(file, search) as trials:
        trials.fail(trials.next(), reason)


def test_damaged_trials_are_one_line_that_names_their_file(tmp_path):
    search, file = small_search(), tmp_path / "trials.db"
    fail_one(file, search)
    content = file.read_bytes()
    third = len(content) // 3
    for damaged in (content[:third], b"no database", content[:third] + bytes(8192) + content[third + 8192 :]):
        file.write_bytes(damaged)
        with pytest.raises(
            UserError, match=r"trials\.db cannot be used: .*(malformed|not a database)"
        ) as caught:
            fail_one(file, search)
        assert "\n" not in str(caught.value)
    file.write_bytes(content)
    fail_one(file, search)


def test_trials_that_find_no_room_are_one_line_and_go_on_with_room(tmp_path):
    search, file = small_search(), tmp_path / "trials.db"
    fail_one(file, search)
    with pytest.raises(UserError, match=r"trials\.db cannot be used"), no_file_beyond(file.stat().st_size):
        fail_one(file, search, "x" * 100_000)
    fail_one(file, search)
