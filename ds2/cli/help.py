"""`ds2 help GROUP` and `ds2 help GROUP=CHOICE`: what can be chosen, and what of it can be set."""

from __future__ import annotations

from collections.abc import Sequence

from rich.markup import escape
from rich.table import Table

from ds2.base.errors import UserError
from ds2.cli import console
from ds2.config import plugins
from ds2.config.describe import ChoiceDescription, describe_choices, describe_fields


def run(arguments: Sequence[str]) -> int:
    """Exit code. Raises UserError for a group or a choice that is not there."""
    topics = [argument for argument in arguments if not argument.startswith("plugins=")]
    if len(topics) != 1:
        raise UserError("ds2 help takes one group, or group=choice: ds2 help rater")
    plugins.activate(arguments)
    group, _, name = topics[0].partition("=")
    choices = describe_choices(group)
    if not name:
        _show_choices(group, choices)
        return 0
    chosen = [choice for choice in choices if choice.name == name]
    if not chosen:
        known = ", ".join(choice.name for choice in choices)
        raise UserError(f"{group}={name} is no choice; there are: {known}")
    _show_fields(group, chosen[0])
    return 0


def _show_choices(group: str, choices: Sequence[ChoiceDescription]) -> None:
    table = Table(f"{group}=", "what it is")
    for choice in choices:
        table.add_row(choice.name, escape(choice.text))
    console.show(table)
    console.line(f"ds2 help {group}={choices[0].name} shows what of it can be set")


def _show_fields(group: str, choice: ChoiceDescription) -> None:
    for line in (choice.text, choice.command and f"example: {choice.command}"):
        if line:
            console.line(line)
    if choice.schema is None:
        return
    table = Table("field", "type", "default", "meaning")
    for field in describe_fields(choice.schema):
        value = choice.values.get(field.name, field.default)
        cells = f"{group}.{field.name}", field.kind, str(value), field.text
        table.add_row(*map(escape, cells))
    console.show(table)
