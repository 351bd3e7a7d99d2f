"""A guest in somebody else's process, a notebook say, leaves it as it was."""

from __future__ import annotations

import logging
import os
import random
import sys
import warnings
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import numpy as np


@contextmanager
def undisturbed() -> Iterator[None]:
    """Whatever the work inside changes of the process is undone at its end, however it ends: the working
    folder, the environment, where modules are looked for, what Python does with warnings and errors, the root
    logger, and the random numbers of Python, numpy and torch (where torch was loaded before).

    The libraries that the work loads stay loaded.
    """
    with ExitStack() as kept, warnings.catch_warnings():
        for undo in (_folder(), _environment(), _interpreter(), _logging(), _random_numbers()):
            kept.callback(undo)
        yield


def _folder() -> Callable[[], None]:
    folder = Path.cwd()
    return lambda: os.chdir(folder)


def _environment() -> Callable[[], None]:
    before = dict(os.environ)

    def undo() -> None:
        for name in os.environ.keys() - before.keys():
            del os.environ[name]
        os.environ.update({k: value for k, value in before.items() if os.environ.get(k) != value})

    return undo


def _interpreter() -> Callable[[], None]:
    path, arguments, hook = list(sys.path), list(sys.argv), sys.excepthook

    def undo() -> None:
        sys.path[:], sys.argv[:], sys.excepthook = path, arguments, hook

    return undo


def _logging() -> Callable[[], None]:
    root = logging.getLogger()
    level, handlers, disabled = root.level, list(root.handlers), root.manager.disable

    def undo() -> None:
        root.setLevel(level)
        root.handlers[:] = handlers
        logging.disable(disabled)

    return undo


def _random_numbers() -> Callable[[], None]:
    of_python, of_numpy = random.getstate(), np.random.get_state()
    torch = sys.modules.get("torch")
    of_torch = None if torch is None else torch.random.get_rng_state()

    def undo() -> None:
        random.setstate(of_python)
        np.random.set_state(of_numpy)
        if torch is not None:
            torch.random.set_rng_state(of_torch)

    return undo
