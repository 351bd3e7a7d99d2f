"""Commands that work by actors of Ray, or whose runs are its tasks, struck while they do: the same command
again comes to what an undisturbed one came to, and no process of Ray is left.
"""

from __future__ import annotations

import shutil
import signal
import tempfile
import time

import pytest
from helpers.chat_server import GOOD, ChatServer, Reply, completion, running
from helpers.encoders import tiny_encoder
from helpers.faults import CHAINS, Place, end, wait

pytest.importorskip("ray", reason="ray is not installed")
pytest.importorskip("openai", reason="openai is not installed")

ROWS, IN_FLIGHT = 160, 8
RAY = ("engine=ray", "engine.address=local", "engine.actors=2")
ENDS = {signal.SIGKILL: "kill -9", signal.SIGTERM: "SIGTERM (143)"}
CLUSTER_ENDS = 120
"""Seconds in which a cluster has ended: one of Ray's agents, which does no work, looks a minute long for whom
to tell that the others are gone.
"""


@pytest.fixture
def sessions():
    """A folder of a short name, as Ray's sockets need; Ray leaves its sessions' logs in it."""
    folder = tempfile.mkdtemp(prefix="ds2ray")
    yield {"RAY_TMPDIR": folder}
    shutil.rmtree(folder)


def strike(place: Place, number: int, begun, after: float) -> int | None:
    """Send the signal so long after something has begun: the exit code; None: it had ended before."""
    process = place.start()
    try:
        assert wait(lambda: begun() or process.poll() is not None, 120)
        time.sleep(after)
        ended = process.poll() is not None
        if not ended:
            process.send_signal(number)
        process.wait(60)
    finally:
        end(process)
    return None if ended else process.returncode


def outcome(place: Place, whole: Place, number: int, code: int | None) -> str:
    """What became of it: "equal", or what is wrong."""
    by_itself = -number  # before Python heard of it, or when all was done and Ray's cluster was ending
    if code not in (None, by_itself, 143 if number == signal.SIGTERM else by_itself):
        return f"exit code {code}"
    if not place.all_ended(CLUSTER_ENDS):
        return f"processes outlive it: {place.names()}"
    return place.rerun(whole, CLUSTER_ENDS)


def by_content(body, times):
    """A rating that only the question decides, in its time."""
    number = sum(body["messages"][-1]["content"].encode()) % 10 + 1
    return Reply(completion(GOOD.replace("6", str(number))), delay=0.1)


@pytest.mark.parametrize("number", ENDS, ids=lambda number: number.name)
def test_a_rating_by_actors_asks_at_most_what_was_in_flight_again(number, tmp_path, sessions, moments, tally):
    with running(ChatServer(by_content)) as server:
        options = ("until=rate", "pool=jsonl", "pool.path=pool.jsonl", "rater=openai_compatible",
                   "rater.model=m", f"rater.base_url={server.url}",
                   f"rater.runtime.concurrency={IN_FLIGHT}")  # fmt: skip
        whole = Place(tmp_path / "whole", options, ("rate", "report"))
        assert whole.run()[0] == 0
        for i, share in enumerate(moments):
            server.asked.clear()
            server.answered.clear()
            place = Place(tmp_path / str(i), (*options, *RAY), whole.stages, dict(sessions))
            seen = min(int(share / 1.1 * ROWS), ROWS - 1)
            code = strike(place, number, lambda seen=seen: len(server.answered) >= seen, 0)
            became = outcome(place, whole, number, code)
            twice = sum(server.asked.values()) - ROWS
            fine = became == "equal" and len(server.asked) == ROWS and twice <= IN_FLIGHT
            said = f"equal, at most {IN_FLIGHT} (in flight) asked twice"
            where = "rate by a server, actors of Ray"
            tally(ENDS[number], where, said if fine else f"{became}; {twice} twice", fine)


@pytest.mark.parametrize("number", ENDS, ids=lambda number: number.name)
def test_an_embedding_by_actors_is_computed_again_to_the_byte(number, tmp_path, sessions, moments, tally):
    pytest.importorskip("sentence_transformers", reason="sentence_transformers is not installed")
    encoder = tiny_encoder(tmp_path)
    options = (*CHAINS["select"][:2], "until=embed", "embedder=sentence_transformers",
               f"embedder.model={encoder}")  # fmt: skip
    whole = Place(tmp_path / "whole", options, ("embed", "report"))
    assert whole.run()[0] == 0
    quiet = Place(tmp_path / "quiet", (*options, *RAY), whole.stages, dict(sessions))
    code, output = quiet.run()
    assert code == 0, output
    assert quiet.all_ended(CLUSTER_ENDS)
    assert not quiet.faults(whole)
    for i, share in enumerate(moments):
        place = Place(tmp_path / str(i), quiet.options, whole.stages, dict(sessions))
        code = strike(
            place, number, lambda place=place: place.computing("embed"), share * quiet.seconds("embed")
        )
        became = outcome(place, whole, number, code)
        tally(ENDS[number], "embed, actors of Ray", became, became == "equal")


@pytest.mark.parametrize("number", ENDS, ids=lambda number: number.name)
def test_tasks_of_a_sweep_end_with_it(number, tmp_path, sessions, moments, tally):
    pytest.importorskip("hydra_plugins.hydra_ray_launcher", reason="Ray's launcher is not installed")
    grid = ("-m", "hydra/launcher=ray", "seed=1,2", "selection=random,ds2")
    whole = Place(tmp_path / "whole", (*grid, *CHAINS["select"]), environment=dict(sessions))
    started = time.monotonic()
    code, output = whole.run()
    lasts = time.monotonic() - started
    assert code == 0, output
    assert whole.all_ended(CLUSTER_ENDS)
    for i, share in enumerate(moments):
        place = Place(tmp_path / str(i), whole.options, environment=dict(sessions))
        became = outcome(place, whole, number, strike(place, number, lambda: True, share * lasts))
        tally(ENDS[number], "sweep of Ray", became, became == "equal")
