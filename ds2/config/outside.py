"""Hydra reads a choice of a plugin or of `--config-dir` once `ds2.base.yaml_files` has looked at it.

Hydra offers no hook before it loads a file, and a source of its own for `file://` takes no second one; so
this one takes its place.
"""

from __future__ import annotations

from pathlib import Path

from hydra._internal.core_plugins import file_config_source
from hydra._internal.sources_registry import SourcesRegistry
from hydra.core.plugins import Plugins
from hydra.plugins.config_source import ConfigResult

from ds2.base.paths import project_root
from ds2.base.yaml_files import check_yaml


class FileConfigSource(file_config_source.FileConfigSource):  # type: ignore[misc]
    """Hydra's, whose name it must have; DS2's own choices are read as they are."""

    def load_config(self, config_path: str) -> ConfigResult:
        file = Path(self.path) / self._normalize_file_name(config_path)
        if file.exists() and not file.is_relative_to(project_root() / "conf"):
            check_yaml(file)
        return super().load_config(config_path)


def look_first() -> None:
    """Have Hydra read files by this source, once it has found its own."""
    Plugins.instance()
    SourcesRegistry.instance().types[FileConfigSource.scheme()] = FileConfigSource
