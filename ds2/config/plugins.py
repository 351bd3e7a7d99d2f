"""Plugins: packages outside the clone that add choices.

A plugin is a package whose `conf/GROUP/NAME.yaml` join the choices of `ds2`, and whose modules register the
dataclasses that those start from (`ds2.config.register`). It is named on the command line,
`plugins=[my_pkg]`, or installed with an entry point of the group `ds2.plugins`, whose value is the package.
docs/plugins.md shows one, whole.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from importlib import metadata
from importlib.util import find_spec
from pathlib import Path

from ds2.base.errors import UserError
from ds2.base.load import load_module
from ds2.base.paths import project_root
from ds2.config.schemas import register_schemas

GROUP = "ds2.plugins"
"""The group of entry points by which a package says that it is a plugin."""
SEARCH_PATH = "hydra.searchpath="
"""What an override starts with that names folders of choices; `--config-dir` is read as one."""
OWN = "ds2"
"""The package of the choices that come with DS2."""

_active: list[str] = []
"""Plugins of the configuration that is being composed: Hydra asks for its search path without arguments."""


def names(overrides: Sequence[str]) -> list[str]:
    """Packages installed as plugins or named by `plugins=[...]`. Raises UserError where it is no list."""
    given = [
        o.lstrip("+").removeprefix("plugins=") for o in overrides if o.lstrip("+").startswith("plugins=")
    ]
    packages = dict.fromkeys(installed())
    for value in given:
        if not (value.startswith("[") and value.endswith("]")):
            raise UserError(f"plugins={value}: plugins takes a list, plugins=[{value}]")
        packages |= dict.fromkeys(name.strip(" \"'") for name in value[1:-1].split(",") if name.strip())
    return list(packages)


def installed() -> Mapping[str, str]:
    """Package -> the distribution that says it is a plugin."""
    return _installed(tuple(sys.path))


@cache
def _installed(_path: tuple[str, ...]) -> Mapping[str, str]:
    points = sorted(metadata.entry_points(group=GROUP), key=lambda point: point.value)
    return {point.module: point.dist.name if point.dist else "" for point in points}


def activate(overrides: Sequence[str]) -> None:
    """Import these overrides' plugins, and let their choices be found until the next call.

    Raises:
        UserError: a plugin that cannot be imported, or one with a choice that is there already.
    """
    wanted = names(overrides)
    if set(wanted) - installed().keys() and str(Path.cwd()) not in sys.path:
        sys.path.append(str(Path.cwd()))  # a console script does not look there by itself
    for name in wanted:
        try:
            load_module(name)
        except UserError as error:
            by = f" (of the installed {installed()[name]})" if name in installed() else ""
            raise UserError(f"plugin {error}{by}") from error
    register_schemas()
    _refuse_doubles(tuple(conf_folders(wanted).items()))
    _active[:] = wanted


def conf_folders(plugins: Sequence[str] | None = None) -> dict[str, Path]:
    """Package -> its folder of YAML, DS2's first; `plugins`: None means those of the last `activate`."""
    folders = {OWN: project_root() / "conf"}
    for name in _active if plugins is None else plugins:
        folder = _folder(name)
        if folder is not None:
            folders[name] = folder
    return folders


def search_folders(overrides: Sequence[str]) -> tuple[str, ...]:
    """What `hydra.searchpath` names among the overrides, as it stands there."""
    from hydra.core.override_parser.overrides_parser import OverridesParser

    named = [o for o in overrides if o.lstrip("+").startswith(SEARCH_PATH)]
    given = [OverridesParser.create().parse_override(o).value() for o in named]
    return tuple(str(folder) for folders in given for folder in folders or ())


def choices(group: str, plugins: Sequence[str] | None = None) -> dict[str, str]:
    """Choice -> the package it comes with, sorted; none where there is no such group."""
    packages = {
        path.stem: package
        for package, folder in conf_folders(plugins).items()
        for path in (folder / group).glob("*.yaml")
    }
    return dict(sorted(packages.items()))


def sources(plugins: Sequence[str]) -> Iterator[Path]:
    """The code and YAML of plugins."""
    for name in plugins:
        for root in _roots(name):
            yield from (
                sorted(p for p in root.rglob("*") if p.suffix in (".py", ".yaml"))
                if root.is_dir()
                else [root]
            )


@cache
def _refuse_doubles(folders: tuple[tuple[str, Path], ...]) -> None:
    known: dict[Path, str] = {}
    for package, folder in folders:
        for path in sorted(p.relative_to(folder) for p in folder.rglob("*.yaml")):
            if path in known:
                choice = path.with_suffix("")
                raise UserError(f"plugin {package}: {choice} is a choice of {known[path]} already; rename it")
            known[path] = package


def _folder(plugin: str) -> Path | None:
    return next((root / "conf" for root in _roots(plugin) if (root / "conf").is_dir()), None)


def _roots(plugin: str) -> list[Path]:
    """Folders of a package, or the file of a module; found without importing it."""
    try:
        spec = find_spec(plugin)
    except ModuleNotFoundError:  # of a parent
        spec = None
    if spec is None:
        return []
    if spec.submodule_search_locations is not None:
        return [Path(location) for location in spec.submodule_search_locations]
    return [Path(spec.origin)] if spec.origin else []
