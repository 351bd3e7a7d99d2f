"""A server's own words: what a body says, in every shape in which servers send completions and errors."""

from __future__ import annotations

import html
import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

_MOST = 300
"""Characters of a server's words that are shown."""
_PAGE = re.compile(r"\s*(?:<!doctype html|<html|<head|<body)", re.IGNORECASE)
_TITLE = re.compile(r"<title[^>]*>(.*?)</title>", re.IGNORECASE | re.DOTALL)
_HIDDEN = re.compile(r"<(script|style)\b.*?</\1>", re.IGNORECASE | re.DOTALL)
_TAG = re.compile(r"<[^>]+>")


def mapping(value: object) -> Mapping[str, Any]:
    """A part of a reply that should be an object; empty where it is something else."""
    return value if isinstance(value, dict) else {}


def count(value: object) -> int:
    """A part of a reply that should be a number; 0 where it is something else."""
    return int(value) if isinstance(value, int | float) and 0 <= value < 2**53 else 0


def text_of(content: bytes) -> str:
    """A body as text, without a byte order mark; what is not UTF-8 in it is replaced."""
    return content.decode("utf-8-sig", errors="replace")


def is_page(text: str) -> bool:
    """Whether this is a page for a browser."""
    return _PAGE.match(text) is not None


def value_of(text: str) -> Any:
    """The JSON value in a body: also one within a JSON string, and a stream of events, put together.

    Raises:
        ValueError: there is none.
    """
    if text.lstrip().startswith(("data:", "event:", ":")):
        return _completed(list(_events(text)))
    value = json.loads(text)
    return json.loads(value) if isinstance(value, str) else value


def _events(text: str) -> Iterator[Mapping[str, Any]]:
    """The objects of a stream of events, sent though none was asked for."""
    for line in text.splitlines():
        if line.startswith("data:") and (data := line.removeprefix("data:").strip()) not in ("", "[DONE]"):
            yield mapping(json.loads(data))


def _completed(events: list[Mapping[str, Any]]) -> Mapping[str, Any]:
    """One completion of its parts.

    Raises:
        ValueError: there are none.
    """
    if not events:
        raise ValueError("a stream without events")
    failed = next((event for event in events if event.get("error")), None)
    if failed is not None:
        return failed
    parts: dict[str, str] = {}
    finish, usage = None, None
    for event in events:
        usage = event.get("usage") or usage
        for choice in event.get("choices") or []:
            part = mapping(choice)
            finish = part.get("finish_reason") or finish
            for name, piece in (mapping(part.get("delta")) or mapping(part.get("message"))).items():
                if isinstance(piece, str) and name != "role":
                    parts[name] = parts.get(name, "") + piece
    choices = [{"message": parts, "finish_reason": finish}] if parts or finish else []
    return {**events[-1], "choices": choices, "usage": usage}


def error_of(value: Any) -> tuple[str, str]:
    """The words of an error and its code, in whatever shape the server has them; empty where it has none.

    OpenAI's `{"error": {"message", "code", "param"}}`, the bare text of Ollama and TGI, FastAPI's `detail`
    (also its list of fields), Gemini's list of one error, and the words of a provider behind OpenRouter.
    """
    if isinstance(value, list) and value:
        if all(isinstance(entry, dict) and "msg" in entry for entry in value):
            return "; ".join(_field(entry) for entry in value), ""
        return error_of(value[0])
    if isinstance(value, str):
        return value, ""
    whole = mapping(value)
    for name in ("error", "detail", "errors"):
        if whole.get(name):
            words, code = error_of(whole[name])
            return words, code or _code(whole)
    words = next((str(whole[name]) for name in ("message", "msg", "title") if whole.get(name)), "")
    raw = mapping(whole.get("metadata")).get("raw")
    if raw:
        words = f"{words}: {raw}"
    param = whole.get("param")
    if isinstance(param, str) and param and param not in words:
        words = f"{words} ({param})"
    return words, _code(whole)


def _code(whole: Mapping[str, Any]) -> str:
    code = whole.get("code") or whole.get("type") or ""
    return str(code) if isinstance(code, str | int) else ""


def _field(entry: Mapping[str, Any]) -> str:
    place = entry.get("loc")
    return f"{'.'.join(map(str, place))}: {entry['msg']}" if isinstance(place, list) else str(entry["msg"])


def words_of(text: str) -> tuple[str, str]:
    """What the body of an error says, in one line, and its code: its message, its page's text, or itself."""
    try:
        words, code = error_of(value_of(text))
    except (ValueError, RecursionError):
        words, code = "", ""
    return words or _plain(text), code


def _plain(text: str) -> str:
    if is_page(text):
        title = _TITLE.search(text)
        shown = title.group(1) if title else _TAG.sub(" ", _HIDDEN.sub(" ", text))
        return f"a page: {html.unescape(' '.join(shown.split()))[:_MOST]}"
    return " ".join(text.split())


def shortened(line: str) -> str:
    """A line that is short enough to be shown."""
    return line if len(line) <= _MOST else line[: _MOST - 3] + "..."
