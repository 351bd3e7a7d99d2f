"""Code that a configuration names, imported when it is asked for."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from types import ModuleType

from ds2.base.errors import UserError
from ds2.base.extras import advice


def load_module(name: str) -> ModuleType:
    """The module of that name. Raises UserError, in one line, where it cannot be imported."""
    try:
        return importlib.import_module(name)
    except UserError as error:
        raise UserError(f"{name}: {error}") from error
    except Exception as error:
        said = f"{type(error).__name__}: {' '.join(str(error).split())}"
        helpful = advice(error) if isinstance(error, ModuleNotFoundError) else None
        raise UserError(f"{name} cannot be imported: {helpful or said}") from error


def load_function(path: str) -> Callable[..., object]:
    """The function at `package.module:function`. Raises UserError, in one line, where there is none."""
    module, _, name = path.partition(":")
    if not module or not name:
        raise UserError(f"{path!r} does not name a function: write package.module:function")
    function = getattr(load_module(module), name, None)
    if not callable(function):
        raise UserError(f"{path} does not name a function: {module} has none called {name}")
    loaded: Callable[..., object] = function
    return loaded
