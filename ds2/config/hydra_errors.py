"""Hydra's and OmegaConf's errors in one line that names the key and what to change.

Kept although it reads other libraries' messages: Hydra has no hook for them, and its own run over a screen.
"""

from __future__ import annotations

import re
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import yaml

from ds2.base import deprecated
from ds2.base.errors import UserError, first_line
from ds2.base.words import did_you_mean
from ds2.config.schemas import field_names

_LAUNCHERS = {"ray": "'ds2[ray]'", "submitit": "'ds2[slurm]'", "joblib": "hydra-joblib-launcher"}
"""How a launcher's name begins -> what brings it."""

# `conf/hydra/launcher/` holds launchers of the names that their plugins give them, so that fields are checked
# as theirs. What Hydra 1.3 says of that concerns 1.4, which ours do without. Workers import this too.
warnings.filterwarnings("ignore", r"\s*'hydra/launcher/\w+' is validated against ConfigStore schema")


@contextmanager
def yaml_faults(folders: Iterator[Path]) -> Iterator[None]:
    """Raise UserError for a choice's file that is no YAML, no mapping, or whose defaults are no list: Hydra
    lets what the readers of YAML raise pass as it is.

    Args:
        folders: of the choices' files, looked through for one that is not UTF-8, which nothing names.
    """
    try:
        yield
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        where = f"{mark.name}, line {mark.line + 1}" if mark else "a choice's file"
        raise UserError(f"{where}: no YAML ({error.problem or error.context})") from error
    except yaml.reader.ReaderError as error:
        raise UserError(f"{error.name}: no YAML ({error.reason})") from error
    except UnicodeDecodeError as error:
        files = (file for folder in folders for file in sorted(folder.rglob("*.yaml")) if file.is_file())
        name = next((str(file) for file in files if not _is_utf8(file)), "a choice's file")
        raise UserError(f"{name}: no YAML (not UTF-8)") from error
    except RecursionError as error:
        raise UserError(
            "a choice's file: no YAML of a choice (nested too deeply, or within itself)"
        ) from error
    except (ValueError, OSError) as error:
        said = re.search(r"Invalid (defaults list|loaded object type)", str(error))
        if isinstance(error, UserError) or said is None:
            raise
        raise UserError(f"a choice's file: {first_line(error)}") from error


def _is_utf8(path: Path) -> bool:
    try:
        path.read_bytes().decode()
    except UnicodeDecodeError:
        return False
    return True


def explain(error: BaseException) -> str:
    """One line."""
    chain = list(_causes(error))
    text = "\n".join(str(e) for e in chain)
    for attempt in (
        launcher_mistake,
        _unknown_choice,
        _unknown_key,
        _missing_value,
        _wrong_value,
        _unknown_interpolation,
    ):
        line = attempt(text)
        if line:
            return line
    return "; ".join(part.strip() for part in str(error).splitlines() if part.strip())


def _causes(error: BaseException | None) -> list[BaseException]:
    chain: list[BaseException] = []
    while error is not None and error not in chain:
        chain.append(error)
        error = error.__cause__ or error.__context__
    return chain


def launcher_mistake(text: str) -> str | None:
    """What to change where a launcher could not begin: it comes with a package of its own, joblib's asks for
    processes; None where an error says another thing.
    """
    if "n_jobs == 0" in text:
        return "hydra.launcher.n_jobs=0 are no processes: give 1 or more, or -1 for one each core"
    match = re.search(r"Could not find 'hydra/launcher/([^']*)'", text) or re.search(
        r"(?:locating target|Unknown plugin class :) 'hydra_plugins\.hydra_(\w+)_launcher\.", text
    )
    for name, package in _LAUNCHERS.items():
        if match is not None and match[1].startswith(name):
            return f"hydra/launcher={match[1]} is not installed: pip install {package}"
    return None


def _unknown_choice(text: str) -> str | None:
    match = re.search(r"Could not find '([\w@/]+)/([^'/]*)'", text)
    if match is None:
        no_group = re.search(r"Could not override '([^']+)'.\s*No match in the defaults list", text)
        return f"{no_group[1]}: no such group or key" if no_group else None
    group, choice = match.groups()
    options = re.search(r"Available options in '[^']+':\n((?:\t[^\n]+\n?)+)", text)
    known = (
        [o.strip() for o in options[1].splitlines() if not o.strip().endswith("_schema")] if options else []
    )
    return f"{group}={choice} is unknown{did_you_mean(choice, known)}; there are: {', '.join(known)}"


def _unknown_key(text: str) -> str | None:
    match = re.search(r"Key '([^']+)' (?:not in '([^']+)'|is not in struct)", text)
    if match is None:
        return None
    full = re.search(r"full_key: (\S+)", text)
    key = full[1] if full else match[1]
    for old in deprecated.DEPRECATED:  # in a YAML of one's own, which nothing rewrites
        if old.old == key:
            return old.warning
    known = field_names(match[2] or "")
    return f"{key}: no such key{did_you_mean(match[1], known)}" + (
        f"; there are: {', '.join(known)}" if known else ""
    )


def _missing_value(text: str) -> str | None:
    match = re.search(r"Missing mandatory value: (\S+)", text)
    return f"{match[1]} is missing: give {match[1]}=VALUE" if match else None


def _wrong_value(text: str) -> str | None:
    match = re.search(
        r"((?:Invalid value|Value|Cannot convert|Invalid type|Field|Unsupported|Cannot assign)[^\n]*)", text
    )
    key = re.search(r"full_key: (\S+)", text)
    return f"{key[1]}: {match[1]}" if match and key else None


def _unknown_interpolation(text: str) -> str | None:
    match = re.search(r"Interpolation key '([^']+)' not found", text)
    return f"{match[1]} is referred to but does not exist" if match else None
