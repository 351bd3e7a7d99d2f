"""A stand-in for the Hugging Face hub: one repository of files, which can be lost in the middle of one."""

from __future__ import annotations

import hashlib
import json
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

COMMIT = "0123456789abcdef0123456789abcdef01234567"


class HubServer(ThreadingHTTPServer):
    """Serves `name` from a folder, to `huggingface_hub` with HF_ENDPOINT=`url`."""

    daemon_threads = True

    def __init__(self, name: str, folder: Path) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.name, self.folder = name, folder
        self.lose_after: int | None = None
        """Bytes of files after which nothing more is answered; None: it stays."""
        self.sent = 0
        self.lock = threading.Lock()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"

    @property
    def lost(self) -> bool:
        return self.lose_after is not None and self.sent >= self.lose_after


class _Handler(BaseHTTPRequestHandler):
    server: HubServer
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        self._answer(body=True)

    def do_HEAD(self) -> None:
        self._answer(body=False)

    def log_message(self, *_: Any) -> None:
        pass

    def _answer(self, *, body: bool) -> None:
        if self.server.lost:
            self.close_connection = True
            return
        name, path = self.server.name, self.path.partition("?")[0]
        if re.fullmatch(f"/api/models/{name}(/revision/[^/]+)?", path):
            files = sorted(file.name for file in self.server.folder.iterdir())
            siblings = [{"rfilename": file} for file in files]
            about = {"_id": "0", "id": name, "modelId": name, "sha": COMMIT, "private": False, "tags": [],
                     "siblings": siblings}  # fmt: skip
            return self._send(json.dumps(about).encode(), body, {"Content-Type": "application/json"})
        if path == f"/api/models/{name}/tree/{COMMIT}":
            listed = [
                {"type": "file", "path": file.name, "size": file.stat().st_size, "oid": "0" * 40}
                for file in sorted(self.server.folder.iterdir())
            ]
            return self._send(json.dumps(listed).encode(), body, {"Content-Type": "application/json"})
        found = re.fullmatch(f"/{name}/resolve/{COMMIT}/([^/]+)", path)
        file = self.server.folder / found[1] if found else None
        if file is None or not file.is_file():
            self.send_response(404)
            self.send_header("Content-Length", "0")
            self.end_headers()
            return None
        content = file.read_bytes()
        mark = {"ETag": f'"{hashlib.sha256(content).hexdigest()}"', "X-Repo-Commit": COMMIT}
        return self._send(content, body, mark, file=True)

    def _send(self, content: bytes, body: bool, headers: dict[str, str], *, file: bool = False) -> None:
        asked = re.fullmatch(r"bytes=(\d+)-(\d*)", self.headers.get("Range", "")) if file else None
        start = int(asked[1]) if asked else 0
        self.send_response(206 if asked else 200)
        for key, value in headers.items():
            self.send_header(key, value)
        if asked:
            self.send_header("Content-Range", f"bytes {start}-{len(content) - 1}/{len(content)}")
        self.send_header("Accept-Ranges", "bytes")
        self.send_header("Content-Length", str(len(content) - start))
        self.end_headers()
        if not body:
            return
        content = content[start:]
        with self.server.lock:
            room = len(content)
            if file and self.server.lose_after is not None:
                room = max(0, self.server.lose_after - self.server.sent)
            self.server.sent += min(room, len(content)) if file else 0
        self.wfile.write(content[:room])
        if room < len(content):
            self.close_connection = True


@contextmanager
def hub(name: str, folder: Path) -> Iterator[HubServer]:
    """Served until the end."""
    server = HubServer(name, folder)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
