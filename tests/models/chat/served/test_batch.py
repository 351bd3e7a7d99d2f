"""The batch back end against a local server that counts uploads, batches and paid requests."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from itertools import count
from pathlib import Path
from typing import Any

import pytest
from helpers.batch_server import BatchServer
from helpers.fake_backend import GOOD, llm, pool_of

from ds2.base.errors import UserError
from ds2.config import ChatBackend, CurationMethod, PriceConfig, RaterRuntime, Reading, ScaleConfig
from ds2.models.chat import Answer, AnswerForm, ChatRequest, Place
from ds2.models.chat.served import batch as openai_batch
from ds2.models.chat.served.batch import BatchBackend
from ds2.models.chat.served.batch_state import BatchState
from ds2.models.chat.served.format import ChatFormat, Connection
from ds2.rating import by_model, planning
from ds2.rating.raters import Ratings

KEYS = [f"k{i}" for i in range(5)]


@pytest.fixture
def server() -> Iterator[BatchServer]:
    with BatchServer().serving() as running:
        yield running


@pytest.fixture(autouse=True)
def _key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "secret")
    monkeypatch.setattr(
        Connection, "client", cache(Connection.client)
    )  # making one takes longer than any call to it


def backend(url: str, state: BatchState, **runtime: Any) -> BatchBackend:
    settings = RaterRuntime(**{"poll_seconds": 0.01, "batch_requests": 2, **runtime})
    return BatchBackend(ChatFormat(Connection(url, group="rater"), "m", 16), settings, state)


def requests(keys: list[str]) -> list[ChatRequest]:
    return [ChatRequest(key, ({"role": "user", "content": f"rate {key} ü"},)) for key in keys]


def ask(
    url: str, folder: Path, keys: list[str] = KEYS, log: dict[str, Answer] | None = None, **runtime: Any
) -> dict[str, Answer]:
    """Answers of those that the log lacks, kept as they come: what the rating loop does."""
    log = {} if log is None else log
    with BatchState(folder) as state:
        for answer in backend(url, state, **runtime).answers(
            requests([key for key in keys if key not in log])
        ):
            log[answer.key] = answer
    return log


def test_every_request_is_answered_once_through_files_within_the_limits(
    server: BatchServer, tmp_path: Path
) -> None:
    log = ask(server.url, tmp_path)
    assert {key: answer.text for key, answer in log.items()} == {key: f"RATE {key.upper()} Ü" for key in KEYS}
    assert (server.uploads, len(server.batches)) == (3, 3)
    assert server.paid == dict.fromkeys(KEYS, 1)
    assert not list(tmp_path.glob("*.jsonl"))


def test_a_file_holds_no_more_bytes_than_allowed(server: BatchServer, tmp_path: Path) -> None:
    ask(server.url, tmp_path, batch_requests=50_000, batch_megabytes=400e-6)
    assert all(
        len(content) <= 400 for name, content in server.files.values() if not name.startswith("batch_")
    )
    assert len(server.batches) == 3


def test_requests_are_drawn_as_files_fill(server: BatchServer, tmp_path: Path) -> None:
    uploads = []

    def drawn() -> Iterator[ChatRequest]:
        for request in requests(KEYS):
            uploads.append(server.uploads)
            yield request

    with BatchState(tmp_path) as state:
        assert len(list(backend(server.url, state).answers(drawn()))) == 5
    assert uploads == [0, 0, 0, 1, 1]


class Crash(BaseException):
    pass


@pytest.fixture
def crash_at(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Counts the boundaries between steps; at the chosen one the process is as good as dead."""
    state = {"passed": 0, "at": -1}

    def boundary() -> None:
        state["passed"] += 1
        if state["passed"] - 1 == state["at"]:
            raise Crash

    def around(owner: Any, name: str) -> None:
        step = getattr(owner, name)

        def crashing(*arguments: Any, **named: Any) -> Any:
            boundary()
            result = step(*arguments, **named)
            boundary()
            return result

        monkeypatch.setattr(owner, name, crashing)

    for name in ("seal", "move", "finish"):
        around(BatchState, name)
    around(BatchBackend, "_outcome")
    around(openai_batch.BatchBackend, "_find")

    def arm(at: int) -> None:
        state.update(passed=0, at=at)

    arm.boundary = boundary  # type: ignore[attr-defined]
    return arm


