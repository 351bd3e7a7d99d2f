"""The command line, read once for every command: words, Hydra's options and `key=value`.

Hydra wants its options beside one another, and quotes around what its grammar cannot read. Here options may
stand anywhere, and a file's name is taken as it stands.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override, Quote, QuotedString
from hydra.errors import HydraException

from ds2.base.deprecated import modern
from ds2.base.errors import UserError
from ds2.base.paths import project_root
from ds2.base.words import did_you_mean
from ds2.config.paths import path_keys

_SHORT = {
    "-m": "--multirun", "-c": "--cfg", "-p": "--package", "-i": "--info", "-r": "--run", "-h": "--help",
    "-cp": "--config-path", "-cn": "--config-name", "-cd": "--config-dir", "-sc": "--shell-completion",
}  # fmt: skip
JSON = "--json"
_BARE = (JSON, "--multirun", "--resolve", "--run", "--hydra-help", "--shell-completion", "--fail-fast")
_VALUED = ("--cfg", "--package", "--config-path", "--config-name", "--config-dir")
_INFO = ("all", "config", "defaults", "defaults-tree", "plugins", "searchpath")
_ONLY_SHOWS = ("--cfg", "--info", "--hydra-help", "--shell-completion")
_SWEPT = ("choice(", "range(", "glob(", "interval(")


@dataclass(frozen=True)
class CommandLine:
    """What a person asked for."""

    words: list[str] = field(default_factory=list)
    """What is neither an option nor `key=value`."""
    overrides: list[str] = field(default_factory=list)
    """`key=value` as Hydra reads it, Hydra's own keys included; `--config-dir` is one of them."""
    options: list[str] = field(default_factory=list)
    """Hydra's options, `--cfg=job`."""
    sweep: str | None = None
    """The name of `sweep=NAME`."""
    many: bool = False
    """`--multirun`."""
    fail_fast: bool = False
    """`--fail-fast`: the first run that fails ends the command."""
    as_json: bool = False
    """`--json`: print for a program."""

    @property
    def only_shows(self) -> bool:
        """Whether Hydra prints something and runs nothing."""
        return any(option.startswith(_ONLY_SHOWS) for option in self.options)


def parse(arguments: Sequence[str]) -> CommandLine:
    """The command line in its parts. Raises UserError: an unknown option, one without a value, two sweeps."""
    words, written, options, folders = [], list[str](), list[str](), []
    left = list(arguments)
    while left:
        argument = left.pop(0)
        if argument.startswith("-"):
            name, value = _option(argument, left)
            if name == "--config-dir":
                folders.append(value if "://" in value else f"file://{Path(value).expanduser().absolute()}")
            else:
                options.append(f"{name}={value}" if value else name)
        elif "=" in argument or argument.startswith("~"):
            written.append(argument)
        else:
            words.append(argument)
    sweeps = [o.removeprefix("sweep=") for o in written if o.startswith("sweep=")]
    if len(sweeps) > 1:
        raise UserError("give one sweep=NAME")
    many = "--multirun" in options
    overrides = [o for o in written if not o.startswith("sweep=")]
    return CommandLine(
        words,
        _with_folders(as_they_stand(overrides, many=many or bool(sweeps)), folders),
        [o for o in options if o not in ("--multirun", "--fail-fast", JSON)],
        sweeps[0] if sweeps else None,
        many,
        "--fail-fast" in options,
        JSON in options,
    )


def _option(argument: str, left: list[str]) -> tuple[str, str]:
    """Its long name and its value, which may be the next argument."""
    name, _, value = argument.partition("=")
    name = _SHORT.get(name, name)
    if name in _BARE:
        return name, value
    if name == "--info":
        return name, value or (left.pop(0) if left and left[0] in _INFO else "all")
    if name not in _VALUED:
        known = (*_BARE, *_VALUED, "--info", "--help", "--version")
        raise UserError(f"{argument}: no such option{did_you_mean(name, known)}")
    if not value and not left:
        raise UserError(f"{name} needs a value")
    return name, value or left.pop(0)


