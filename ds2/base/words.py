"""Durations, sizes, counts and measured values as a person reads them: one way each, everywhere."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping
from itertools import islice

NOTHING = "–"
"""Stands where a value is not known."""
_COMMANDS = re.compile("[\\x00-\\x08\\x0b-\\x1f\\x7f-\\x9f\\u202a-\\u202e\\u2066-\\u2069\\ud800-\\udfff]")
"""Control codes other than tab and line feed, marks that turn the direction of text, half characters."""
_SHOWN = 80
"""Characters of a value that a message quotes."""


def printable(text: str) -> str:
    """Text from anywhere as a terminal may show it: what would command it is spelt out (`\\x1b`)."""
    return _COMMANDS.sub(lambda found: found[0].encode("unicode_escape", "surrogatepass").decode(), text)


def is_utf8(text: str) -> bool:
    """Whether a text can be written: names of files, and what is typed, may hold bytes that are no UTF-8."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def quoted(value: object) -> str:
    """A value as a message quotes it: its beginning where it is long."""
    text = value if isinstance(value, str) else repr(value)
    said = repr(text[:_SHOWN]) if isinstance(value, str) else text[:_SHOWN]
    return said if len(text) <= _SHOWN else f"{said}... ({len(text):,} characters)"


def few(names: Iterable[str], most: int = 12) -> str:
    """The first of names that may be many or long, as a line holds them: `a, b and 39,998 more`."""
    listed = list(names)
    said = (name if len(name) <= _SHOWN else f"{name[:_SHOWN]}..." for name in listed[:most])
    return ", ".join(said) + (f" and {len(listed) - most:,} more" if len(listed) > most else "")


def did_you_mean(given: str, known: Collection[str]) -> str:
    """` (did you mean batch?)`, to stand behind an unknown word; nothing where no known one is near."""
    import difflib

    near = difflib.get_close_matches(given, sorted(known), 1)
    return f" (did you mean {near[0]}?)" if near else ""


def duration(seconds: float | None) -> str:
    """A time, to about three digits: `120 ms`, `3.4 s`, `2 min 5 s`, `1 h 40 min`."""
    if seconds is None:
        return NOTHING
    if seconds < 0.9995:
        return f"{seconds * 1000:.0f} ms"
    if seconds < 59.95:
        return f"{seconds:.1f} s"
    if seconds < 3599.5:
        return _of_two(round(seconds), 60, "min", "s")
    return _of_two(round(seconds / 60), 60, "h", "min")


def _of_two(count: int, each: int, large: str, small: str) -> str:
    whole, rest = divmod(count, each)
    return f"{whole} {large} {rest} {small}" if rest else f"{whole} {large}"


def size(count: float | None) -> str:
    """Bytes in the unit that keeps the number short: `512 B`, `3.4 KiB`, `172 MiB`."""
    if count is None:
        return NOTHING
    if count < 1024:
        return f"{count:.0f} B"
    power = min(p for p in (1, 2, 3) if p == 3 or count / 1024**p < 1023.5)
    count /= 1024**power
    return f"{count:,.{1 if count < 99.95 else 0}f} {('KiB', 'MiB', 'GiB')[power - 1]}"


def quantity(value: float) -> str:
    """A count with separators, in millions from one on: `12,345`, `3.1 million`."""
    return f"{value / 1e6:,.1f} million" if value >= 1e6 else f"{value:,.0f}"


def number_of(count: int, noun: str) -> str:
    """A count with what it is of, a noun that takes an s: `1 run`, `1,200 runs`."""
    return f"{count:,} {noun}{'' if count == 1 else 's'}"


def number(value: float) -> str:
    """A whole number with separators, another to four significant digits."""
    if isinstance(value, int) or (abs(value) >= 1000 and value.is_integer()):
        return f"{value:,.0f}"
    return f"{value:.4g}"


def counted(counts: Mapping[str, object], most: int) -> str:
    """The first numbers of a record's counts in a line, times left out: `selected 40, pool 399`."""
    numbers = (
        f"{name.replace('_', ' ')} {number(value)}"
        for name, value in counts.items()
        if isinstance(value, int | float) and not isinstance(value, bool) and "seconds" not in name
    )
    return ", ".join(islice(numbers, most))


def percent(share: float | None, digits: int = 1) -> str:
    """A share as a percentage: `12.5 %`."""
    return NOTHING if share is None else f"{share * 100:.{digits}f} %"


def measured(mean: float, spread: float | None, digits: int = 1) -> str:
    """A mean with its standard deviation or error: `41.3 ± 0.5`; alone without a spread."""
    return f"{mean:.{digits}f}" if spread is None else f"{mean:.{digits}f} ± {spread:.{digits}f}"
