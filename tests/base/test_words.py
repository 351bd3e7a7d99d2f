"""Durations, sizes, counts and measured values in words: borders between units, rounding across them."""

from __future__ import annotations

import pytest

from ds2.base import words


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (None, "–"), (0.0, "0 ms"), (0.12, "120 ms"), (0.9996, "1.0 s"), (3.44, "3.4 s"), (59.94, "59.9 s"),
        (59.96, "1 min"), (60, "1 min"), (125, "2 min 5 s"), (3599.4, "59 min 59 s"), (3599.6, "1 h"),
        (6000, "1 h 40 min"), (90_061, "25 h 1 min"),
    ],
)  # fmt: skip
def test_a_duration_is_short_and_never_sixty_of_a_unit(seconds, text):
    assert words.duration(seconds) == text


@pytest.mark.parametrize(
    ("count", "text"),
    [
        (None, "–"), (0, "0 B"), (1023, "1023 B"), (1024, "1.0 KiB"), (3500, "3.4 KiB"),
        (180_000_000, "172 MiB"),
        (1024**2 - 1, "1.0 MiB"), (1024**3, "1.0 GiB"), (23.4 * 1024**3, "23.4 GiB"),
        (5000 * 1024**3, "5,000 GiB"),
    ],
)  # fmt: skip
def test_a_size_is_in_the_unit_that_keeps_it_short(count, text):
    assert words.size(count) == text


def test_counts_and_numbers():
    assert [words.quantity(value) for value in (7, 12_345.4, 3_140_000)] == ["7", "12,345", "3.1 million"]
    assert [words.number(value) for value in (12_345, 2000.0, 2.0, 0.123456)] == [
        "12,345",
        "2,000",
        "2",
        "0.1235",
    ]


def test_counts_of_a_record_are_its_first_numbers_without_times():
    counts = {"selected": 4000, "wall_seconds": 3.2, "kept_raw": True, "by_score": {"1": 2}, "pool_size": 9}
    assert words.counted(counts, 4) == "selected 4,000, pool size 9"
    assert words.counted(counts, 1) == "selected 4,000"


def test_shares_and_measured_values():
    assert [words.percent(0.125), words.percent(0.125, 0), words.percent(None)] == ["12.5 %", "12 %", "–"]
    assert [words.measured(41.26, 0.54), words.measured(41.26, None)] == ["41.3 ± 0.5", "41.3"]


def test_what_commands_a_terminal_is_spelt_out():
    assert words.printable("\x1b[2J\x1b]0;x\x07 \x9b1m \u202eabc \ud83d") == (
        r"\x1b[2J\x1b]0;x\x07 \x9b1m \u202eabc \ud83d"
    )
    plain = "Ein Satz.\n\tEingerückt, 中文, 👍🏽, عربي"
    assert words.printable(plain) == plain


def test_a_long_value_is_quoted_by_its_beginning():
    assert words.quoted("a\n") == "'a\\n'"
    assert words.quoted("x" * 1_000_000) == f"'{'x' * 80}'... (1,000,000 characters)"


def test_of_many_names_the_first_are_said():
    assert words.few(["a", "b"]) == "a, b"
    assert words.few(map(str, range(40_000)), 3) == "0, 1, 2 and 39,997 more"
    assert words.few(["x" * 1_000_000]) == f"{'x' * 80}..."


def test_one_of_a_thing_has_no_s():
    assert [words.number_of(n, "run") for n in (0, 1, 2, 1200)] == ["0 runs", "1 run", "2 runs", "1,200 runs"]
