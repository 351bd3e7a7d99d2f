"""What several runs come to, at the end of a command."""

from __future__ import annotations

from ds2.cli.ending import summary
from ds2.runs.jobs import Job


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
