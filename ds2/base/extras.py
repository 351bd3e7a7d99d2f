"""Which extra brings which package, for a person who installed without it: read off the metadata."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from functools import cache
from importlib import metadata
from importlib.util import find_spec

from packaging.requirements import Requirement

_BROUGHT_ALONG = {
    "aiohttp": "api", "huggingface_hub": "train", "httpx2": "train", "tokenizers": "train",
    "mlflow": "mlflow",
}  # fmt: skip
"""Module that DS2 imports though no extra names its package -> the extra whose packages bring it."""


@cache
def extras() -> dict[str, tuple[str, ...]]:
    """Extra -> names of the packages it asks for, those of the extras that it includes (`ds2[train]`) among
    them; empty where `ds2` runs without being installed.
    """
    try:
        about = metadata.metadata("ds2")
    except metadata.PackageNotFoundError:
        return {}
    return expanded(about.get_all("Provides-Extra", []), about.get_all("Requires-Dist", []))


def expanded(names: Sequence[str], requirements: Sequence[str]) -> dict[str, tuple[str, ...]]:
    """The same of metadata: names of extras, and requirements as `torch==2.13.0; extra == 'train'`."""
    asked: dict[str, list[Requirement]] = {name: [] for name in names}
    for requirement in requirements:
        extra = re.search(r"""extra == ["']([\w-]+)["']""", requirement)
        if extra:
            asked[extra[1]].append(Requirement(requirement))

    def packages(extra: str) -> Iterator[str]:
        for requirement in asked[extra]:
            if requirement.name == "ds2":
                for included in sorted(requirement.extras):
                    yield from packages(included)
            else:
                yield requirement.name

    return {extra: tuple(dict.fromkeys(packages(extra))) for extra in asked}


def absent(extra: str) -> list[str]:
    """Packages of an extra that are not installed."""
    return [package for package in extras()[extra] if not _is_there(package)]


def advice(error: ModuleNotFoundError) -> str | None:
    """What to install for a failed import; None where no extra would help."""
    module = (error.name or "").split(".")[0]
    extra = _bringing(module)
    return f"this needs the package {module}: {install_line(module)}" if extra else None


def install_line(module: str) -> str:
    """What to type to have a module."""
    extra = _bringing(module)
    return f"pip install 'ds2[{extra}]'" if extra else f"pip install {module.replace('_', '-')}"


def _bringing(module: str) -> str | None:
    """The extra that brings a module; None where none does."""
    asked = [extra for extra, names in extras().items() if module in map(_module, names)]
    # The smallest that has it: `eval` includes `train`, `all` most others, and `dev` a bit of each.
    return min(
        asked, key=lambda name: (name == "dev", len(extras()[name])), default=_BROUGHT_ALONG.get(module)
    )


def _module(package: str) -> str:
    return package.replace("-", "_").lower()


def _is_there(package: str) -> bool:
    """Installed under its name, or another distribution has its module (vLLM's CPU build)."""
    try:
        metadata.distribution(package)
    except metadata.PackageNotFoundError:
        return find_spec(_module(package)) is not None
    return True
