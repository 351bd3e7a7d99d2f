"""From rows to a pool: one policy for bad rows, ids and the order of turns; what was seen is counted.

A row is bad, and refused or left out (`pool.on_bad_rows`), where it

    cannot be read: no JSON, no object, half a character (a lone surrogate), more than `pool.max_row_bytes`
        or `MOST_VALUES`, a value that Python does not know
    has no known shape, an unknown role, a turn without text, or content that is no text
    has an empty user turn, no user turn (plain text aside), or no assistant turn after a user's
    has no answer that is to be trained (`weight: 0` throughout)
    has an id that an earlier row has (`pool.on_duplicate_ids`)

Everything else is kept. What is odd in it (an empty answer, a last turn of the user's, a role twice in a row)
is counted and said.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import pairwise
from typing import Any

from ds2.base.errors import UserError
from ds2.base.words import few, quoted
from ds2.config import BadRows, DuplicateIds, PoolFormat, RowsPoolConfig, Turns
from ds2.pool.columns import Renaming
from ds2.pool.errors import BadRow, Unreadable
from ds2.pool.ids import given_id, id_of_content, said_id
from ds2.pool.messages import Message, TurnReader
from ds2.pool.pool import Pool, walk
from ds2.pool.samples import Place, Sample, StoredSamples
from ds2.pool.shapes import NO_SHAPE, Reading, read_row

DUPLICATE = "duplicate id"
BAD_ROWS = "bad rows were left out"
_SAID = 8
"""Notes on how rows were read that are said; of more, the rest is counted."""


@dataclass
class Tally:
    """What was seen while rows were read, as counts of rows."""

    shapes: Counter[str] = field(default_factory=Counter)
    notes: Counter[str] = field(default_factory=Counter)
    """What was guessed."""
    orders: Counter[str] = field(default_factory=Counter)
    """Odd orders of turns up to the last answer, as which LLaMA-Factory's export cuts rows."""
    unanswered: int = 0
    """Rows with turns after their last answer."""
    dropped: Counter[str] = field(default_factory=Counter)
    """Bad rows by reason."""
    first_bad: dict[str, str] = field(default_factory=dict)
    """Reason -> the first such row."""
    empty_answers: int = 0
    untrained: int = 0
    """Rows with an assistant turn that is not to be trained."""
    reasoning: int = 0
    turn_fields: Mapping[str, int] = field(default_factory=dict)
    """Fields of turns that are not kept."""

    def warnings(self) -> list[str]:
        """One line each."""
        lines = [
            f"{note} ({count:,} row{'s' * (count > 1)})" for note, count in self.notes.most_common(_SAID)
        ]
        if len(self.notes) > _SAID:
            lines.append(f"{len(self.notes) - _SAID} other ways of reading rows: ds2 look lists them")
        if self.empty_answers:
            lines.append(f"{self.empty_answers} samples have an empty assistant answer; they are kept")
        if self.orders:
            orders = ", ".join(f"{count:,} {kind}" for kind, count in self.orders.most_common())
            lines.append(f"unusual orders of turns are kept; LLaMA-Factory would skip them: {orders}")
        if self.unanswered:
            lines.append(
                f"{self.unanswered:,} samples go on after their last answer: kept, though nothing trains that"
            )
        if self.untrained:
            lines.append(f"{self.untrained:,} samples have turns that are not to be trained (weight 0)")
        if self.reasoning:
            lines.append(
                f"{self.reasoning:,} samples have reasoning beside their text: kept in the subset, shown to "
                "no rater, not trained by finetune.template=tulu"
            )
        if self.turn_fields:
            names = few(f"{name} ({count:,})" for name, count in self.turn_fields.items())
            lines.append(f"fields of turns that are left out: {names}")
        if self.dropped:
            reasons = few(f"{count} {reason}" for reason, count in self.dropped.most_common())
            keeps = "; pool.on_duplicate_ids=prefix or number keeps those of one id"
            remedy = keeps if DUPLICATE in self.dropped else ""
            lines.append(f"{self.dropped.total()} {BAD_ROWS}: {reasons}{remedy}")
        return lines


