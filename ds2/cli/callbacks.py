"""What Hydra is asked to do before and between the jobs of a multirun."""

from __future__ import annotations

import atexit
import os
import sys
from functools import partial
from typing import Any

from hydra.core.utils import JobReturn
from hydra.experimental.callback import Callback
from omegaconf import DictConfig, OmegaConf

from ds2.base.processes import end_with_parent, handlers_kept

_STORE = 78_643_200
"""Bytes of a new cluster's object store, as the launcher has it: it holds what jobs return."""


class ForgetConfigs(Callback):  # type: ignore[misc]
    """Hydra keeps what each job returned until the last has ended, its two configurations with it: a quarter
    of a MiB a job, which nobody reads.
    """

    def on_job_end(self, config: DictConfig, job_return: JobReturn, **kwargs: Any) -> None:
        job_return.cfg = job_return.hydra_cfg = None


class JoinRay(Callback):  # type: ignore[misc]
    """Ray's launcher joins its cluster with Ray's handlers of signals, which end the command by C++
    and without its last words. So its cluster is joined before, and the launcher finds that.
    """

    def on_multirun_start(self, config: DictConfig, **kwargs: Any) -> None:
        launcher = config.hydra.launcher
        if not str(launcher.get("_target_")).endswith(".RayLauncher"):
            return
        os.environ["RAY_DISABLE_FAILURE_SIGNAL_HANDLER"] = "1"
        import ray

        options: Any = OmegaConf.to_container(launcher.ray.init, resolve=True)
        if not (options.get("address") or os.environ.get("RAY_ADDRESS")):
            options.setdefault("object_store_memory", _STORE)
        if not ray.is_initialized():
            try:
                with handlers_kept():
                    ray.init(**options)
            finally:  # before Ray's own end of the cluster, by which a process that is still joined is ended
                atexit.register(ray.shutdown)


class LeadJoblib(Callback):  # type: ignore[misc]
    """A worker of joblib's launcher ends with its command from its first moment. By itself it would wait for
    a first job for minutes, where the command was killed before it had sent one.

    joblib has no word for what a worker does first, though the executor beneath has.
    """

    def on_multirun_start(self, config: DictConfig, **kwargs: Any) -> None:
        if not str(config.hydra.launcher.get("_target_")).endswith(".JoblibLauncher"):
            return
        from joblib import _parallel_backends as backends

        plain = getattr(backends.get_memmapping_executor, "func", backends.get_memmapping_executor)
        first = {"initializer": end_with_parent, "initargs": (os.getpid(),)}
        backends.get_memmapping_executor = partial(plain, **first)

    def on_multirun_end(self, config: DictConfig, **kwargs: Any) -> None:
        if "joblib" in sys.modules:
            from joblib import _parallel_backends as backends

            backends.get_memmapping_executor = getattr(
                backends.get_memmapping_executor, "func", backends.get_memmapping_executor
            )
