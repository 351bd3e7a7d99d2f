"""A command that is killed, or asked to end, at a random moment of each stage: the same command again
comes to what an undisturbed one came to, and nothing is left behind.
"""

from __future__ import annotations

import os
import shutil
import signal
import time
from collections.abc import Callable

import pytest
from helpers.encoders import tiny_encoder
from helpers.faults import CHAINS, ISOLATED, SHORTEST, TUNED, Place, end, wait

LEAVES = ("finetune", "evaluate")
POLITE = {signal.SIGTERM: 143, signal.SIGHUP: 129, signal.SIGINT: 130}
LAST_WORDS = 30
"""Seconds that a scheduler gives between SIGTERM and SIGKILL."""


def strike(
    place: Place, begun: str | Callable[[], bool], after: float, number: int
) -> tuple[int | None, str]:
    """Send the signal so many seconds after the stage, or what is looked for, has begun: the exit code and
    what was said; None: the command had ended before. SIGKILL and SIGTERM go to the command alone, as from a
    scheduler, the others to all of it, as from a terminal.
    """
    with (place.folder / "said").open("w+") as said:
        process = place.start(said)
        try:
            seen = begun if callable(begun) else lambda: place.computing(begun)
            assert wait(lambda: seen() or process.poll() is not None, 120)
            time.sleep(after)
            if process.poll() is not None:
                return None, ""
            if number in (signal.SIGKILL, signal.SIGTERM):
                process.send_signal(number)
            else:
                os.killpg(process.pid, number)
            process.wait(LAST_WORDS)
        finally:
            end(process)
        said.seek(0)
        return process.returncode, said.read()


def places(tmp_path, quiet, stage: str, moments: list[float]):
    """For each moment a place where only that stage and the later ones are to be computed, and the seconds;
    every other leaf runs in a process of its own.
    """
    whole = quiet(SHORTEST[stage])
    for i, share in enumerate(moments):
        apart = ISOLATED if stage in LEAVES and i % 2 else ()
        place = Place(tmp_path / str(i), (*whole.options, *apart), whole.stages)
        place.holding(whole, before=stage)
        yield place, whole, share * whole.seconds(stage)
        shutil.rmtree(place.folder)


@pytest.mark.parametrize("stage", TUNED)
def test_a_killed_stage_is_computed_again_to_the_byte(stage, tmp_path, quiet, moments, tally):
    for place, whole, after in places(tmp_path, quiet, stage, moments):
        code, _ = strike(place, stage, after, signal.SIGKILL)
        if not place.all_ended():
            tally("kill -9", stage, f"processes outlive it: {place.living()}", fine=False)
            continue
        again = place.rerun(whole)
        ended = "equal (had ended before)" if code is None else again
        tally("kill -9", stage, ended if again == "equal" else again, again == "equal")


@pytest.mark.parametrize("number", POLITE, ids=lambda number: number.name)
@pytest.mark.parametrize("stage", ["curate", "select", "model", "finetune", "evaluate"])
def test_a_stage_that_is_asked_to_end_says_so_and_goes_on(number, stage, tmp_path, quiet, moments, tally):
    fault = f"{number.name} ({POLITE[number]})"
    for place, whole, after in places(tmp_path, quiet, stage, moments[::2]):  # three signals, five stages
        code, said = strike(place, stage, after, number)
        again = place.rerun(whole) if place.all_ended() else f"processes outlive it: {place.living()}"
        done = -number if "\nreport: " in said else None  # of the interpreter, after the command's own end
        if code not in (POLITE[number], None, done):
            tally(fault, stage, f"exit code {code} after {after:.2f} s: {said[-600:]}", fine=False)
        elif "Traceback" in said:
            tally(fault, stage, f"a traceback: {said[-600:]}", fine=False)
        else:
            ended = "equal (had ended before)" if code is None else again
            tally(fault, stage, ended if again == "equal" else again, again == "equal")


