"""What a server takes: the options of a request, and what is learnt where it refuses one.

Servers that speak Chat Completions differ in what they accept. A refusal that names an option tells what to
change: the other name for the limit of tokens, fewer probabilities, no schema, no temperature. A change is
kept only once a question has passed with it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from ds2.models.chat.served.policy import Fault

LIKELY_TOKENS = 20
"""First tokens whose probabilities are asked for: as many as the API gives, at most."""
FEWER_TOKENS = 5
"""The same where a server refuses so many and does not say how many it takes."""
_LIMITS = ("max_tokens", "max_completion_tokens")
"""The two names for the longest answer."""
SCHEMA = "response_format"
_SAMPLING = ("temperature", "top_p", "top_k", "seed")
_NAMES = {
    SCHEMA: r"response_format|json[ _]?schema|structured[ _]outputs?|guided|grammar",
    "max_tokens": r"(?<!_)max_tokens|max_tokens_to_sample",
}
"""Words for an option, where there are more than its own name."""
_REFUSES = re.compile(
    r"unsupported|(?:n[o']t|never) (?:\w+ )?(?:support|permit|allow|accept|implement|enabl|available|valid"
    r"|recogni|compatible)|unknown|unrecogni[sz]ed|unexpected|extra |invalid|deprecated|instead|no such"
    r"|does(?: not|n't)|cannot|can't|must be|less than|at most|between|maximum|exceed|only |disabled|refuse"
    r"|no endpoints",
    re.IGNORECASE,
)
_NUMBER = re.compile(r"(?<![\w.])(\d{1,2})(?![\w.]*\d)")


@dataclass(frozen=True)
class Terms:
    """The options that go with every question, and what was changed in them."""

    options: Mapping[str, Any]
    changes: tuple[str, ...] = ()
    """In words, for people and records."""

    def without(self, name: str) -> Terms:
        kept = {option: value for option, value in self.options.items() if option != name}
        return Terms(kept, (*self.changes, f"without {name}"))

    def with_schema(self) -> bool:
        return SCHEMA in self.options

    def after(self, fault: Fault) -> Terms | None:
        """What to ask with after this refusal; None where it names nothing that can be changed."""
        words = f"{fault.words} {fault.code}"
        if fault.too_long or not _REFUSES.search(words):
            return None
        for name in self._named(words):
            if (changed := self._changed(name, words)) is not None:
                return changed
        return None

    def fewer(self) -> Iterator[Terms]:
        """What to try where a refusal names nothing: one thing changed, then all of them."""
        limit = next((name for name in _LIMITS if name in self.options), None)
        everything = self
        if self.with_schema():
            yield (everything := everything.without(SCHEMA))
        if limit is not None and (other := self._changed(limit, "")) is not None:
            yield other
        sampling = [name for name in _SAMPLING if name in self.options]
        for name in sampling:
            yield self.without(name)
            everything = everything.without(name)
        if len(everything.changes) > len(self.changes) + 1:
            yield everything

    def _named(self, words: str) -> list[str]:
        """The options that are named, in the order in which they are."""
        places = {}
        for name in self.options:
            pattern = _NAMES.get(name, rf"(?<!\w){name}(?!\w)")
            if (place := re.search(pattern, words, re.IGNORECASE)) is not None:
                places[name] = place.start()
        return sorted(places, key=places.__getitem__)

    def _changed(self, name: str, words: str) -> Terms | None:
        if name in _LIMITS:
            other = _LIMITS[1 - _LIMITS.index(name)]
            note = f"{other} for {name}"
            if f"{name} for {other}" in self.changes:
                return None
            named = {other if option == name else option: value for option, value in self.options.items()}
            return Terms(named, (*self.changes, note))
        if name == "top_logprobs":
            return self._with_fewer(words)
        if name == "logprobs":
            return None  # what is asked for
        return self.without(name)

    def _with_fewer(self, words: str) -> Terms | None:
        now = int(self.options["top_logprobs"])
        said = [n for n in map(int, _NUMBER.findall(words)) if 0 < n < now]
        fewer = max(said, default=FEWER_TOKENS)
        if fewer >= now:
            return None
        return Terms({**self.options, "top_logprobs": fewer}, (*self.changes, f"top_logprobs={fewer}"))
