"""Selection: one small module a strategy, one signature, chosen by `selection.strategy`.

A strategy is a configuration class (`ds2.config.selection`), which says what it reads and whether budget
and seed matter, and a module with

    def choose(request: Request[ItsConfig]) -> Choice

and, where it asks a language model first,

    def measure(config, pool, *, model, revision, workspace, progress) -> (N,) or (N, Q)

imported when it is asked for.
"""

from __future__ import annotations

from types import ModuleType
from typing import Protocol, TypeVar, cast

import numpy as np
from numpy.typing import NDArray

from ds2.base.load import load_module
from ds2.config import SelectionConfig
from ds2.config.measured_selection import MeasuredSelectionConfig
from ds2.pool import Pool
from ds2.selection import strategies
from ds2.selection.request import Choice, Readers, Request, resolve_budget
from ds2.selection.workspace import Workspace

__all__ = ["Choice", "Readers", "Request", "choose", "measure", "resolve_budget"]

C = TypeVar("C", bound=SelectionConfig)
M = TypeVar("M", bound=MeasuredSelectionConfig)
C_contra = TypeVar("C_contra", bound=SelectionConfig, contravariant=True)
M_contra = TypeVar("M_contra", bound=MeasuredSelectionConfig, contravariant=True)


class Strategy(Protocol[C_contra]):
    """What a strategy's module offers."""

    def choose(self, request: Request[C_contra]) -> Choice:
        """The chosen positions, best first."""
        ...


class MeasuredStrategy(Protocol[M_contra]):
    """What the module of a strategy that asks a language model offers besides."""

    def measure(
        self,
        config: M_contra,
        pool: Pool,
        *,
        model: str,
        revision: str | None,
        workspace: Workspace,
        progress: bool,
    ) -> NDArray[np.float64]:
        """(N,), or (N, Q): what the model says of each sample."""
        ...


def choose(request: Request[C]) -> Choice:
    """The choice of the configured strategy. Raises UserError where it cannot choose."""
    return cast("Strategy[C]", _module(request.config)).choose(request)


def measure(
    config: M, pool: Pool, *, model: str, revision: str | None, workspace: Workspace, progress: bool
) -> NDArray[np.float64]:
    """What the configured strategy has a language model say of each sample, (N,) or (N, Q)."""
    module = cast("MeasuredStrategy[M]", _module(config))
    return module.measure(
        config, pool, model=model, revision=revision, workspace=workspace, progress=progress
    )


def _module(config: SelectionConfig) -> ModuleType:
    """The module that a configuration's strategy is. Raises UserError where it cannot be imported."""
    return load_module(config.implementation or f"{strategies.__name__}.{config.strategy}")
