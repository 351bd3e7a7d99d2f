"""What the stages of one run share: its configuration, its pool, and the steps before them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any

from ds2.artifacts.step import StageResult, Step
from ds2.base.dataclass_json import to_plain
from ds2.base.engine import HERE, Engine
from ds2.base.errors import MissingInput
from ds2.base.hashes import ContentHashes
from ds2.base.hub import resolve
from ds2.config import EngineKind, RaterConfig, RunConfig
from ds2.pool import PoolSource
from ds2.rating.planning import Forecast

_NOT_IDENTITY = {"runtime", "name", "enabled", "flops", "params_b"}
"""Fields that no fingerprint sees: how to execute, what to call it, and what it is said to have cost."""


@dataclass
class Context:
    """One run while it is being built and computed."""

    config: RunConfig
    pool: PoolSource
    hashes: ContentHashes
    steps: dict[str, Step] = field(default_factory=dict)
    results: dict[str, StageResult] = field(default_factory=dict)

    lost: dict[str, str] = field(default_factory=dict)
    """A panel's raters that failed -> why."""
    forecasts: dict[str, Forecast] = field(default_factory=dict)
    """Rater -> what is left to ask of it, where that was counted."""

    def rated_by(self, rater: RaterConfig) -> Context:
        """The same run with another rater, as far as a stage of that rater alone needs it."""
        config = replace(self.config, rater=rater)
        return Context(config, self.pool, self.hashes, forecasts=self.forecasts)

    @property
    def progress(self) -> bool:
        """Whether to show progress bars."""
        return self.config.runtime.progress

    @property
    def engine(self) -> Engine:
        """Who works on the shards of a stage."""
        chosen = self.config.engine
        if chosen.backend is EngineKind.local:
            return HERE
        from ds2.base.ray_engine import RayEngine

        return RayEngine(chosen.address, chosen.actors, chosen.gpus)

    def offline(self) -> None:
        """Ask the hub nothing more."""
        self.config = replace(self.config, runtime=replace(self.config.runtime, offline=True))
        self.pool.offline = self.pool.whole.offline = True

    def path(self, stage: str) -> Path:
        """Folder of a finished input."""
        return self.results[stage].path

    def inputs(self, *stages: str, pool: bool = False) -> dict[str, str]:
        """Fingerprints of the inputs that this run has."""
        first = {"pool": self.pool.fingerprint} if pool else {}
        return first | {stage: self.steps[stage].fingerprint for stage in stages if stage in self.steps}

    def named(self, name: str, revision: str | None) -> tuple[Mapping[str, str], str | None]:
        """Identity of a local model folder (its content) or of a hub name (its commit), and that commit."""
        if Path(name).exists():
            return {"content": self.hashes.of(Path(name))}, None
        if Path(name).is_absolute():
            raise MissingInput(f"model {name}: no such folder")
        commit = resolve(name, revision, kind="model", offline=self.config.runtime.offline)
        return {"name": name, "commit": commit}, commit

    def contents(self, config: object, names: tuple[str, ...]) -> dict[str, str]:
        """Fields of a configuration that name files, by the files' content."""
        return {name: self.hashes.of(Path(getattr(config, name))) for name in names}


def identity(config: Any, *, drop: tuple[str, ...] = ()) -> dict[str, Any]:
    """A configuration's identity fields, with the kind of configuration it is."""
    kept = [f.name for f in fields(config) if f.name not in _NOT_IDENTITY and f.name not in drop]
    return {"kind": type(config).__name__} | {name: to_plain(getattr(config, name)) for name in kept}