def test_a_crash_between_any_two_steps_loses_nothing_and_pays_for_nothing_twice(
    server: BatchServer, tmp_path: Path, crash_at: Any
) -> None:
    keys = KEYS[:3]
    for at in count():
        server.files, server.batches, server.paid = {}, {}, type(server.paid)()
        log: dict[str, Answer] = {}
        crash_at(at)
        try:
            ask(server.url, tmp_path / str(at), keys, log=log)
        except Crash:
            ask(server.url, tmp_path / str(at), keys, log=log)
        else:
            break
        assert (set(log), server.paid) == (set(keys), dict.fromkeys(keys, 1)), at
        assert (server.uploads, len(server.batches)) == (2, 2), at
    assert at == 2 * (2 * (1 + 4 + 1) + 3)


@pytest.mark.parametrize(
    ("call", "done"),
    [("POST /files", True), ("POST /batches", False), ("POST /batches", True), ("GET /files", True)],
)
def test_a_killed_process_goes_on_where_it_was(
    server: BatchServer, tmp_path: Path, call: str, done: bool
) -> None:
    """A real SIGKILL while the server handles a call: before it was done, or done with the reply never
    heard."""
    script = (
        f"import sys; sys.path[:0] = {sys.path!r}; from pathlib import Path; "
        f"from models.chat.served.test_batch import ask; ask({server.url!r}, Path({str(tmp_path)!r}))"
    )
    victims: list[subprocess.Popen[bytes]] = []

    def kill(seen: str) -> bool:
        if seen == call and victims and victims[0].poll() is None:
            os.kill(victims[0].pid, signal.SIGKILL)
            victims[0].wait()
            return True
        return False

    server.before = lambda seen: 500 if not done and kill(seen) else 0
    server.after = lambda seen: not (done and kill(seen))
    victims.append(subprocess.Popen([sys.executable, "-c", script]))
    assert victims[0].wait(60) == -signal.SIGKILL
    server.before, server.after = lambda seen: 0, lambda seen: True
    assert set(ask(server.url, tmp_path)) == set(KEYS)
    assert server.paid == dict.fromkeys(KEYS, 1)
    assert (server.uploads, len(server.batches)) == (3, 3)


@pytest.mark.parametrize("call", ["POST /files", "POST /batches", "GET /batches", "GET /files"])
def test_a_reply_that_is_lost_is_not_a_second_submission(
    server: BatchServer, tmp_path: Path, call: str
) -> None:
    lost = iter([True] * 3)
    server.after = lambda seen: not (seen == call and next(lost, False))
    assert set(ask(server.url, tmp_path)) == set(KEYS)
    assert server.paid == dict.fromkeys(KEYS, 1)
    assert (server.uploads, len(server.batches)) == (3, 3)


def test_a_busy_server_is_asked_again(server: BatchServer, tmp_path: Path) -> None:
    statuses = iter([429, 500, 503, 502])
    server.before = lambda call: next(statuses, 0)
    assert set(ask(server.url, tmp_path)) == set(KEYS)
    assert server.paid == dict.fromkeys(KEYS, 1)


@pytest.mark.parametrize("where", ["/content", "/batches/batch-0", "/batches", "/files"])
def test_a_connection_that_breaks_within_a_reply_is_tried_again(
    server: BatchServer, tmp_path: Path, where: str
) -> None:
    broken = iter([True] * 3)
    server.cut = lambda method, path: path.endswith(where) and next(broken, False)
    assert set(ask(server.url, tmp_path)) == set(KEYS)
    assert next(broken, None) is None
    assert server.paid == dict.fromkeys(KEYS, 1)
    assert (server.uploads, len(server.batches)) == (3, 3)


@pytest.mark.parametrize(
    "body", [b"<html>busy</html>", b"[]", b"{}", b'"x"', b"null", b'{"data": 3, "id": 4}']
)
@pytest.mark.parametrize(
    "call", ["POST /files", "POST /batches", "GET /batches/batch-0", "GET /batches", "GET /files"]
)
def test_a_page_that_is_not_of_the_api_is_no_reply(
    server: BatchServer, tmp_path: Path, call: str, body: bytes
) -> None:
    method, where = call.split()
    made, lost = (f"POST {where}" if method == "GET" else ""), iter([True])
    server.after = lambda seen: not (seen == made and next(lost, False))  # so that the list is asked for
    odd = iter([body] * 2)
    server.instead = lambda seen, path: next(odd, None) if (seen, path) == (method, where) else None
    assert set(ask(server.url, tmp_path)) == set(KEYS)
    assert next(odd, None) is None
    assert server.paid == dict.fromkeys(KEYS, 1)


