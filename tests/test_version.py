"""The version is spelt once, and what cannot read it there agrees."""

from __future__ import annotations

import re
import tomllib

import yaml

import ds2
from ds2.artifacts.provenance import provenance
from ds2.base.paths import project_root
from ds2.base.version import VERSION

ROOT = project_root()
GROUPS = ["Added", "Changed", "Deprecated", "Removed", "Fixed", "Security"]
"""Of Keep a Changelog, in its order."""


def test_library_records_and_citation_say_the_version_that_packaging_reads():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    assert "version" in project["project"]["dynamic"]
    place = ROOT / project["tool"]["hatch"]["version"]["path"]
    assert re.findall(r'^VERSION = "(.*)"$', place.read_text(encoding="utf-8"), re.M) == [VERSION]
    assert ds2.__version__ == provenance()["versions"]["ds2"] == VERSION
    assert yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))["version"] == VERSION


def test_the_changelog_keeps_its_form():
    text = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    releases = re.split(r"^## ", text, flags=re.M)[1:]
    assert releases[0].startswith("[Unreleased]\n")
    dated = [re.match(r"\[(\d+\.\d+\.\d+)\] - \d{4}-\d\d-\d\d\n", release) for release in releases[1:]]
    assert next(found[1] for found in dated if found) == VERSION
    assert all(dated)
    for release in releases:
        groups = re.findall(r"^### (.*)$", release, re.M)
        assert groups == [group for group in GROUPS if group in groups]
        assert not re.search(r"^- ", release.split("###", 1)[0], re.M)  # every line stands in a group
