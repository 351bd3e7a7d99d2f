"""The age of an artifact by its stage's version."""

from __future__ import annotations

import pytest

from ds2.artifacts import versions
from ds2.artifacts.versions import VERSIONS, Age, age, earlier, later, newest, version
from ds2.config.stages import STAGES


def test_every_stage_of_the_chain_has_a_version():
    assert set(STAGES) <= VERSIONS.keys()


@pytest.mark.parametrize("stage", VERSIONS)
def test_no_two_kinds_of_a_stage_share_a_number(stage):
    numbers = list(VERSIONS[stage].values())
    assert len(set(numbers)) == len(numbers)


def test_what_this_code_makes_is_current_and_the_rest_older_or_newer(monkeypatch):
    monkeypatch.setattr(versions, "VERSIONS", {"knn": {"exact": 2, "approximate": 5}})
    assert [age("knn", number) for number in range(1, 7)] == [
        Age.older, Age.current, Age.older, Age.older, Age.current, Age.newer
    ]  # fmt: skip
    assert age("distil", 1) is Age.newer
    assert (version("knn", "exact"), newest("knn"), newest("distil")) == (2, 5, 0)


def test_other_versions_of_an_identity_are_looked_for_below_its_own_and_above_all(monkeypatch):
    monkeypatch.setattr(versions, "VERSIONS", {"knn": {"exact": 2, "approximate": 5}})
    assert list(earlier(3)) == [2, 1]
    assert next(iter(later("knn"))) == 6