def read_pool(
    rows: Iterable[tuple[Place, Any]],
    config: RowsPoolConfig,
    name: str,
    prefix: Callable[[str], str],
    notes: Sequence[str] = (),
) -> Pool:
    """The samples of the rows, validated.

    Args:
        name: of the pool, and so of the source of rows that name none.
        prefix: what `on_duplicate_ids=prefix` puts before the ids of a file.
        notes: warnings from before the reading.

    Raises:
        UserError: no usable row, or, under `on_bad_rows=fail`, a bad row (named by file, row and field).
    """
    intake = _Intake(config, name, prefix)
    limited = False
    for place, raw in rows:
        intake.take(place, raw)
        if config.limit is not None and len(intake.samples) >= config.limit:
            limited = True
            break
    return intake.finish(limited, notes)


class _Intake:
    def __init__(self, config: RowsPoolConfig, name: str, prefix: Callable[[str], str]) -> None:
        self.samples = StoredSamples()
        self.tally = Tally()
        self._config, self._name, self._prefix = config, name, prefix
        self._renaming = Renaming(config.columns)
        self._sources = (config.source,) if config.source else ("source", "dataset")
        self._turns = TurnReader()
        self._positions: dict[str, int] = {}
        self._numbers: dict[str, int] = {}
        """The last number that an id of many rows was given."""
        self._rows = self._with_source = 0

    def take(self, place: Place, raw: Any) -> None:
        """Add one row, or count why not."""
        row = self._rows
        self._rows += 1
        try:
            sample, reading = self._sample(place, raw, row)
            self._add(sample)
            self._count(sample.messages, reading)
        except BadRow as bad:
            if self._config.on_bad_rows is BadRows.fail:
                remedy = _REMEDY if len(self.samples) or bad.reason != NO_SHAPE else ""
                raise UserError(f"{place}{said_id(raw)}, field {bad.field}: {bad}{remedy}") from None
            self.tally.dropped[bad.reason] += 1
            self.tally.first_bad.setdefault(bad.reason, f"{place}{said_id(raw)}, field {bad.field}: {bad}")

    def _sample(self, place: Place, raw: Any, row: int) -> tuple[Sample, Reading]:
        if isinstance(raw, Unreadable):
            raise BadRow("(line)", raw.message, raw.message.split(" (")[0])
        if not isinstance(raw, dict):
            raise BadRow("(row)", f"is a {type(raw).__name__}, not an object", "not an object")
        if self._renaming:
            raw = self._renaming.apply(raw)
        reading = read_row(raw, self._config.format, self._turns)
        messages = self._checked(reading.messages, plain=reading.shape is PoolFormat.text)
        used = reading.used
        columns = {key: value for key, value in raw.items() if key not in used}
        source = self._source(raw)
        identity = self._identity(place, raw, messages)
        return Sample(identity, row, source, messages, columns, place), reading

    def _add(self, sample: Sample) -> None:
        try:
            self.samples.add(sample)
        except UnicodeEncodeError:
            raise BadRow(_half_character(sample), "holds half a character (a lone surrogate)") from None
        except RecursionError:
            raise BadRow("(row)", "is nested too deeply") from None
        self._positions[sample.id] = len(self.samples) - 1

    def _source(self, raw: Mapping[str, Any]) -> str:
        for name in self._sources:
            value = raw[name] if name in raw else walk(raw, name.split("."))
            if value and isinstance(value, str | int | float):
                self._with_source += 1
                return str(value)
        return self._name

    def _identity(self, place: Place, raw: Mapping[str, Any], messages: tuple[Message, ...]) -> str:
        given = given_id(raw.get("id"))
        if given is None:
            return self._numbered(id_of_content(messages), "-")
        policy = self._config.on_duplicate_ids
        if policy is DuplicateIds.prefix:
            given = f"{self._prefix(place.file)}/{given}"
        earlier = self._positions.get(given)
        if earlier is None:
            return given
        if policy is DuplicateIds.number:
            return self._numbered(given, "#")
        first = self.samples[earlier]
        kinds = (isinstance(raw["id"], str), isinstance(first.columns.get("id"), str))
        apart = f"{given} ({'text' if kinds[0] else 'number'})"
        if kinds[0] != kinds[1] and apart not in self._positions:
            return apart
        raise BadRow(
            "id",
            f"duplicate id {quoted(given)}, first seen at {first.place}; for shards that each count from 0 "
            "set pool.on_duplicate_ids=prefix, for others pool.on_duplicate_ids=number",
            DUPLICATE,
        )

    def _numbered(self, wanted: str, mark: str) -> str:
        if wanted not in self._positions:
            return wanted
        number = self._numbers.get(wanted, 1) + 1
        while (identity := f"{wanted}{mark}{number}") in self._positions:
            number += 1
        self._numbers[wanted] = number
        return identity

    def _checked(self, messages: tuple[Message, ...], *, plain: bool) -> tuple[Message, ...]:
        """The messages under `pool.turns`. Raises BadRow."""
        asked = last = -1
        for i, message in enumerate(messages):
            if message.role == "user":
                asked = i if asked < 0 else asked
                if not message.content or message.content.isspace():
                    raise BadRow(f"messages[{i}].content", "user turn is empty")
            elif message.role == "assistant":
                last = i
        if asked < 0 and not (plain and last >= 0):
            raise BadRow("messages", "no user turn")
        if last < 0:
            raise BadRow("messages", "no assistant turn")
        if last < asked:
            raise BadRow("messages", "no assistant turn after a user turn")
        answers = [i for i, message in enumerate(messages) if message.is_answer]
        if not answers:
            raise BadRow("messages", "no answer is to be trained (weight 0)")
        if self._config.turns is Turns.last:
            earlier = (replace(m, trained=False) if m.is_answer else m for m in messages[: answers[-1]])
            messages = (*earlier, messages[answers[-1]])
        return messages

    def _count(self, messages: tuple[Message, ...], reading: Reading) -> None:
        tally = self.tally
        tally.shapes[reading.shape.value] += 1
        for note in reading.notes:
            tally.notes[note] += 1
        last = max(i for i, m in enumerate(messages) if m.role == "assistant")
        tally.unanswered += last < len(messages) - 1
        roles = [m.role for m in messages[: last + 1] if m.role != "system"]
        tally.empty_answers += any(
            m.role == "assistant" and (not m.content or m.content.isspace()) and not m.fields
            for m in messages
        )
        tally.untrained += self._config.turns is Turns.all and not all(m.trained for m in messages)
        tally.reasoning += any("reasoning_content" in m.fields for m in messages)
        if last == 1 and roles == _USUAL:
            return
        if roles[0] == "assistant" and len(roles) > 1:
            tally.orders["begin with an assistant turn"] += 1
        if any(a == b != "tool" for a, b in pairwise(roles)):
            tally.orders["have a role twice in a row"] += 1
        if any({a, b} == {"user", "tool"} for a, b in pairwise(roles)):
            tally.orders["have a tool's result beside a user turn"] += 1
        if any(m.role == "system" for m in messages[1 : last + 1]):
            tally.orders["have a later system turn"] += 1

    def finish(self, limited: bool, notes: Sequence[str]) -> Pool:
        """The pool. Raises UserError where nothing is left."""
        tally = self.tally
        tally.turn_fields = self._turns.passed_over
        if not self.samples:
            raise UserError(f"the pool {self._name} has no usable row" + _why_none(tally.dropped))
        if self._config.source and not self._with_source:
            raise UserError(f"pool.source={self._config.source}: no row has that field")
        warnings = (*notes, *tally.warnings())
        shapes, dropped = dict(tally.shapes), dict(tally.dropped)
        return Pool(self.samples, self._rows, dropped, limited, warnings, shapes, tally.first_bad)


_USUAL = ["user", "assistant"]
_REMEDY = "; mend the row, or leave such rows out with pool.on_bad_rows=drop (ds2 look counts them)"


def _why_none(dropped: Mapping[str, int]) -> str:
    return ": " + few(f"{count:,} {reason}" for reason, count in dropped.items()) if dropped else ""


def _half_character(sample: Sample) -> str:
    """The field whose text holds half a character."""
    fields = {f"messages[{i}].content": m.content for i, m in enumerate(sample.messages)}
    for name, value in {**fields, **sample.columns}.items():
        try:
            json.dumps([name, value], ensure_ascii=False, default=str).encode()
        except UnicodeEncodeError:
            return few([name.encode("ascii", "backslashreplace").decode()])
    return "(row)"
