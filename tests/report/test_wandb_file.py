"""The file of an offline run, cut off as a full disk does it."""

from __future__ import annotations

from pathlib import Path

import pytest
from helpers.synthetic_run import make_run

from ds2.report.trackers import wandb_file
from ds2.report.trackers.wandb_file import is_whole, refuse_cut_off
from ds2.report.tracking import Tracker


@pytest.fixture(scope="module")
def written(tmp_path_factory) -> bytes:
    """What W&B writes of a small run, one record of it longer than two blocks."""
    import wandb

    settings = wandb.Settings(silent=True, console="off", x_disable_stats=True)
    folder = str(tmp_path_factory.mktemp("wandb"))
    run = wandb.init(project="p", dir=folder, mode="offline", settings=settings)
    run.log({"loss": 0.5})
    run.summary["text"] = "".join(map(str, range(20_000)))
    file = Path(run.settings.sync_file)
    run.finish()
    refuse_cut_off(file)
    return file.read_bytes()


@pytest.fixture
def whole(tmp_path):
    def asked(content: bytes) -> bool:
        file = tmp_path / "run.wandb"
        file.write_bytes(content)
        return is_whole(file)

    return asked


def test_a_file_that_ends_before_the_run_does_is_not_whole(written, whole):
    assert len(written) > 70_000
    assert whole(written)
    for length in (0, 5, 4096, 32 * 1024, 65_536, len(written) // 2, len(written) - 1):
        assert not whole(written[:length])
    ends = [written.rindex(record) + len(record) for record in list(wandb_file._records(written))[:5]]
    assert not any(whole(written[:end]) for end in ends)  # cut between two records


def test_a_flipped_bit_is_not_passed_over_and_an_unknown_form_is_not_judged(written, whole):
    flipped = bytearray(written)
    flipped[200] ^= 1
    assert not whole(bytes(flipped))
    assert whole(b":W&B\xe1\xbe\x01" + written[7:100])


def test_a_run_whose_file_is_cut_off_is_not_tracked_and_said_to_be_so(tmp_path, monkeypatch):
    from wandb.sdk.wandb_run import Run

    finish = Run.finish

    def onto_a_full_disk(self, *arguments, **options) -> None:
        file = Path(self.settings.sync_file)
        finish(self, *arguments, **options)
        refuse_cut_off(file)
        with file.open("r+b") as handle:
            handle.truncate(4096)

    monkeypatch.setattr(wandb_file, "_PATIENCE", 1.0)
    monkeypatch.setattr(Run, "finish", onto_a_full_disk)
    run = make_run(tmp_path, stages=("rate",))
    said: list[str] = []
    tracker = Tracker.start(run.config, name=run.name, run_id="0123456789abcdef", say=said.append)
    assert tracker.finish(run) is False
    (line,) = said
    assert line.startswith("tracking stopped: OSError: ")
    assert line.endswith(".wandb is cut off (a full disk?); the same command tracks the run again")
