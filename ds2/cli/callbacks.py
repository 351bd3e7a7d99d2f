"""What Hydra is asked to do between the jobs of a multirun."""

from __future__ import annotations

from typing import Any

from hydra.core.utils import JobReturn
from hydra.experimental.callback import Callback
from omegaconf import DictConfig


class ForgetConfigs(Callback):  # type: ignore[misc]
    """Hydra keeps what each job returned until the last has ended, its two configurations with it: a quarter
    of a MiB a job, which nobody reads.
    """

    def on_job_end(self, config: DictConfig, job_return: JobReturn, **kwargs: Any) -> None:
        job_return.cfg = job_return.hydra_cfg = None