def results(path: str) -> bool:
    return path.startswith("/files/output")


def test_a_damaged_download_is_fetched_again_and_nothing_paid_for_twice(
    server: BatchServer, tmp_path: Path
) -> None:
    pages = iter([b"<html>busy 1</html>", b"<html>busy 2</html>", b"<html>busy 2</html>"])
    server.instead = lambda method, path: next(pages, None) if results(path) else None
    assert {answer.finish for answer in ask(server.url, tmp_path).values()} == {"stop"}
    assert server.paid == dict.fromkeys(KEYS, 1)


def test_results_that_stay_damaged_are_given_up_only_when_they_are_always_the_same(
    server: BatchServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    server.instead = lambda method, path: b"<html>gone</html>" if results(path) else None
    assert {answer.finish for answer in ask(server.url, tmp_path / "a").values()} == {"failed"}
    assert sum(call == "GET /files" for call in server.calls) == 3 * openai_batch.DOWNLOADS
    monkeypatch.setattr(openai_batch, "PATIENCE", 6)
    pages = count()
    server.instead = lambda method, path: b"<html>%d</html>" % next(pages) if results(path) else None
    with pytest.raises(UserError, match="0 lines of the results of batch batch-3 can be read, of 2"):
        ask(server.url, tmp_path / "b")
    server.instead = lambda method, path: None
    assert {answer.finish for answer in ask(server.url, tmp_path / "b").values()} == {"stop"}
    assert server.paid == dict.fromkeys(KEYS, 2)


@pytest.mark.parametrize("status", [400, 401, 403, 404])
def test_a_batch_of_unknown_outcome_is_kept_where_the_list_of_batches_is_refused(
    server: BatchServer, tmp_path: Path, status: int
) -> None:
    state = {"lost": 0}

    def heard(call: str) -> bool:
        state["lost"] += call == "POST /batches"
        return call != "POST /batches"

    server.after = heard
    server.before = lambda call: status if call == "GET /batches" else 0
    with pytest.raises(UserError, match=f"refuses: status {status}"):
        ask(server.url, tmp_path)
    assert state["lost"] == 3
    server.after, server.before = lambda call: True, lambda call: 0
    assert set(ask(server.url, tmp_path)) == set(KEYS)
    assert (server.paid, len(server.batches)) == (dict.fromkeys(KEYS, 1), 3)


@pytest.mark.parametrize("status", [408, 409, 425])
def test_a_submission_that_may_have_been_done_is_looked_for(
    server: BatchServer, tmp_path: Path, status: int
) -> None:
    said = iter([status])
    server.before = lambda call: next(said, 0) if call == "POST /batches" else 0
    assert set(ask(server.url, tmp_path)) == set(KEYS)
    assert server.paid == dict.fromkeys(KEYS, 1)


ODD_LINES = [
    ({"response": {"status_code": 400, "body": {"error": "bad"}}}, "bad"),
    ({"response": {"status_code": 400, "body": "bad"}}, "status 400"),
    ({"response": "bad", "error": None}, "status None"),
    ({"response": None, "error": "bad"}, "bad"),
    ({"response": {"status_code": 200, "body": "bad"}}, "the server sent no chat completion but '{}'"),
    ({"response": None, "error": {"message": {"of": "parts"}}}, "{'of': 'parts'}"),
]


@pytest.mark.parametrize(("line", "reason"), ODD_LINES)
def test_a_line_of_another_form_is_an_unanswered_request(
    server: BatchServer, tmp_path: Path, line: dict[str, Any], reason: str
) -> None:
    body = json.dumps({"custom_id": "k4", **line}).encode()
    server.instead = lambda method, path: body if path == "/files/output_file_id-2/content" else None
    log = ask(server.url, tmp_path)
    assert {key: answer.finish for key, answer in log.items() if key != "k4"} == dict.fromkeys(
        KEYS[:4], "stop"
    )
    assert (log["k4"].finish, log["k4"].text) == ("failed", reason)


def test_progress_is_shown_once_a_look_over_all_batches(server: BatchServer, tmp_path: Path) -> None:
    server.looks, shown = 3, list[str]()
    with BatchState(tmp_path) as state:
        settings = RaterRuntime(poll_seconds=0.01, batch_requests=2)
        backend = BatchBackend(ChatFormat(Connection(server.url), "m", 16), settings, state, shown.append)
        assert len(list(backend.answers(requests(KEYS)))) == 5
    assert shown[0] == "0 of 0 done in 3 batches at the server"
    assert len(shown) == 3
    assert shown[-1].startswith("5 of 5 done in 3 batches at the server, ")


def test_answers_that_came_are_kept_for_a_log_that_lost_them(server: BatchServer, tmp_path: Path) -> None:
    first = ask(server.url, tmp_path)
    calls = len(server.calls)
    assert ask(server.url, tmp_path) == first
    assert len(server.calls) == calls


def test_a_smaller_question_waits_for_its_own_batches_only(server: BatchServer, tmp_path: Path) -> None:
    server.looks = 10**9
    with BatchState(tmp_path) as state:
        batches = backend(server.url, state)
        batches._seal((request.key, batches._line(request)) for request in requests(KEYS))
    server.looks = 1
    assert set(ask(server.url, tmp_path, ["k0", "new"])) == {"k0", "new"}
    assert server.paid == {"k0": 1, "k1": 1, "new": 1}
    assert set(ask(server.url, tmp_path)) == set(KEYS)
    assert server.paid == dict.fromkeys([*KEYS, "new"], 1)


@pytest.mark.parametrize("outcome", ["expired", "500", "400", "missing", "garbled"])
def test_requests_that_a_batch_did_not_answer_are_named_and_can_be_asked_again(
    server: BatchServer, tmp_path: Path, outcome: str
) -> None:
    server.ends = lambda number: "expired" if number == 0 else "completed"
    server.outcome = lambda key, number: outcome if key == "k0" else "ok"
    log = ask(server.url, tmp_path)
    assert {key for key, answer in log.items() if answer.finish == "failed"} == {"k0"}
    reasons = {"expired": "late", "500": "said 500", "400": "said 400"}
    assert log.pop("k0").text == reasons.get(outcome, "batch batch-0 ended without an answer (expired)")
    server.outcome = lambda key, number: "ok"
    assert ask(server.url, tmp_path, log=log)["k0"].finish == "stop"
    assert server.paid == dict.fromkeys(KEYS, 1)
    assert len(server.batches) == 4


def test_a_cancelled_batch_is_one_clear_line_and_the_next_run_sends_the_rest(
    server: BatchServer, tmp_path: Path
) -> None:
    server.ends = lambda number: "cancelled" if number == 1 else "completed"
    server.outcome = lambda key, number: "missing" if (key, number) == ("k3", 1) else "ok"
    with pytest.raises(UserError, match="batch batch-1 was cancelled at the server; its answers are kept"):
        ask(server.url, tmp_path)
    assert set(ask(server.url, tmp_path)) == set(KEYS)
    assert server.paid == dict.fromkeys(KEYS, 1)


def test_a_batch_that_the_server_refuses_is_one_clear_line(server: BatchServer, tmp_path: Path) -> None:
    server.errors = [{"code": "invalid", "message": "no model m\n here"}] * 2
    server.ends = lambda number: "failed"
    with pytest.raises(UserError, match=r"refused batch batch-0: no model m here$"):
        ask(server.url, tmp_path)
    server.ends = lambda number: "completed"
    assert set(ask(server.url, tmp_path)) == set(KEYS)
    assert server.paid == dict.fromkeys(KEYS, 1)


def test_a_full_queue_is_waited_for(server: BatchServer, tmp_path: Path) -> None:
    server.errors = [{"code": "token_limit_exceeded", "message": "Enqueued token limit reached"}]
    server.ends = lambda number: "failed" if number == 1 else "completed"
    server.looks = 2
    assert set(ask(server.url, tmp_path)) == set(KEYS)
    assert (server.uploads, len(server.batches)) == (3, 4)
    server.ends = lambda number: "failed"
    with pytest.raises(UserError, match="Enqueued token limit reached; lower rater.runtime.batch_requests"):
        ask(server.url, tmp_path, ["alone"])


@pytest.mark.parametrize(
    ("call", "status", "message"),
    [
        ("POST /files", 401, "refuses a batch: status 401"),
        ("POST /batches", 400, "refuses a batch: status 400"),
        ("GET /batches", 404, "does not know batch batch-0"),
        ("GET /batches", 403, "refuses"),
        ("GET /batches", 503, "does not answer"),
    ],
)
def test_a_server_that_refuses_for_good_is_one_clear_line(
    server: BatchServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, call: str, status: int, message: str
) -> None:
    monkeypatch.setattr(openai_batch, "PATIENCE", 3)
    server.before = lambda seen: status if seen == call else 0
    with pytest.raises(UserError, match=message) as caught:
        ask(server.url, tmp_path)
    assert "\n" not in str(caught.value)
    assert "secret" not in str(caught.value)
    server.before = lambda seen: 0
    assert set(ask(server.url, tmp_path)) == set(KEYS)
    assert max(server.paid.values()) == 1


def test_a_batch_with_answers_without_probabilities_is_collected(server: BatchServer, tmp_path: Path) -> None:
    config = llm(
        backend=ChatBackend.openai_batch, base_url=server.url, reading=Reading.expected, max_unrated=1.0,
        runtime=RaterRuntime(poll_seconds=0.01),
    )  # fmt: skip
    rated = by_model.rate(
        config, pool_of([f"q{i}" for i in range(30)]), ScaleConfig(), model={}, revision=None,
        folder=tmp_path,
        progress=False,
    )  # fmt: skip
    assert rated.details is not None
    assert set(rated.details.outcomes) == {"unreadable"}


def test_a_plan_does_not_price_what_waits_in_batches_at_the_server(
    server: BatchServer, tmp_path: Path
) -> None:
    config = llm(
        backend=ChatBackend.openai_batch, base_url=server.url,
        runtime=RaterRuntime(poll_seconds=0.01, batch_requests=4, price=PriceConfig(input=1.0, output=2.0)),
    )  # fmt: skip
    pool = pool_of([f"question {i}" for i in range(10)])

    def plan() -> planning.Forecast:
        return planning.forecast(config, pool, model={"served": "m"}, revision=None, folder=tmp_path)

    sent = iter([0, 0])
    server.before = lambda call: next(sent, 400) if call == "POST /batches" else 0
    with pytest.raises(UserError, match="refuses a batch"):
        by_model.rate(
            config, pool, ScaleConfig(), model={"served": "m"}, revision=None, folder=tmp_path, progress=False
        )
    planned = plan()
    assert (planned.answered, planned.waiting, planned.questions) == (0, 8, 2)
    said = planning.lines(config, 10, planned, CurationMethod.rank)[0]
    assert "8 questions wait in batches at the server, 2 questions to ask" in said


def test_a_full_disk_is_one_line(server: BatchServer, tmp_path: Path) -> None:
    config = llm(backend=ChatBackend.openai_batch, base_url=server.url)

    def run() -> None:
        with openai_batch.open(config, AnswerForm(), None, Place(tmp_path)) as opened:
            opened._state._db.execute("PRAGMA max_page_count = 1")
            list(opened.answers(requests([f"k{i}" for i in range(2000)])))

    with pytest.raises(
        UserError, match=r"the state of batches in .* cannot be kept: database or disk is full"
    ):
        run()


def test_a_second_process_does_not_touch_the_batches_of_the_first(
    server: BatchServer, tmp_path: Path
) -> None:
    with BatchState(tmp_path), pytest.raises(UserError, match="another run is waiting for the batches"):
        ask(server.url, tmp_path)


def test_no_secret_is_written(server: BatchServer, tmp_path: Path) -> None:
    ask(server.url, tmp_path)
    assert not any(b"secret" in path.read_bytes() for path in tmp_path.rglob("*") if path.is_file())


def test_a_whole_rating_through_batches_survives_its_faults(server: BatchServer, tmp_path: Path) -> None:
    """Expired, failed and unreadable answers in the first batches; the rounds of the rating loop ask
    again."""
    config = llm(
        backend=ChatBackend.openai_batch, base_url=server.url, max_cost=1.0, max_unrated=0.1,
        runtime=RaterRuntime(poll_seconds=0.01, batch_requests=4, price=PriceConfig(input=1.0, output=2.0)),
    )  # fmt: skip
    pool = pool_of([f"question {i}" for i in range(10)])

    def rate() -> Ratings:
        return by_model.rate(
            config, pool, ScaleConfig(), model={"served": "m"}, revision=None, folder=tmp_path, progress=False
        )

    server.ends = lambda number: "expired" if number == 0 else "completed"
    server.outcome = lambda key, number: "expired" if number == 0 else "500" if number == 1 else "ok"
    server.reply = lambda text: "hm" if "question 9\n" in text else GOOD
    rated = rate()
    assert rated.scores.tolist() == [2] * 9 + [-1]
    assert sorted(server.paid.values()) == [1] * 12  # nine ratings, and one that is unreadable three times
    calls = len(server.calls)
    assert rate().scores.tolist() == rated.scores.tolist()
    assert server.calls[calls:] == ["GET /models"]
    assert not any(b"secret" in path.read_bytes() for path in tmp_path.rglob("*") if path.is_file())
