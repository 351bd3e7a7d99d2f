"""Data sets of the Hugging Face hub as pools."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import fields
from typing import Any

from ds2.base.errors import MissingInput, UserError
from ds2.config import FilesPoolConfig, HubPoolConfig, RowsPoolConfig
from ds2.pool.samples import Place

SCHEME = "hf://"
_NAME = re.compile(
    r"hf://(?:datasets/)?(?P<dataset>[\w.-]+/[\w.-]+)(?:@(?P<revision>[^/]+))?"
    r"(?:/(?P<subset>[^/]+))?(?:/(?P<split>[^/]+))?/?"
)


def from_path(config: FilesPoolConfig) -> HubPoolConfig:
    """The hub's data set that `pool.path=hf://ORG/NAME[@REVISION][/CONFIG[/SPLIT]]` names.

    Raises:
        UserError: another form.
    """
    path = str(config.path)
    named = _NAME.fullmatch(path)
    if named is None:
        raise UserError(f"pool.path={path}: write hf://ORG/NAME, hf://ORG/NAME@REVISION/CONFIG/SPLIT")
    common = {field.name: getattr(config, field.name) for field in fields(RowsPoolConfig)}
    return HubPoolConfig(
        **common | {"name": config.label},
        dataset=named["dataset"],
        subset=named["subset"],
        split=named["split"] or "train",
        revision=named["revision"],
    )


def read_dataset(name: str, subset: str | None, split: str, commit: str) -> Iterator[tuple[Place, Any]]:
    """Rows of a hub dataset at a commit, from the local cache where it is there.

    Raises:
        MissingInput: neither the hub nor the cache has it.
    """
    from datasets import load_dataset

    try:
        data = load_dataset(name, subset, split=split, revision=commit)
    except (OSError, ValueError) as error:
        raise MissingInput(
            f"dataset {name} ({split}) could not be loaded: {str(error).splitlines()[0]}; fetch it with "
            "prepare=true where the hub can be reached"
        ) from error
    yield from ((Place(name, number), row) for number, row in enumerate(data, 1))


def resolve_dataset(name: str, revision: str | None, *, offline: bool) -> str:
    """The commit that a dataset's revision (default: main) stands for."""
    from ds2.base.hub import resolve

    return resolve(name, revision, kind="dataset", offline=offline)
