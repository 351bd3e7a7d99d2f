"""Where the project's own folders are, in a clone and in an installed wheel."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any

from ds2.base.errors import UserError


@cache
def project_root() -> Path:
    """The folder that holds `conf/`, `finetune/`, `eval/` and `experiments/`.

    In a clone that is the repository; in a wheel they travel inside the package, so that nothing but `ds2` is
    top-level in site-packages.
    """
    package = Path(__file__).resolve().parents[1]
    clone = package.parent
    return clone if (clone / "conf" / "config.yaml").is_file() else package / "_bundle"


def make_importable() -> None:
    """Let `finetune`, `eval` and `experiments` be imported by name."""
    root = str(project_root())
    if root not in sys.path:
        sys.path.append(root)


def resolved(path: str) -> str:
    """A path as it is meant, whoever reads it from wherever: `~` is the home folder, a relative one begins in
    the working folder.
    """
    return str(Path(os.path.expanduser(path)).absolute())  # noqa: PTH111 - Path.expanduser fails where no home is known


def resolved_name(name: str) -> str:
    """What may be a folder or a name on the hub: a folder that is there, or can only be meant as one, as
    `resolved` gives it; a hub's name as it stands.
    """
    path = resolved(name)
    is_path = name.startswith(("~", "/", "./", "../")) or Path(path).exists()
    return path if is_path else name


def resolved_files(paths: Any) -> Any:
    """A path, or each of a list, as `resolved` gives it; `-`, addresses (`hf://...`) and what is blank, no
    path at all, as they stand.
    """
    if isinstance(paths, list):
        return [resolved_files(path) for path in paths]
    stays = not isinstance(paths, str) or paths.strip() in ("", "-", "???") or "://" in paths
    return paths if stays else resolved(paths)


def shown(path: Path | str) -> str:
    """A path for a person: from the working folder where it is below that."""
    whole = Path(path)
    return str(whole.relative_to(Path.cwd())) if whole.is_relative_to(Path.cwd()) else str(whole)


@contextmanager
def writing(folder: Path) -> Iterator[None]:
    """Make a folder and write into it. Raises UserError where that cannot be done."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        yield
    except OSError as error:
        raise UserError(f"cannot write to {folder}: {error.strerror or error}") from error
