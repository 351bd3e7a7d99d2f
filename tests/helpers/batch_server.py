"""A local server with a Batch API that counts what it is asked for and what it would charge."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Lock, Thread
from typing import Any

CREATED = 4_000_000_000
"""Later than any batch of a test was sealed."""


def completion(text: str) -> dict[str, Any]:
    """A chat completion whose message is this text."""
    return {
        "id": "c", "object": "chat.completion", "created": 1, "model": "m-1",
        "choices": [{"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": text}}],
        "usage": {"prompt_tokens": 10, "completion_tokens": 4, "total_tokens": 14},
    }  # fmt: skip


@dataclass
class BatchServer:
    """What it does can be changed by a test; what it counts is read by it."""

    url: str = ""
    files: dict[str, tuple[str, bytes]] = field(default_factory=dict)
    """id -> name and content."""
    batches: dict[str, dict[str, Any]] = field(default_factory=dict)
    paid: Counter[str] = field(default_factory=Counter)
    """custom_id -> times it was answered."""
    calls: list[str] = field(default_factory=list)
    reply: Callable[[str], str] = str.upper
    """The last message -> the answer."""
    looks: int = 1
    """How often a batch is looked at before it has ended."""
    ends: Callable[[int], str] = lambda number: "completed"
    """Batch number, from 0 -> how it ends."""
    errors: list[dict[str, Any]] = field(default_factory=list)
    """What a batch that ends as `failed` says."""
    outcome: Callable[[str, int], str] = lambda key, number: "ok"
    """Request and batch number -> ok, missing, garbled, or a status such as 500."""
    before: Callable[[str], int] = lambda call: 0
    """Call, such as `POST /batches` -> a status to give instead of doing it; 0: do it."""
    after: Callable[[str], bool] = lambda call: True
    """Whether to reply once the call was done; else the connection is cut."""
    instead: Callable[[str, str], bytes | None] = lambda call, path: None
    """Method and path, such as `GET`, `/files/file-0/content` -> the body to send in place of the reply to a
    call that was done.
    """
    cut: Callable[[str, str], bool] = lambda call, path: False
    """Whether the connection is cut within the body."""

    @property
    def uploads(self) -> int:
        return sum(not name.startswith("batch_") for name, _ in self.files.values())

    def handle(self, call: str, path: str, body: bytes) -> Any:
        match call, path.strip("/").split("/"):
            case "POST", ["files"]:
                name = re.search(rb'filename="([^"]+)"', body).group(1).decode()
                start = body.index(b"\r\n\r\n", body.index(b'filename="')) + 4
                identity = f"file-{len(self.files)}"
                boundary = body[: body.index(b"\r\n")]
                self.files[identity] = (name, body[start : body.index(b"\r\n" + boundary, start)])
                return self.file(identity)
            case "GET", ["files"]:
                return {
                    "object": "list",
                    "data": [self.file(i) for i in reversed(self.files)],
                    "has_more": False,
                }
            case "GET", ["files", identity, "content"]:
                return self.files[identity][1]
            case "POST", ["batches"]:
                return self.create(json.loads(body))
            case "GET", ["batches"]:
                return {"object": "list", "data": list(reversed(self.batches.values())), "has_more": False}
            case "GET", ["batches", identity] if identity in self.batches:
                return self.look(identity)
            case "GET", ["models"]:
                return {
                    "object": "list",
                    "data": [{"id": "m", "object": "model", "created": 1, "owned_by": "x"}],
                }
        return None

    def file(self, identity: str) -> dict[str, Any]:
        name, content = self.files[identity]
        return {
            "id": identity, "object": "file", "bytes": len(content), "created_at": CREATED, "filename": name,
            "purpose": "batch", "status": "processed",
        }  # fmt: skip

    def create(self, asked: dict[str, Any]) -> dict[str, Any]:
        identity = f"batch-{len(self.batches)}"
        self.batches[identity] = {
            **asked, "id": identity, "object": "batch", "created_at": CREATED, "status": "validating",
            "looks": 0,
        }  # fmt: skip
        return self.batches[identity]

    def look(self, identity: str) -> dict[str, Any]:
        batch = self.batches[identity]
        batch["looks"] += 1
        if batch["looks"] >= self.looks and batch["status"] in ("validating", "in_progress"):
            self.end(batch, list(self.batches).index(identity))
        elif batch["status"] == "validating":
            batch["status"] = "in_progress"
        return batch

    def end(self, batch: dict[str, Any], number: int) -> None:
        batch["status"] = self.ends(number)
        if batch["status"] == "failed":
            batch["errors"] = {"object": "list", "data": self.errors}
            return
        output, error = [], []
        for line in self.files[batch["input_file_id"]][1].splitlines():
            request = json.loads(line)
            key, outcome = request["custom_id"], self.outcome(request["custom_id"], number)
            if outcome == "ok":
                self.paid[key] += 1
                said = completion(self.reply(request["body"]["messages"][-1]["content"]))
                output.append(
                    {"custom_id": key, "response": {"status_code": 200, "body": said}, "error": None}
                )
            elif outcome == "garbled":
                output.append(None)
            elif outcome == "expired":
                error.append(
                    {
                        "custom_id": key,
                        "response": None,
                        "error": {"code": "batch_expired", "message": "late"},
                    }
                )
            elif outcome != "missing":
                said = {"error": {"message": f"said {outcome}"}}
                error.append(
                    {"custom_id": key, "response": {"status_code": int(outcome), "body": said}, "error": None}
                )
        for which, lines in (("output_file_id", output), ("error_file_id", error)):
            if lines:
                texts = ('{"custom_id": "cut' if line is None else json.dumps(line) for line in lines)
                batch[which] = f"{which}-{number}"
                self.files[batch[which]] = (f"batch_{which}", "\n".join(texts).encode())
        batch["request_counts"] = {
            "total": len(output) + len(error),
            "completed": len(output),
            "failed": len(error),
        }

    @contextmanager
    def serving(self) -> Iterator[BatchServer]:
        server, lock = self, Lock()

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            disable_nagle_algorithm = True

            def do_GET(self) -> None:
                self.reply("GET")

            def do_POST(self) -> None:
                self.reply("POST")

            def reply(self, method: str) -> None:
                path = self.path.split("?")[0].removeprefix("/v1")
                body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                call = f"{method} /{path.split('/')[1]}"
                with lock:
                    server.calls.append(call)
                    status = server.before(call)
                    done = None if status else server.handle(method, path, body)
                    heard = server.after(call)
                    done = server.instead(method, path) or done
                if not heard:
                    self.close_connection = True
                    return
                payload = (
                    done
                    if isinstance(done, bytes)
                    else json.dumps(done or {"error": {"message": "no"}}).encode()
                )
                self.send_response(status or (404 if done is None else 200))
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(payload)))
                self.end_headers()
                if server.cut(method, path):
                    self.wfile.write(payload[: len(payload) // 2])
                    self.close_connection = True
                    return
                self.wfile.write(payload)

            def log_message(self, *_: Any) -> None:
                pass

        http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        http.daemon_threads = True
        self.url = f"http://127.0.0.1:{http.server_port}/v1"
        Thread(target=http.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
        try:
            yield self
        finally:
            http.shutdown()
            http.server_close()