def _with_folders(overrides: list[str], folders: list[str]) -> list[str]:
    """Folders of `--config-dir` as a part of Hydra's search path."""
    if not folders:
        return overrides
    given = [o for o in overrides if o.startswith("hydra.searchpath=")]
    for override in given:
        folders = [*map(str, OverridesParser.create().parse_override(override).value() or ()), *folders]
    quoted = ",".join(_quoted(folder) for folder in folders)
    return [*(o for o in overrides if o not in given), f"hydra.searchpath=[{quoted}]"]


def as_they_stand(overrides: Sequence[str], *, many: bool = False) -> list[str]:
    """Overrides with quotes where Hydra needs them: paths mean what they say, spaces and signs included.
    Names that are deprecated become those of today, with a warning.

    Args:
        many: `a,b` sweeps, as in a multirun.

    Raises:
        UserError: no quotes make it readable, or it is beyond what Python reads.
    """
    keys = path_keys()
    overrides = modern(overrides)
    quoted = [_as_it_stands(each, keys, many) for each in overrides if each != "experiment=null"]
    for override in quoted:
        group = override.removesuffix("=null")
        if group != override and group.isidentifier() and (project_root() / "conf" / group).is_dir():
            raise UserError(f"{override}: choose one; `ds2 list choices {group}` names them")
        if _read(override) is None:
            key, _, value = override.partition("=")
            raise UserError(
                f'{override} cannot be read; for a text, quote it twice: "{key}={_quoted(value)}"'
            )
    return quoted


def as_typed(override: str) -> str:
    """An override as a person may type it: without the quotes that `as_they_stand` adds where none stand."""
    key, _, value = override.partition("=")
    if not (value.startswith("'") and value.endswith("'")):
        return override
    bare = f"{key}={value[1:-1]}"
    return bare if as_they_stand([bare]) == [override] else override


def _as_it_stands(override: str, keys: set[str], many: bool) -> str:
    key, _, value = override.partition("=")
    if not value:
        return override
    read = _read(override)
    if key.lstrip("+") not in keys:
        if read is not None or value[0] in "[{'\"":
            return override
        quoted = f"{key}={_quoted(value)}"
        return quoted if _read(quoted) is not None else override
    if value.lower() == "null":
        return override
    here = os.path.lexists(os.path.expanduser(value))  # noqa: PTH111
    if not here and read is not None and read.is_sweep_override():
        if not many or value.startswith(_SWEPT):
            return override
        return f"{key}={','.join(_home(str(part)) for part in _parts(read))}"
    if not here and read is None and many and "," in value:
        return f"{key}={','.join(_home(part.strip()) for part in value.split(','))}"
    text = None if read is None else read.value()
    if isinstance(text, list) and not here:
        return override
    if isinstance(text, str) and not here and (value[0] in "'\"" or "\\" in value):
        return f"{key}={_home(text)}" if text.startswith("~") else override
    return override if text == value and not value.startswith("~") else f"{key}={_home(value)}"


def _parts(read: Override) -> Iterator[object]:
    for part in read.sweep_iterator():
        yield part.text if isinstance(part, QuotedString) else part


def _home(path: str) -> str:
    """A path's text for Hydra, with the home folder in place of `~`."""
    return _quoted(os.path.expanduser(path))  # noqa: PTH111 - leaves `~` where no home is known


def _quoted(text: str) -> str:
    return str(QuotedString(text, Quote.single).with_quotes())


def _read(override: str) -> Override | None:
    """The override as Hydra's grammar reads it; None where it cannot. Raises UserError for a value beyond
    what Python reads.
    """
    try:
        return OverridesParser.create().parse_override(override)
    except HydraException:
        return None
    except (RecursionError, ValueError) as error:
        deep = isinstance(error, RecursionError)
        what = "nested too deeply" if deep else "a number of more than 4,300 digits"
        raise UserError(f"{override.partition('=')[0]}: {what}") from error
