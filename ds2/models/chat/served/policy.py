"""What becomes of a question that a server did not answer.

Every fault has one of four fates. Final for the run: no question can be answered, so nothing more is asked.
Final for the row: this question is refused and would be again; the others go on. Filtered: a content filter
stopped it, which is an answer. Again: the same question may be answered later, and is asked within bounds
(`ds2.models.chat.served.courier`). docs/rating.md holds the whole table, made by a test.
"""

from __future__ import annotations

import email.utils
import math
import re
import time
from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Any

from ds2.models.chat.served.words import mapping

PASSING = frozenset({408, 409, 425, 429})
"""Statuses below 500 after which the same call may succeed."""
BUSY = 429
_OF_THE_RUN = frozenset({401, 402})
"""Statuses that mean every question."""
_NO_CREDIT = frozenset({"insufficient_quota", "billing_hard_limit_reached", "insufficient_credits"})
_KEY_CODES = frozenset({"invalid_api_key", "authentication_error", "UNAUTHENTICATED"})
_FILTERS = frozenset({"content_filter", "content_policy_violation", "ResponsibleAIPolicyViolation"})
_A_DAY = re.compile(r"per ?day|daily", re.IGNORECASE)
_TOO_LONG = re.compile(
    r"context (?:size|length|window)|maximum context|longer than the maximum|prompt is too long"
    r"|too many (?:input )?tokens|exceeds? (?:the|this)\b.*\b(?:context|tokens)",
    re.IGNORECASE,
)


class Fate(Enum):
    again = "asked again"
    row = "final for the row"
    run = "final for the run"
    filtered = "an answer: refused"


@dataclass(frozen=True)
class Fault:
    """Why a question has no answer."""

    words: str
    """The server's own, in one line and without the key; or ours, where it said nothing."""
    status: int | None = None
    """Of the response, or as its body has it; None: no response, or none that means anything."""
    code: str = ""
    wait: float | None = None
    """Seconds after which the server wants to be asked again, where it says so."""
    page: bool = False
    """A page for a browser came with status 200."""
    hopeless: bool = False
    """No question can pass: a certificate that is not trusted, say."""

    @property
    def reason(self) -> str:
        """For people, and beside the row."""
        return f"status {self.status}, {self.words}" if self.status else self.words

    @property
    def too_long(self) -> bool:
        """The question itself is, whatever the status (llama.cpp says so with 500)."""
        return _TOO_LONG.search(self.words) is not None

    def fate(self, *, heard: bool) -> Fate:
        """What becomes of the question; `heard`: whether the server has answered any yet."""
        if self.code in _FILTERS:
            return Fate.filtered
        if self.status in _OF_THE_RUN or self.code in _NO_CREDIT or self.code in _KEY_CODES:
            return Fate.run
        if self.hopeless or (self.page and not heard):
            return Fate.run
        if self.too_long:
            return Fate.row
        if self.status is None or self.status in PASSING or self.status >= 500:
            used_up = self.status == BUSY and _A_DAY.search(self.words) and self.wait is None
            return Fate.run if used_up and not heard else Fate.again
        return Fate.row


def numbered(code: str) -> int | None:
    """The status that an error's code is, in a body that came with status 200."""
    return int(code) if code.isdecimal() and 400 <= int(code) < 600 else None


def wait_of(headers: Mapping[str, str], value: Any) -> float | None:
    """Seconds that a server asks to wait, in its headers or (Gemini) its error; None where it does not say,
    or says none.
    """
    for name, unit in (("retry-after-ms", 0.001), ("retry-after", 1.0)):
        try:
            seconds = float(headers[name]) * unit
        except (KeyError, ValueError):
            continue
        if math.isfinite(seconds):
            return seconds if seconds > 0 else None
    try:
        left = email.utils.parsedate_to_datetime(headers["retry-after"]).timestamp() - time.time()
    except (KeyError, ValueError):
        return _delay(value)
    return left if left > 0 else None


def _delay(value: Any) -> float | None:
    first = value[0] if isinstance(value, list) and value else value
    details = mapping(mapping(first).get("error")).get("details")
    for detail in details if isinstance(details, list) else []:
        said = str(mapping(detail).get("retryDelay", ""))
        if re.fullmatch(r"\d{1,6}(?:\.\d+)?s", said):
            return float(said[:-1]) or None
    return None
