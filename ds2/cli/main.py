"""The command: `init` writes a folder to start from, `look` says what is in a file, `anchors` asks people,
`export` writes a subset for a trainer, `list`, `show`, `verify`, `diff`, `doctor` and `gc` look after the
artifact store, `sweep=NAME` is turned into multiruns, everything else is Hydra's. Exit codes: 0 when
everything asked for was done, 1 when a run failed or two differ, 2 when the user has something to change, 130
when interrupted, 143 when asked to end by SIGTERM (129: SIGHUP).
"""

from __future__ import annotations

import difflib
import os
from collections.abc import Callable, Sequence
from importlib import import_module

os.environ.setdefault("HYDRA_FULL_ERROR", "1")  # let errors reach `run`, which says them in one line

from hydra.errors import HydraException
from omegaconf.errors import OmegaConfBaseException

from ds2.base.drafts import full_disk_refused
from ds2.base.errors import UserError
from ds2.base.processes import Terminated, ended_as_asked, terminable
from ds2.cli import console, store
from ds2.config.command_line import CommandLine, parse
from ds2.config.hydra_errors import explain

WORDS = ("help", "init", "look", "export", "publish")
"""Commands that read their own words, each by the `run` of the module of its name."""
SHELLS = ("bash", "zsh", "fish")
_KEPT = (
    "the same command continues from the last finished stage, a rating from its last answer, an embedding "
    "from its last block, a fine-tune from its last checkpoint: all are kept"
)


def run(arguments: Sequence[str]) -> int:
    """The `ds2` command with these arguments; its exit code."""
    return answer(lambda: _run_command(arguments))


def answer(command: Callable[[], int]) -> int:
    """A command's exit code; what its user has to change is said in one line."""
    try:
        with terminable(), ended_as_asked(), full_disk_refused(), console.deprecations():
            return command()
    except UserError as error:
        for line in error.lines:
            console.error(line)
        return 2
    except (HydraException, OmegaConfBaseException) as error:
        console.error(explain(error))
        return 2
    except KeyboardInterrupt:
        console.end_of_bar()
        console.error(f"interrupted; {_KEPT}")
        return 130
    except Terminated as end:
        console.end_of_bar()
        console.error(f"asked to end by {end}; {_KEPT}")
        return end.exit_code


def _run_command(arguments: Sequence[str]) -> int:
    """Each command's module is imported where it is asked for: all of them together take a second."""
    word = arguments[0] if arguments else ""
    if word in WORDS:
        code: int = import_module(f"ds2.cli.{word}").run(arguments[1:])
        return code
    if word in store.NAMES:
        return store.run(word, parse(arguments[1:]))
    if word == "anchors":
        from ds2.cli import anchors

        return anchors.run(parse(arguments[1:]))
    from ds2.cli.app import run_command
    from ds2.cli.sweep import run_sweep

    if word == "completion":
        return run_command(_completion(arguments[1:]))
    command = parse(["sweep=demo", *arguments[1:]] if word == "demo" else arguments)
    if command.words:
        raise UserError(_unknown(command.words[0]))
    if command.as_json:
        raise UserError("--json goes with ds2 list, show and diff")
    return run_command(command) if command.sweep is None else run_sweep(command)


def _completion(words: Sequence[str]) -> CommandLine:
    """`ds2 completion bash|zsh|fish`: Hydra's own script for the shell, to be sourced."""
    if len(words) != 1 or words[0] not in SHELLS:
        raise UserError(f"ds2 completion takes a shell: {', '.join(SHELLS)}")
    return parse(["--shell-completion", f"install={words[0]}"])


def _unknown(word: str) -> str:
    known = [
        "demo",
        "init",
        "look",
        "anchors",
        "export",
        "publish",
        *store.NAMES,
        "completion",
        "experiments",
        "help",
    ]
    close = difflib.get_close_matches(word, known, 1)
    hint = f" (did you mean {close[0]}?)" if close else ""
    return f"{word} is neither key=value nor a command{hint}; there are: {', '.join(known)}"
