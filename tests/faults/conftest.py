"""Faults done to real commands: how many, from which seed, and a table of what became of them."""

from __future__ import annotations

import os
import zlib
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from helpers.faults import Place, undisturbed

MOMENTS = int(os.environ.get("DS2_FAULT_MOMENTS", "2"))
"""Random moments at which each stage is struck."""
PROCESSES = int(os.environ.get("DS2_FAULT_PROCESSES", "8"))
"""Processes that start one sweep at once."""
SEED = int(os.environ.get("DS2_FAULT_SEED", "0"))
_PROPERTY = "fault"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.faults)
            item.add_marker(pytest.mark.timeout(3000))


@pytest.fixture
def rng(request: pytest.FixtureRequest) -> np.random.Generator:
    """A stream of its own for each test, of the session's seed."""
    return np.random.default_rng([SEED, zlib.crc32(request.node.name.encode())])


@pytest.fixture
def moments(rng: np.random.Generator) -> list[float]:
    """Shares of a stage's time, one in each of as many equal parts of it and of the tenth after it, in
    which it is published.
    """
    return [float(share) for share in 1.1 * (np.arange(MOMENTS) + rng.random(MOMENTS)) / MOMENTS]


@pytest.fixture
def processes() -> int:
    """How many begin at once."""
    return PROCESSES


Tally = Callable[[str, str, str], None]
"""What was done, where, and what became of it."""


@pytest.fixture
def tally(record_property: Callable[[str, object], None]) -> Iterator[Tally]:
    """Counts a fault for the table; the test fails at its end where one came to something of `WRONG`."""
    wrong: list[str] = []

    def count(fault: str, where: str, outcome: str, fine: bool = True) -> None:
        record_property(_PROPERTY, [fault, where, outcome if fine else "WRONG"])
        if not fine:
            wrong.append(f"{fault}, {where}: {outcome}")

    yield count
    assert not wrong, "\n".join(wrong)


@pytest.fixture(scope="session")
def quiet(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Place]:
    """The chain of a name, run once undisturbed."""
    places: dict[str, Place] = {}

    def of(chain: str) -> Place:
        if chain not in places:
            places[chain] = undisturbed(tmp_path_factory.mktemp(chain), chain)
        return places[chain]

    return of


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """The table of docs/reliability.md."""
    rows: defaultdict[tuple[str, str], Counter[str]] = defaultdict(Counter)
    for reports in terminalreporter.stats.values():
        for report in reports:
            if getattr(report, "when", "") == "teardown":
                continue
            for name, value in getattr(report, "user_properties", ()):
                if name == _PROPERTY:
                    fault, where, outcome = value
                    rows[fault, where][outcome] += 1
    if not rows:
        return
    total = sum(sum(outcomes.values()) for outcomes in rows.values())
    terminalreporter.section(f"{total} faults: {MOMENTS} moments, {PROCESSES} processes, seed {SEED}")
    terminalreporter.write_line("| fault | where | times | what became of it |\n|---|---|---:|---|")
    for (fault, where), outcomes in sorted(rows.items()):
        became = ", ".join(f"{n} {outcome}" for outcome, n in outcomes.most_common())
        terminalreporter.write_line(f"| {fault} | {where} | {sum(outcomes.values())} | {became} |")
