"""What several runs come to, at the end of a command."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from ds2.base.errors import DamagedArtifact
from ds2.cli.ending import came_to, summary
from ds2.runs.job_files import Job


def test_a_record_that_lacks_what_was_chosen_is_a_damaged_artifact(tmp_path):
    said = {"counts": {"selected": 3}}
    select = SimpleNamespace(name="select", path=tmp_path, record_file=tmp_path / "record.json", record=said)
    with pytest.raises(DamagedArtifact, match=r"record\.json says not how many were chosen; delete"):
        came_to(SimpleNamespace(stages={"select": select}))


def test_an_attempt_that_its_launcher_made_again_is_no_run_of_its_own(capsys):
    first, second = ["seed=1"], ["seed=2"]
    jobs = [
        Job(first, "died", started="2026-01-01T00:00:01"),
        Job(second, "died", started="2026-01-01T00:00:02"),
        Job(first, "done", started="2026-01-01T00:00:03"),
        Job(second, "died", started="2026-01-01T00:00:04"),
    ]
    assert summary(jobs, expected=2, many=True) == 1
    said = capsys.readouterr()
    assert "1 of 2 runs done" in said.out
    assert said.err.splitlines() == ["error seed=2: its process died"]
    assert summary([*jobs, Job(second, "done", started="2026-01-01T00:00:05")], expected=2, many=True) == 0
