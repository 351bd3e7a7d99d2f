"""Runs at trackio: SQLite files in the artifact store, or a server's address.

What W&B has as one run's summary, trackio has not: numbers are metrics, the rest is a page of its reports,
`summary`. Figures and tables are media of their names. trackio only warns where it cannot keep what it is
told; here that is an error, which the tracker says.
"""

from __future__ import annotations

import io
import os
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, redirect_stdout
from contextvars import Context
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ds2.artifacts.run import RunResult
from ds2.base.dataclass_json import to_plain
from ds2.base.errors import UserError
from ds2.config.run import RunConfig
from ds2.report.trackers.window import NOUNS, Identity

if TYPE_CHECKING:
    from matplotlib.figure import Figure

FINGERPRINT = "fingerprint"
_FOLDER = "TRACKIO_DIR"
_SHORT = 40
"""Characters of what stands in one line."""


class TrackioWindow:
    """One run of trackio. What belongs to the whole run stands at step 0."""

    def __init__(self, config: RunConfig, identity: Identity) -> None:
        import trackio

        project = config.tracking.project
        if config.tracking.uri is None:
            _forget(project, identity)
        settings = {**identity.settings, FINGERPRINT: identity.fingerprint, "tags": list(identity.tags)}
        # In a context of its own: trackio would end the run that the caller has open.
        self._run: Any = Context().run(
            trackio.init, project=project, name=identity.name, group=identity.group,
            config={**settings, "run": to_plain(config)}, server_url=config.tracking.uri, embed=False,
            auto_log_cpu=False, auto_log_gpu=False,
        )  # fmt: skip
        self._summary: dict[str, Any] = {}

    def metrics(self, values: Mapping[str, float]) -> None:
        self._run.log(dict(values), step=0)

    def curve(self, stage: str, steps: Sequence[int], values: Mapping[str, Sequence[float]]) -> None:
        for at, *row in zip(steps, *values.values(), strict=True):
            told = {f"{stage}/{name}": value for name, value in zip(values, row, strict=True)}
            self._run.log({f"{stage}/step": int(at), **told}, step=int(at))

    def figure(self, name: str, figure: Figure) -> None:
        import trackio

        from ds2.report import figures as plots

        self._run.log({name: trackio.Image(plots.to_image(figure))}, step=0)

    def table(self, name: str, header: Sequence[str], rows: Sequence[Sequence[Any]]) -> None:
        import trackio

        table = trackio.Table(columns=list(header), data=[list(row) for row in rows])
        self._run.log({name: table}, step=0)

    def summary(self, values: Mapping[str, Any]) -> None:
        numbers = {k: v for k, v in values.items() if isinstance(v, int | float) and not isinstance(v, bool)}
        if numbers:
            self.metrics(numbers)
        self._summary |= {name: value for name, value in values.items() if name not in numbers}

    def alert(self, title: str, text: str) -> None:
        self._run.alert(title, text)

    def lineage(self, run: RunResult) -> None:
        """Each stage as an artifact by reference, as W&B has it: the files stay where they are."""
        import trackio

        names = {s.fingerprint: f"{NOUNS.get(s.name, s.name)}-{s.fingerprint}" for s in run.stages.values()}
        for stage in run.stages.values():
            inputs = {NOUNS.get(k, k): names.get(v, f"{k}-{v}") for k, v in stage.record["inputs"].items()}
            artifact = trackio.Artifact(
                names[stage.fingerprint],
                type=NOUNS.get(stage.name, stage.name),
                metadata={"stage": stage.name, FINGERPRINT: stage.fingerprint, "inputs": inputs},
            )
            artifact.add_reference(stage.record_file.resolve().as_uri())
            self._run.log_artifact(artifact)

    def close(self, *, finished: bool) -> None:
        import trackio

        if not finished:
            self._run.alert("The run failed", level=trackio.AlertLevel.ERROR)
        if self._summary:
            self._run.log({"summary": trackio.Markdown(_page(self._summary))}, step=0)
        self._run.finish()


def _forget(project: str, identity: Identity) -> None:
    """A run that is tracked again takes the place of what was tracked of it."""
    import trackio

    try:
        earlier = list(trackio.Api().runs(project))
    except ValueError:  # no such project yet
        return
    for run in earlier:
        if run.name == identity.name and (run.config or {}).get(FINGERPRINT) == identity.fingerprint:
            run.delete()


def _page(summary: Mapping[str, Any]) -> str:
    """Markdown: a heading for what is long, then a line for what is short."""
    long = {k: v for k, v in summary.items() if v and (isinstance(v, list) or len(str(v)) > _SHORT)}
    lines = []
    for name, value in long.items():
        body = [f"- {each}" for each in value] if isinstance(value, list) else [str(value)]
        lines += [f"## {name}", "", *body, ""]
    return "\n".join([*lines, *(f"- **{k}**: {v}" for k, v in summary.items() if k not in long and v)])


@contextmanager
def own_folder(config: RunConfig) -> Iterator[None]:
    """trackio's files below `paths.artifacts`, unless the person has set TRACKIO_DIR, and without its words
    of welcome.

    trackio takes its folder when it is first loaded. Raises UserError where it was loaded for another one,
    and for what trackio warns of.
    """
    folder = os.environ.get(_FOLDER) or str((Path(config.paths.artifacts) / "trackio").resolve())
    with (
        _variable(_FOLDER, folder),
        redirect_stdout(io.StringIO()),
        warnings.catch_warnings(record=True, action="always") as said,
    ):
        import trackio.utils

        if config.tracking.uri is None and Path(folder) != trackio.utils.TRACKIO_DIR:
            raise UserError(
                f"trackio was loaded for {trackio.utils.TRACKIO_DIR} and keeps to it while this process "
                f"lasts: set {_FOLDER} to that folder, or start another process"
            )
        yield
    for each in said:
        if Path(each.filename).is_relative_to(Path(trackio.utils.__file__).parent):
            raise UserError(str(each.message))


@contextmanager
def _variable(name: str, value: str) -> Iterator[None]:
    before = os.environ.get(name)
    os.environ[name] = value
    try:
        yield
    finally:
        if before is None:
            del os.environ[name]
        else:
            os.environ[name] = before
