"""Runs at MLflow: a server's address, or by default a SQLite file in the artifact store.

The project is the experiment, choices are parameters, what belongs to the whole run is `summary.json`, tables
and figures are files. MLflow gives its runs ids of its own: the fingerprint is the tag `ds2.fingerprint`, and
a run that is tracked again is the same run of MLflow's.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ds2.artifacts.run import RunResult
from ds2.base.dataclass_json import to_plain
from ds2.config.run import RunConfig
from ds2.report.trackers.window import NOUNS, Identity

if TYPE_CHECKING:
    from matplotlib.figure import Figure

FINGERPRINT = "ds2.fingerprint"
_LONGEST = 6000
"""Characters of a parameter that MLflow takes."""


class MlflowWindow:
    """One run of MLflow."""

    def __init__(self, config: RunConfig, identity: Identity) -> None:
        from mlflow import MlflowClient

        folder = local_folder(config)
        uri = config.tracking.uri
        if uri is None:
            folder.mkdir(parents=True, exist_ok=True)
            uri = f"sqlite:///{folder / 'mlflow.db'}"
        self._client: Any = MlflowClient(tracking_uri=uri)
        project = config.tracking.project
        known = self._client.get_experiment_by_name(project)
        if known is None:
            files = None if config.tracking.uri else (folder / "files").as_uri()
            experiment = self._client.create_experiment(project, artifact_location=files)
        else:
            experiment = known.experiment_id
        self._id = self._same_run(experiment, identity) or self._new_run(experiment, identity)
        self._summary: dict[str, Any] = {}
        self._client.log_dict(self._id, to_plain(config), "run.json")

    def _same_run(self, experiment: str, identity: Identity) -> str | None:
        found = self._client.search_runs(
            [experiment], filter_string=f"tags.`{FINGERPRINT}` = '{identity.fingerprint}'", max_results=1
        )
        if not found:
            return None
        self._client.update_run(found[0].info.run_id, status="RUNNING")
        return str(found[0].info.run_id)

    def _new_run(self, experiment: str, identity: Identity) -> str:
        tags = {FINGERPRINT: identity.fingerprint, "ds2.group": identity.group,
                "ds2.tags": ", ".join(identity.tags)}  # fmt: skip
        made = self._client.create_run(experiment, tags=tags, run_name=identity.name).info.run_id
        for key, value in identity.settings.items():
            self._client.log_param(made, key, str(value)[:_LONGEST])
        return str(made)

    def metrics(self, values: Mapping[str, float]) -> None:
        for name, value in values.items():
            self._client.log_metric(self._id, name, value)

    def curve(self, stage: str, steps: Sequence[int], values: Mapping[str, Sequence[float]]) -> None:
        for name, column in values.items():
            for at, value in zip(steps, column, strict=True):
                self._client.log_metric(self._id, f"{stage}/{name}", value, step=int(at))

    def figure(self, name: str, figure: Figure) -> None:
        self._client.log_figure(self._id, figure, f"{name}.png")

    def table(self, name: str, header: Sequence[str], rows: Sequence[Sequence[Any]]) -> None:
        columns = {column: [row[i] for row in rows] for i, column in enumerate(header)}
        self._client.log_dict(self._id, columns, f"{name}.json")

    def summary(self, values: Mapping[str, Any]) -> None:
        """Numbers are metrics, too; the rest is in `summary.json` alone."""
        self._summary |= values
        numbers = {k: v for k, v in values.items() if isinstance(v, int | float) and not isinstance(v, bool)}
        self.metrics(numbers)

    def alert(self, title: str, text: str) -> None:
        self._client.set_tag(self._id, "ds2.alert", f"{title}\n{text}")

    def lineage(self, run: RunResult) -> None:
        stages = {
            NOUNS.get(stage.name, stage.name): {
                "fingerprint": stage.fingerprint, "folder": str(stage.path),
                "inputs": dict(stage.record["inputs"]),
            }
            for stage in run.stages.values()
        }  # fmt: skip
        self._client.log_dict(self._id, stages, "lineage.json")

    def close(self, *, finished: bool) -> None:
        self._client.log_dict(self._id, json.loads(json.dumps(self._summary, default=str)), "summary.json")
        self._client.set_terminated(self._id, status="FINISHED" if finished else "FAILED")


def local_folder(config: RunConfig) -> Path:
    """Where MLflow's own files are, where no server is named."""
    return Path(config.paths.artifacts) / "mlflow"


@contextmanager
def quiet() -> Iterator[None]:
    """Without MLflow's and its database's words of welcome."""
    import mlflow  # noqa: F401 - which sets these levels when it is first loaded

    loggers = [logging.getLogger(name) for name in ("mlflow", "alembic")]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.ERROR)
    try:
        yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)
