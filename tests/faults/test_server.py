"""A rating server that is lost in the middle, and a command that is killed while it rates: no answer that
arrived is asked for again.
"""

from __future__ import annotations

import os
import signal
import time
from collections import Counter
from pathlib import Path

import pytest
from helpers.chat_server import GOOD, ChatServer, Reply, completion, error, running
from helpers.faults import Place, end, wait

pytest.importorskip("openai", reason="openai is not installed")

ROWS, IN_FLIGHT = 160, 8


def place_of(folder: Path, server: ChatServer) -> Place:
    options = ("until=rate", "pool=jsonl", "pool.path=pool.jsonl", "rater=openai_compatible", "rater.model=m",
               f"rater.base_url={server.url}", f"rater.runtime.concurrency={IN_FLIGHT}")  # fmt: skip
    return Place(folder, options, ("rate", "report"))


def slow(body, times):
    """Another rating each time, so that an answer which is asked for twice shows."""
    return Reply(completion(GOOD.replace("6", str(4 + times))), delay=0.01)


@pytest.fixture(scope="module")
def whole(tmp_path_factory) -> Place:
    with running(ChatServer(slow)) as server:
        place = place_of(tmp_path_factory.mktemp("rated"), server)
        code, output = place.run()
        assert code == 0, output
        assert set(server.asked.values()) == {1}
    return place


def again(place: Place, server: ChatServer, whole: Place, allowed: int) -> tuple[str, bool]:
    """Run it to its end: what became of it, and whether no more answers were asked for twice than allowed."""
    answered, before = set(server.answered), dict(server.asked)
    outcome = place.rerun(whole) if allowed == 0 else ended(place)
    paid_twice = sum(server.asked[chat] > before[chat] for chat in answered)
    fine = outcome == "equal" and paid_twice <= allowed and len(server.asked) == ROWS
    bound = "none asked twice" if allowed == 0 else f"at most {allowed} (in flight) asked twice"
    return (
        f"equal, {bound}" if allowed == 0 else f"done, {bound}"
    ) if fine else f"{outcome}; {paid_twice} twice", fine


def ended(place: Place) -> str:
    """Run it to its end, where other answers are to come than the undisturbed one got."""
    code, output = place.run()
    return "equal" if code == 0 and not place.living() else output[-600:]


@pytest.mark.parametrize("loss", ["cut off", "refused"])
def test_a_server_lost_in_the_middle_costs_no_answer(loss, tmp_path, whole, rng, moments, tally):
    """Cut off: connections are reset for two seconds, and the run goes on by itself. Refused: the key no
    longer holds, the run ends in one line, and the rerun goes on.
    """
    for i, share in enumerate(moments):
        lost_at, back = int(share / 1.1 * (ROWS - IN_FLIGHT)), []

        def say(body, times, lost_at=lost_at, back=back):
            if len(server.answered) < lost_at or (back and time.monotonic() > back[0]):
                return slow(body, 0)
            if loss == "refused":
                return error(401)
            if not back:
                back.append(time.monotonic() + 2)
            return Reply(completion(GOOD), cut=0)

        with running(ChatServer(say)) as server:
            place = place_of(tmp_path / f"{i}", server)
            code, output = place.run()
            if loss == "refused":
                back.append(0.0)
                one_line = code == 2 and "Traceback" not in output
            else:
                one_line = code == 0
            outcome, fine = again(place, server, whole, 0)
            twice = [chat for chat, times in Counter(server.answered).items() if times > 1]
        fine = fine and one_line and not twice
        tally(
            f"rating server {loss}",
            "rate",
            outcome if fine else f"{code} {twice[:2]}: {output[-600:]} {outcome}",
            fine,
        )


@pytest.mark.parametrize(
    "number", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT], ids=lambda number: number.name
)
def test_a_rating_that_ends_early_asks_at_most_what_was_in_flight_again(
    number, tmp_path, whole, moments, tally
):
    for i, share in enumerate(moments):
        with running(ChatServer(slow)) as server:
            place = place_of(tmp_path / f"{i}", server)
            process = place.start()
            seen = int(share / 1.1 * ROWS)
            assert wait(lambda: len(server.answered) >= seen or process.poll() is not None, 60)  # noqa: B023
            os.killpg(process.pid, number)
            process.wait(30)
            end(process)
            outcome, fine = again(place, server, whole, IN_FLIGHT)
        tally(f"{number.name} while a server is asked", "rate", outcome, fine)
