"""`constraints.txt` is the lock: an exact version of each package that `make` installs, and no other."""

from __future__ import annotations

import re
from collections.abc import Iterator
from importlib import metadata

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from ds2.base.paths import project_root

LOCK = project_root() / "constraints.txt"
INSTALLED_BY_MAKE = "ds2[dev,docs,eval]"
OURS = {"ds2", "setuptools"}
"""This package; and setuptools, with which environments begin, raised only where a package asks for more."""


def locked() -> dict[str, str]:
    lines = [line for line in LOCK.read_text(encoding="utf-8").splitlines() if line and line[0] != "#"]
    pairs = [line.partition("==")[::2] for line in lines]
    return {canonicalize_name(name): version for name, version in pairs}


def closure(*asked: str) -> Iterator[metadata.Distribution]:
    """What is installed of requirements, and of what these require in turn."""
    seen, waiting = set(), [Requirement(text) for text in asked]
    while waiting:
        requirement = waiting.pop()
        for extra in ("", *requirement.extras):
            known = (canonicalize_name(requirement.name), extra)
            if known in seen:
                continue
            seen.add(known)
            distribution = metadata.distribution(requirement.name)
            if not extra:
                yield distribution
            wanted = map(Requirement, distribution.requires or ())
            waiting += [r for r in wanted if r.marker is None or r.marker.evaluate({"extra": extra})]


def test_every_line_is_one_exact_version():
    lines = [line for line in LOCK.read_text(encoding="utf-8").splitlines() if line and line[0] != "#"]
    assert [line for line in lines if not re.fullmatch(r"[\w.-]+==[\w.!+]+", line)] == []
    assert len(locked()) == len(lines)


def test_what_make_installs_is_in_the_lock_with_the_version_that_is_installed():
    try:
        installed = {canonicalize_name(one.name): one.version for one in closure(INSTALLED_BY_MAKE)}
    except metadata.PackageNotFoundError as absent:
        pytest.skip(f"{absent} is not installed: not an environment of `make`")
    lock = locked()
    assert {name for name in installed if name not in lock} <= OURS
    of_torch = {"torch": installed.pop("torch").partition("+")[0]}  # a build's own part: 2.13.0+cpu
    differs = {
        name: (version, lock[name])
        for name, version in {**installed, **of_torch}.items()
        if name not in OURS and version != lock[name]
    }
    assert differs == {}
