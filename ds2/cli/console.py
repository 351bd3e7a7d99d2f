"""What the command prints."""

from __future__ import annotations

import sys
import warnings
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING, Any

from rich.console import Console, ConsoleOptions, RenderableType
from rich.markup import escape
from rich.segment import Segment
from rich.table import Table
from rich.text import Text

from ds2.artifacts.step import StageResult, Status, Step
from ds2.base.deprecated import DeprecatedName
from ds2.base.paths import shown
from ds2.base.secrets import masked
from ds2.base.words import counted, duration, printable

if TYPE_CHECKING:
    from ds2.runs.chain import Chain, Reporter


class _Console(Console):
    """Text is text: control codes in what is shown are spelt out; the colours are the console's own."""

    def render_str(self, text: str, **options: Any) -> Text:
        return super().render_str(printable(text), **options)

    def render(self, renderable: RenderableType, options: ConsoleOptions | None = None) -> Iterable[Segment]:
        for segment in super().render(renderable, options):  # what came as rich's own Text
            text = segment.text if segment.control else printable(segment.text)
            yield Segment(text, segment.style, segment.control)


_WIDTH = None if sys.stdout.isatty() else 400
"""A log file has no width: tables are as wide as they need."""
_out = _Console(highlight=False, soft_wrap=True, width=_WIDTH)
_FRAMED = 200
"""Rows of a table that has a frame."""
_COUNTS_SHOWN = 4
"""A line holds so many of a stage's counts; its record holds all."""
_err = _Console(stderr=True, highlight=False, soft_wrap=True)


def line(text: str) -> None:
    """One plain line."""
    _out.print(escape(text))


def plain(text: str) -> None:
    """Text as it is, for other programs."""
    print(text)


def error(text: str) -> None:
    """One line on standard error, marked, without the secrets of an option that it quotes."""
    _err.print(f"[bold red]error[/] {escape(masked(' '.join(text.split())))}")


def end_of_bar() -> None:
    """Leave the line of an interrupted progress bar."""
    if sys.stderr.isatty():
        _err.print()


def heading(text: str) -> None:
    _out.print(f"[bold]{escape(text)}[/]")


@contextmanager
def reporting(chain: Chain | None = None) -> Iterator[Reporter]:
    """Prints each computed stage as it ends, those that were reused together, and warnings; `chain`: as
    wide as its names are.
    """
    from ds2.runs.chain import Reporter

    stages = _Stages(9 if chain is None else _width(chain))
    try:
        yield Reporter(stage=stages.show, waiting=partial(_waiting, stages.wide), warning=warning)
    finally:
        stages.flush()


def _width(chain: Chain) -> int:
    """Of the column of stages' names."""
    return max(9, *(len(step.name) + 2 for step in chain.steps))


class _Stages:
    """Stages as they end; reused ones in a row are one line."""

    def __init__(self, wide: int) -> None:
        self.wide = wide
        self._reused: list[StageResult] = []

    def show(self, result: StageResult) -> None:
        if result.status is Status.reused:
            self._reused.append(result)
            return
        self.flush()
        _out.print(
            f"  {result.name:<{self.wide}}[green]{result.status.value:<8}[/] {duration(result.seconds):>9}  "
            f"[dim]{result.fingerprint}[/]  {escape(counted(result.record['counts'], _COUNTS_SHOWN))}"
        )
        self._warnings(result)

    def flush(self) -> None:
        """Say what was reused so far."""
        if self._reused:
            seconds = duration(sum(result.seconds for result in self._reused))
            names = ", ".join(result.name for result in self._reused)
            _out.print(f"  [cyan]{'reused':<{self.wide}}[/]{names}  [dim]{seconds}[/]")
            for result in self._reused:
                self._warnings(result)
        self._reused = []

    def _warnings(self, result: StageResult) -> None:
        for text in result.record["warnings"]:
            warning(f"{result.name}: {text}")
        sys.stdout.flush()


def _waiting(wide: int, step: Step) -> None:
    _out.print(f"  {step.name:<{wide}}[yellow]waiting[/]  another run is computing it")


def outcome(name: str, state: str, colour: str, took: str, text: str) -> None:
    """One line of what became of one of several things."""
    _out.print(f"  {name:<11}[{colour}]{state:<9}[/]{took:>9}  {escape(text)}")


def warning(text: str) -> None:
    """One marked line among a run's."""
    _out.print(f"  [yellow]warning[/] {escape(masked(text))}")


@contextmanager
def deprecations() -> Iterator[None]:
    """Names that go are warned of in a line on standard error, not with the place in the code that Python
    adds.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("always", DeprecatedName)
        before = warnings.showwarning

        def show(message: Warning | str, category: type[Warning], *rest: Any, **named: Any) -> None:
            if issubclass(category, DeprecatedName):
                _err.print(f"[yellow]warning[/] {escape(masked(str(message)))}")
            else:
                before(message, category, *rest, **named)

        warnings.showwarning = show
        yield


def plan(chain: Chain) -> None:
    """The chain with what is cached and what would be computed."""
    heading(chain.name)
    for rater, reason in chain.lost.items():
        warning(f"the panel goes on without {rater}: {reason}")
    wide = _width(chain)
    for step, path in chain.plan():
        state = f"[cyan]cached[/]   {escape(shown(path))}" if path else "[green]compute[/]"
        _out.print(f"  {step.name:<{wide}}{state}" + ("" if path else f"  [dim]{step.fingerprint}[/]"))
        for text in () if path else step.forecast():
            _out.print(f"           {escape(text)}")


def show(renderable: object) -> None:
    """Print a rich renderable."""
    _out.print(renderable)


def columns(header: Sequence[str], rows: Sequence[Sequence[str]], right: Sequence[int] = ()) -> None:
    """A table of any length; `right`: columns that end alike. A long one is plain text: a frame of thousands
    of rows takes longer than they do.
    """
    if len(rows) <= _FRAMED:
        table = Table(title_justify="left")
        for at, name in enumerate(header):
            table.add_column(name, justify="right" if at in right else "left")
        for row in rows:
            table.add_row(*map(escape, row))
        show(table)
        return
    widths = [max(len(row[at]) for row in (header, *rows)) for at in range(len(header))]
    for row in (header, *rows):
        cells = [
            cell.rjust(width) if at in right else cell.ljust(width)
            for at, (cell, width) in enumerate(zip(row, widths, strict=True))
        ]
        _out.file.write(printable("  ".join(cells).rstrip()) + "\n")
