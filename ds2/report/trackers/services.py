"""The service that a run's configuration names."""

from __future__ import annotations

from contextlib import AbstractContextManager

from ds2.config.run import RunConfig, TrackingService
from ds2.report.trackers.window import Identity, Window


def surroundings(config: RunConfig) -> AbstractContextManager[None]:
    """The state of the process that the run's service needs during each call."""
    if config.tracking.service is TrackingService.mlflow:
        from ds2.report.trackers import mlflow_window

        return mlflow_window.quiet()
    if config.tracking.service is TrackingService.trackio:
        from ds2.report.trackers import trackio_window

        return trackio_window.own_folder(config)
    from ds2.report.trackers import wandb_window

    return wandb_window.own_folders(config)


def open_window(config: RunConfig, identity: Identity) -> Window:
    """A new run at the configured service."""
    if config.tracking.service is TrackingService.mlflow:
        from ds2.report.trackers.mlflow_window import MlflowWindow

        return MlflowWindow(config, identity)
    if config.tracking.service is TrackingService.trackio:
        from ds2.report.trackers.trackio_window import TrackioWindow

        return TrackioWindow(config, identity)
    from ds2.report.trackers.wandb_window import WandbWindow

    return WandbWindow(config, identity)


def abandon(config: RunConfig, error: Exception) -> None:
    """Leave a service whose own process is gone: else W&B's end of the process is a traceback, and a sweep's
    next run would ask the dead one.
    """
    if config.tracking.service is TrackingService.wandb and isinstance(error, ConnectionError):
        from ds2.report.trackers import wandb_window

        wandb_window.forget_service()
