"""A local server of chat completions that misbehaves as a test wants, and counts what it is asked."""

from __future__ import annotations

import asyncio
import json
import ssl
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

GOOD = '{"rarity": 3, "complexity": 4, "informativeness": 5, "overall_rating": 6}'


@dataclass
class Reply:
    """One HTTP response; `cut`: the connection is reset after so many bytes of the body; `trickle`: instead
    of a body, a space comes every so many seconds, without an end.
    """

    body: Any = b""
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    delay: float = 0.0
    cut: int | None = None
    trickle: float | None = None

    @property
    def payload(self) -> bytes:
        return self.body if isinstance(self.body, bytes) else json.dumps(self.body).encode()


def completion(text: Any, finish: str = "stop", **message: Any) -> dict[str, Any]:
    """A chat completion with this text."""
    choice = {
        "index": 0,
        "finish_reason": finish,
        "message": {"role": "assistant", "content": text, **message},
    }
    usage = {"prompt_tokens": 100, "completion_tokens": 20, "total_tokens": 120,
             "prompt_tokens_details": {"cached_tokens": 40}}  # fmt: skip
    return {
        "id": "x",
        "object": "chat.completion",
        "model": "m-2026-01-01",
        "choices": [choice],
        "usage": usage,
    }


def error(status: int, message: str = "no", code: str | None = None, **headers: str) -> Reply:
    """An error in OpenAI's form."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return Reply({"error": {"message": message, "type": "t", "code": code}}, status, named)


Say = Callable[[dict[str, Any], int], Any]


class ChatServer:
    """`say(body, times)` gives a Reply, a completion (dict) or its text; times: how often this chat was asked
    before.
    """

    def __init__(self, say: Say = lambda body, times: GOOD, models: Any = ("m",)) -> None:
        self.say, self.models = say, models
        self.asked: Counter[str] = Counter()
        self.bodies: list[dict[str, Any]] = []
        self.headers: list[dict[str, str]] = []
        self.answered: list[str] = []
        self.in_flight = self.most_in_flight = 0
        self.url = ""

    def reply(self, path: str, body: bytes) -> tuple[Reply, str]:
        """The response to a request, and what was asked."""
        if path.split("?")[0].endswith("/models"):
            if isinstance(self.models, Reply):
                return self.models, ""
            return Reply({"object": "list", "data": [{"id": name} for name in self.models]}), ""
        asked = json.loads(body)
        self.bodies.append(asked)
        chat = asked["messages"][-1]["content"]
        said = self.say(asked, self.asked[chat])
        self.asked[chat] += 1
        if isinstance(said, str):
            said = completion(said)
        return said if isinstance(said, Reply) else Reply(said), chat

    async def handle(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while head := await reader.readuntil(b"\r\n\r\n"):
                lines = head.decode().split("\r\n")
                headers = {n.lower(): v for n, _, v in (line.partition(": ") for line in lines[1:] if line)}
                body = await reader.readexactly(int(headers.get("content-length", 0)))
                self.headers.append(headers)
                self.in_flight += 1
                self.most_in_flight = max(self.most_in_flight, self.in_flight)
                reply, chat = self.reply(lines[0].split()[1], body)
                if reply.delay:
                    await asyncio.sleep(reply.delay)
                self.in_flight -= 1
                if reply.trickle is not None:
                    await self.dribble(writer, reply.trickle)
                writer.write(self.response(reply))
                await writer.drain()
                if reply.cut is not None:
                    writer.transport.abort()
                    return
                if chat and reply.status == 200:
                    self.answered.append(chat)
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()

    @staticmethod
    async def dribble(writer: asyncio.StreamWriter, seconds: float) -> None:
        """Until the client goes away."""
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 100000\r\n\r\n")
        while True:
            writer.write(b" ")
            await writer.drain()
            await asyncio.sleep(seconds)

    @staticmethod
    def response(reply: Reply) -> bytes:
        headers = {
            "Content-Type": "application/json",
            "Content-Length": str(len(reply.payload)),
            **reply.headers,
        }
        head = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
        return f"HTTP/1.1 {reply.status} X\r\n{head}\r\n".encode() + reply.payload[: reply.cut]


@contextmanager
def running(server: ChatServer, secure: ssl.SSLContext | None = None) -> Iterator[ChatServer]:
    """The server, in a thread of this process; `secure`: over TLS."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()

    async def start() -> asyncio.Server:
        return await asyncio.start_server(server.handle, "127.0.0.1", 0, limit=2**22, ssl=secure)

    listening = asyncio.run_coroutine_threadsafe(start(), loop).result()
    server.url = f"http{'s' if secure else ''}://127.0.0.1:{listening.sockets[0].getsockname()[1]}/v1"
    try:
        yield server
    finally:
        asyncio.run_coroutine_threadsafe(_end(listening), loop).result()
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()


async def _end(listening: asyncio.Server) -> None:
    listening.close()
    others = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
    for task in others:
        task.cancel()
    await asyncio.gather(*others, return_exceptions=True)
