"""Checks of plugins: what their distributions ask for is installed, and what is reused was made by the
version that is here.
"""

from __future__ import annotations

from collections.abc import Iterator
from importlib import metadata

from packaging.requirements import InvalidRequirement, Requirement

from ds2 import __version__
from ds2.artifacts.provenance import plugin_version
from ds2.artifacts.record import read_record
from ds2.artifacts.step import Step
from ds2.artifacts.store import ArtifactStore
from ds2.config import plugins
from ds2.runs.preflight.finding import Finding, Run, problem, warning


def requirements(run: Run) -> Iterator[Finding]:
    """Each installed plugin's requirements are met: an upgrade of DS2, or of a package that both use, may
    have left it behind.
    """
    of_modules = metadata.packages_distributions() if run.config.plugins else {}
    asked = {name: distribution for name in run.config.plugins for distribution in of_modules.get(name, [])}
    for plugin, distribution in {**asked, **plugins.installed()}.items():
        for line in metadata.requires(distribution) or ():
            unmet = _unmet(line)
            if unmet:
                named = f"{distribution} {metadata.version(distribution)}"
                yield problem(f"plugin {plugin} ({named}) asks for {unmet}: pip install '{distribution}'")


def _unmet(line: str) -> str | None:
    """A requirement, and what is there instead of it; None where it is met, or does not hold here."""
    try:
        asked = Requirement(line)
    except InvalidRequirement:
        return f"{line!r}, which is no requirement"
    if asked.marker is not None and not asked.marker.evaluate({"extra": ""}):
        return None
    wanted = f"{asked.name}{asked.specifier}"
    try:
        there = __version__ if asked.name.lower() == plugins.OWN else metadata.version(asked.name)
    except metadata.PackageNotFoundError:
        return f"{wanted}, which is not installed"
    return (
        None if asked.specifier.contains(there, prereleases=True) else f"{wanted}, and {there} is installed"
    )


def reused(store: ArtifactStore, steps: list[Step]) -> Iterator[Finding]:
    """A plugin's artifact that will be reused was made by the plugin's version that is here."""
    for step in steps:
        path = None if step.package is None else store.find(step)
        if step.package is None or path is None:
            continue
        before, now = read_record(path)["versions"].get(step.package), plugin_version(step.package)
        if before != now:
            yield warning(
                f"{step.name} was computed by {step.package} {before}, and {now} is here: it is reused, for "
                "its stage_version is the same; raise that where the code gives another result"
            )