@pytest.mark.parametrize("number", [signal.SIGKILL, *POLITE], ids=lambda number: number.name)
def test_a_command_is_struck_at_any_moment_from_its_first(number, tmp_path, quiet, moments, tally):
    """Start-up, reading the pool and the ends between stages too: an empty store."""
    whole = quiet("select")
    started = time.monotonic()
    assert Place(tmp_path / "timed", whole.options).run()[0] == 0
    lasts = time.monotonic() - started
    for i, share in enumerate(moments):
        place = Place(tmp_path / str(i), whole.options)
        process = place.start()
        try:
            time.sleep(share * lasts)
            os.killpg(process.pid, number)
            process.wait(LAST_WORDS)
        except ProcessLookupError:
            pass
        finally:
            end(process)
        again = place.rerun(whole) if place.all_ended() else f"processes outlive it: {place.living()}"
        expected = {-number, POLITE.get(number), 0}  # by the signal itself: before Python heard of it
        fine = again == "equal" and process.returncode in expected
        name = "kill -9" if number == signal.SIGKILL else f"{number.name} ({POLITE[number]})"
        tally(
            name, "whole command, from its start", again if fine else f"{process.returncode}: {again}", fine
        )


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM], ids=lambda number: number.name)
def test_a_neural_embedding_goes_on_from_its_blocks(number, tmp_path, moments, tally):
    pytest.importorskip("sentence_transformers", reason="sentence_transformers is not installed")
    blocks = 6
    options = (f"pool.samples={512 * blocks}", "until=embed", "embedder=sentence_transformers",
               f"embedder.model={tiny_encoder(tmp_path)}", "embedder.runtime.batch_size=2")  # fmt: skip
    whole = Place(tmp_path / "whole", options, ("embed", "report"))
    code, output = whole.run()
    assert code == 0, output
    for i, share in enumerate(moments):
        place = Place(tmp_path / str(i), options, whole.stages)
        kept = place.store / "embed"
        wanted = int(share / 1.1 * blocks)

        def some(kept=kept, wanted=wanted) -> bool:
            return any(kept.glob(".partial-*")) and len([*kept.rglob("*.npz")]) >= wanted

        code, said = strike(place, some, 0, number)
        left = len([*kept.rglob("*.npz")])
        again = place.rerun(whole) if place.all_ended() else f"processes outlive it: {place.living()}"
        fine = again == "equal" and "Traceback" not in said and (code is None or left >= wanted)
        fine = fine and code in (None, -number, POLITE.get(number))
        if number == signal.SIGTERM and code is not None:
            fine = fine and "an embedding from its last block" in said
        name = "kill -9" if number == signal.SIGKILL else f"{number.name} ({POLITE[number]})"
        tally(
            name,
            "embed, a neural encoder",
            again if fine else f"{code}, {left} of {wanted} kept: {again}",
            fine,
        )


def test_a_fine_tune_killed_again_and_again_comes_to_the_same(tmp_path, quiet, moments, tally):
    whole = quiet("tuned")
    place = Place(tmp_path / "place", whole.options, TUNED).holding(whole, before="finetune")
    for share in moments:
        strike(place, "finetune", share * whole.seconds("finetune"), signal.SIGKILL)
    again = place.rerun(whole)
    for _ in moments:
        tally("kill -9, one after the other", "finetune", again, again == "equal")


def test_workers_of_a_killed_sweep_end_with_it(tmp_path, moments, tally):
    pytest.importorskip("hydra_plugins.hydra_joblib_launcher", reason="the joblib launcher is not installed")
    grid = ("-m", "hydra/launcher=joblib", "hydra.launcher.n_jobs=2", "seed=1,2,3", "selection=random,ds2")
    whole = Place(tmp_path / "whole", (*grid, *CHAINS["select"]))
    started = time.monotonic()
    code, output = whole.run()
    lasts = time.monotonic() - started
    assert code == 0, output
    for i, share in enumerate(moments):
        place = Place(tmp_path / str(i), whole.options)
        process = place.start()
        time.sleep(share * lasts)
        end(process)
        ended = place.all_ended(20)
        again = place.rerun(whole) if ended else f"processes outlive it: {place.living()}"
        tally("kill -9", "sweep of joblib", again, again == "equal")


def test_the_lock_of_a_killed_process_is_free(tmp_path, quiet, rng, moments, tally):
    """It waits for a process that holds the stage and does nothing; that one is killed."""
    whole = quiet("select")
    for i, _ in enumerate(moments):
        stage = str(rng.choice(["rate", "embed", "knn", "curate"]))
        place = Place(tmp_path / str(i), whole.options).holding(whole, before=stage)
        holder = place.start()
        assert wait(lambda place=place, stage=stage: place.computing(stage), 60)
        holder.send_signal(signal.SIGSTOP)
        waiting = place.start()
        waited = not wait(lambda waiting=waiting: waiting.poll() is not None, 6)
        end(holder)
        came = time.monotonic()
        code = waiting.wait(60)
        fine = code == 0 and waited and time.monotonic() - came < 20
        again = place.rerun(whole)
        tally("owner of a lock killed", "a random stage", again, fine and again == "equal")
