"""Runs at Weights & Biases: id by fingerprint, group by sweep, each stage an artifact. Offline by default."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ds2.artifacts.run import RunResult
from ds2.artifacts.step import Status
from ds2.base.dataclass_json import to_plain
from ds2.config.run import RunConfig, TrackingMode
from ds2.report.trackers.wandb_file import refuse_cut_off
from ds2.report.trackers.window import NOUNS, Identity

if TYPE_CHECKING:
    from matplotlib.figure import Figure


class WandbWindow:
    """One run of W&B."""

    def __init__(self, config: RunConfig, identity: Identity) -> None:
        import wandb

        tracking = config.tracking
        folder = config.paths.wandb_folder
        folder.mkdir(parents=True, exist_ok=True)
        self._online = tracking.mode is TrackingMode.online
        self._run: Any = wandb.init(
            project=tracking.project,
            entity=tracking.entity,
            dir=str(folder),
            id=identity.fingerprint,
            name=identity.name,
            group=identity.group,
            job_type="run",
            tags=list(identity.tags),
            config={**identity.settings, "run": to_plain(config)},
            mode="online" if self._online else "offline",
            resume="allow" if self._online else None,
            settings=wandb.Settings(silent=True, console="off", x_disable_stats=True),
        )

    def metrics(self, values: Mapping[str, float]) -> None:
        self._run.log(dict(values))

    def curve(self, stage: str, steps: Sequence[int], values: Mapping[str, Sequence[float]]) -> None:
        step = f"{stage}/step"
        names = [f"{stage}/{name}" for name in values]
        for name in names:
            self._run.define_metric(name, step_metric=step)
        for at, *row in zip(steps, *values.values(), strict=True):
            self._run.log({step: at, **dict(zip(names, row, strict=True))})

    def figure(self, name: str, figure: Figure) -> None:
        import wandb

        from ds2.report import figures as plots

        self._run.log({name: wandb.Image(plots.to_image(figure))})

    def table(self, name: str, header: Sequence[str], rows: Sequence[Sequence[Any]]) -> None:
        import wandb

        self._run.log({name: wandb.Table(columns=list(header), data=[list(row) for row in rows])})

    def summary(self, values: Mapping[str, Any]) -> None:
        self._run.summary.update(dict(values))

    def alert(self, title: str, text: str) -> None:
        self._run.alert(title=title, text=text)

    def lineage(self, run: RunResult) -> None:
        """Each stage as a W&B artifact by reference: the files stay where they are. Its inputs are named as
        artifacts are, and online, what was reused is an input of this run and what was computed its output.
        """
        import wandb

        names = {stage.fingerprint: f"{NOUNS.get(stage.name, stage.name)}-{stage.fingerprint}"
                 for stage in run.stages.values()}  # fmt: skip
        for stage in run.stages.values():
            inputs = {NOUNS.get(k, k): names.get(v, f"{k}-{v}") for k, v in stage.record["inputs"].items()}
            artifact = wandb.Artifact(
                names[stage.fingerprint],
                type=NOUNS.get(stage.name, stage.name),
                metadata={"stage": stage.name, "fingerprint": stage.fingerprint, "inputs": inputs},
            )
            artifact.add_reference(stage.record_file.resolve().as_uri())
            if not self._online or stage.status is Status.computed:
                self._run.log_artifact(artifact)
            else:
                self._run.use_artifact(artifact)

    def close(self, *, finished: bool) -> None:
        file = Path(self._run.settings.sync_file)
        self._run.finish(exit_code=0 if finished else 1)
        if not self._online:
            refuse_cut_off(file)


@contextmanager
def own_folders(config: RunConfig) -> Iterator[None]:
    """W&B's staged files and cache inside `paths.wandb` instead of the home folder, unless the person has set
    them; no tracing of the rater's calls, nor advertisement for it.

    Offline, `wandb sync` needs what is staged: it belongs with the run.
    """
    folder = config.paths.wandb_folder
    folders = {"WANDB_DATA_DIR": "data", "WANDB_CACHE_DIR": "cache"}
    wanted = {name: str((folder / part).resolve()) for name, part in folders.items()}
    wanted["WANDB_DISABLE_WEAVE"] = "true"
    added = {name: value for name, value in wanted.items() if name not in os.environ}
    os.environ.update(added)
    try:
        yield
    finally:
        for name in added:
            del os.environ[name]


def forget_service() -> None:
    """Have W&B start a process of its own anew, and not speak to the lost one when this process ends."""
    import wandb

    with suppress(ConnectionError):  # the farewell
        wandb.teardown(exit_code=1)
