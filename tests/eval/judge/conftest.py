from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any

import pytest

from ds2.models.chat.served import courier


@dataclass
class FakeServer:
    """A chat server that prefers the longer answer; `statuses` are given out before it starts to answer."""

    url: str = ""
    statuses: list[int] = field(default_factory=list)
    asked: list[dict[str, Any]] = field(default_factory=list)
    keys: list[str | None] = field(default_factory=list)
    body: str | None = None

    def reply(self, chat: list[dict[str, str]]) -> str:
        text = chat[1]["content"]
        length = [len(text.split(f"Assistant {name}: ")[-1].split("\n")[0]) for name in "AB"]
        return f"I weighed it. [[{'C' if length[0] == length[1] else 'A' if length[0] > length[1] else 'B'}]]"


@pytest.fixture
def fake_server(monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeServer]:
    monkeypatch.setattr(courier, "LONGEST_WAIT", 0.01)
    fake = FakeServer()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            request = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            status = fake.statuses.pop(0) if fake.statuses else 200
            fake.keys.append(self.headers.get("Authorization"))
            content = {"choices": [{"message": {"content": fake.reply(request["messages"])}}]}
            if status == 200:
                fake.asked.append(request)
            payload = (fake.body or json.dumps(content)).encode()
            self.send_response(status)
            self.send_header("Content-Length", str(len(payload)))
            self.end_headers()
            self.wfile.write(payload)

        def log_message(self, *_: Any) -> None:
            pass

    http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    fake.url = f"http://127.0.0.1:{http.server_port}/v1"
    Thread(target=http.serve_forever, daemon=True).start()
    yield fake
    http.shutdown()
    http.server_close()
