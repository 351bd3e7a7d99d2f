"""A chat model behind an OpenAI-compatible server: questions in, replies out, several at a time."""

from __future__ import annotations

import json
import os
import threading
import urllib.error
import urllib.request
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from typing import Any

from ds2.errors import UserError
from eval.judge.spec import JudgeConfig

Chat = list[dict[str, str]]
FIRST_WAIT = 1.0
"""Seconds before the first further try; each wait is twice the one before."""
PASSING = {408, 409, 425, 429, 500, 502, 503, 504}
"""Statuses after which another try may succeed."""


def ask_all(chats: Sequence[Chat], judge: JudgeConfig, on_reply: Callable[[int, str], Any]) -> None:
    """Ask every chat; `on_reply(index, text)` is called from this thread as replies come in.

    Raises UserError, in one line, where the server is down, refuses, or answers with something else. Replies that came
    before it have been handed over.
    """
    stop = threading.Event()
    with ThreadPoolExecutor(max_workers=judge.concurrency) as pool:
        waiting = {pool.submit(ask, chat, judge, stop): index for index, chat in enumerate(chats)}
        try:
            for done in as_completed(waiting):
                on_reply(waiting[done], done.result())
        except BaseException:
            stop.set()
            pool.shutdown(wait=False, cancel_futures=True)
            raise


def ask(chat: Chat, judge: JudgeConfig, stop: threading.Event) -> str:
    """One reply, after further tries where the server is busy or cannot be reached; none once `stop` is set."""
    for attempt in range(judge.retries + 1):
        try:
            return _post(chat, judge)
        except urllib.error.HTTPError as error:
            reason = f"status {error.code}"
            if error.code not in PASSING:
                raise UserError(
                    f"judge server {judge.base_url} refuses model {judge.model}: {reason}"
                ) from error
        except (OSError, TimeoutError) as error:
            reason = str(getattr(error, "reason", error)) or type(error).__name__
        if attempt < judge.retries and stop.wait(FIRST_WAIT * 2**attempt):
            break
    raise UserError(
        f"judge server {judge.base_url} does not answer ({reason}): start it, or check judge.base_url"
    )


def _post(chat: Chat, judge: JudgeConfig) -> str:
    body = {
        "model": judge.model,
        "messages": chat,
        "temperature": judge.temperature,
        "max_tokens": judge.max_new_tokens,
    }
    headers = {"Content-Type": "application/json"}
    if key := os.environ.get(judge.api_key_env):
        headers["Authorization"] = f"Bearer {key}"
    url = judge.base_url.rstrip("/") + "/chat/completions"
    request = urllib.request.Request(url, json.dumps(body).encode(), headers)
    with urllib.request.urlopen(request, timeout=judge.timeout_seconds) as response:
        try:
            return str(json.load(response)["choices"][0]["message"]["content"])
        except (ValueError, KeyError, IndexError, TypeError) as error:
            raise UserError(
                f"judge server {judge.base_url} answers with something that is no chat completion"
            ) from error
