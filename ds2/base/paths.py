"""Where the project's own folders are, in a clone and in an installed wheel."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path

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


@contextmanager
def writing(folder: Path) -> Iterator[None]:
    """Make a folder and write into it. Raises UserError where that cannot be done."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        yield
    except OSError as error:
        raise UserError(f"cannot write to {folder}: {error.strerror or error}") from error
