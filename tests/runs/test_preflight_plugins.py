"""A plugin whose requirements are not met, or whose artifact another version of it made, is told of."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from helpers.planted import planted_rows

from ds2.config import plugins
from ds2.config.base import SCHEMAS
from ds2.config.compose import compose
from ds2.runs.preflight import Preflight

CODE = """
from dataclasses import dataclass
import numpy as np
from ds2.config import RaterConfig, register
from ds2.rating.raters import Ratings

@register("rater", "own_rater")
@dataclass
class OwnRaterConfig(RaterConfig):
    implementation = "own_pkg:rate"
    stage_version = 1

def rate(config, pool, scale) -> Ratings:
    return Ratings(np.zeros(len(pool), dtype=np.int16), np.zeros(len(pool)))
"""


@pytest.fixture
def folder(tmp_path, monkeypatch) -> Iterator[Path]:
    """A folder of installed packages with the plugin `own_pkg`, and a pool."""
    package = tmp_path / "own_pkg"
    (package / "conf" / "rater").mkdir(parents=True)
    (package / "__init__.py").write_text(CODE)
    (package / "conf" / "rater" / "own.yaml").write_text("defaults: [own_rater_schema, _self_]\nname: own\n")
    (tmp_path / "pool.jsonl").write_text("".join(json.dumps(row) + "\n" for row in planted_rows(60, 6)))
    install(tmp_path, "1.0")
    monkeypatch.setattr(sys, "path", [str(tmp_path), *sys.path])
    before = {group: dict(schemas) for group, schemas in SCHEMAS.items()}
    yield tmp_path
    SCHEMAS.clear()
    SCHEMAS.update(before)
    sys.modules.pop("own_pkg", None)
    monkeypatch.undo()
    plugins.activate([])


def install(folder: Path, version: str, *requirements: str) -> None:
    """What pip leaves of a distribution."""
    for old in folder.glob("*.dist-info/*"):
        old.unlink()
    for old in folder.glob("*.dist-info"):
        old.rmdir()
    info = folder / f"own_dist-{version}.dist-info"
    info.mkdir()
    lines = [f"Metadata-Version: 2.1\nName: own-dist\nVersion: {version}\n"]
    (info / "METADATA").write_text("".join([*lines, *(f"Requires-Dist: {each}\n" for each in requirements)]))
    (info / "entry_points.txt").write_text("[ds2.plugins]\nmine = own_pkg\n")


def look(folder: Path):
    return Preflight().look(
        compose(["pool=jsonl", f"pool.path={folder}/pool.jsonl", "rater=own", "until=rate", "tracking=none",
                 f"paths.artifacts={folder}/artifacts", "runtime.progress=false"])
    )  # fmt: skip


def test_requirements_of_a_plugin_that_are_not_met_are_each_named(folder):
    install(folder, "1.0", "numpy>=1", "ds2>=0.0.1", "numpy<1", "no-such-dist>=2", "torch<0; extra == 'gpu'")
    _, found = look(folder)
    first, second = found.problems
    assert first.startswith("plugin own_pkg (own-dist 1.0) asks for numpy<1, and ")
    assert second.startswith("plugin own_pkg (own-dist 1.0) asks for no-such-dist>=2, which is not installed")


def test_an_artifact_of_another_version_of_the_plugin_is_reused_with_a_warning(folder):
    chain, found = look(folder)
    assert (found.problems, found.warnings) == ((), ())
    chain.run()
    assert look(folder)[1].warnings == ()
    install(folder, "1.1")
    (line,) = look(folder)[1].warnings
    assert line.startswith("rate was computed by own_pkg 1.0, and 1.1 is here")
