"""An artifact store with a second level that machines share: `paths.store`.

What is finished here is pushed there in the background; what is absent here and finished there is fetched. Of
several machines that need a step, one computes it and the others wait, by a lease. A second level that cannot
be reached costs a warning: the run goes on with this machine's artifacts, and the next run pushes.
"""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from queue import Queue
from threading import Thread
from typing import Any

from ds2.artifacts.leases import Lease
from ds2.artifacts.record import Record
from ds2.artifacts.remote import RemoteStore
from ds2.artifacts.step import StageResult, Status, Step
from ds2.artifacts.store import ArtifactStore
from ds2.base.drafts import is_disk_full, remove_drafts
from ds2.base.errors import UserError

FETCHING = ".fetching"
"""The folder below a store's root for what is being fetched; an interrupted fetch goes on there."""
LOOK_SECONDS = 2.0
"""Between two looks at what another machine computes."""


class SharedStore(ArtifactStore):
    """The artifacts below one root folder and those of a remote store."""

    def __init__(self, root: Path | str, remote: RemoteStore) -> None:
        super().__init__(root)
        self.remote = remote
        self._leases: dict[str, Lease] = {}
        self._pushed: set[str] = set()
        self._queue: Queue[tuple[Path, Record]] = Queue()
        self._troubles: list[str] = []
        self._pusher: Thread | None = None

    def obtain(
        self,
        step: Step,
        *,
        on_wait: Callable[[], None] = lambda: None,
        run: Mapping[str, Any] | None = None,
    ) -> StageResult:
        """See `ArtifactStore.obtain`; fetched where it is finished in the remote store alone."""
        try:
            result = super().obtain(step, on_wait=on_wait, run=run)
        except BaseException:  # also an interrupt: others would wait until the lease expires
            self._release(step.fingerprint)
            raise
        if result.fingerprint not in self._pushed:  # also what an interrupted run did not push
            self._pushed.add(result.fingerprint)
            self._push_later(result.path, result.record)
        return result

    def settle(self) -> list[str]:
        """Wait until everything is pushed. Returns what went wrong, in lines."""
        self._queue.join()
        troubles, self._troubles[:] = list(dict.fromkeys(self._troubles)), []
        return troubles

    def _make(
        self, step: Step, on_wait: Callable[[], None], run: Mapping[str, Any] | None
    ) -> tuple[Path, Record, Status]:
        try:
            fetched = self._fetched_or_leased(step, on_wait)
        except OSError as error:
            self._troubles.append(self._trouble("not asked for", step.stage, error))
            fetched = None
        return fetched or super()._make(step, on_wait, run)

    def _fetched_or_leased(
        self, step: Step, on_wait: Callable[[], None]
    ) -> tuple[Path, Record, Status] | None:
        """The artifact as it was fetched; None: this machine is to compute it."""
        waited = False
        while True:
            record = self.remote.read(step.stage, step.fingerprint)
            if record is not None:
                return self._fetch_here(step, record)
            lease = self.remote.lease(step.stage, step.fingerprint)
            if lease is not None:
                self._leases[step.fingerprint] = lease
                return None
            if not waited:
                waited = True
                on_wait()
            time.sleep(LOOK_SECONDS)

    def _fetch_here(self, step: Step, record: Record) -> tuple[Path, Record, Status]:
        """`_fetch`. Raises UserError where it is this machine that cannot: computing again, which may have
        been paid for, would end at the same disk.
        """
        try:
            return self._fetch(step, record)
        except OSError as error:
            if not (is_disk_full(error) or _names_below(self.root, error)):
                raise
            raise UserError(
                f"stage {step.stage} is to be fetched from paths.store={self.remote.url}, but cannot write "
                f"to paths.artifacts={self.root}: {error.strerror or error}"
            ) from error

    def _fetch(self, step: Step, record: Record) -> tuple[Path, Record, Status]:
        folder = self.root / FETCHING / step.fingerprint
        folder.mkdir(parents=True, exist_ok=True)
        remove_drafts(folder)
        self.remote.fetch(record, folder)
        place = self.root / step.stage / f".partial-{step.fingerprint}"
        shutil.rmtree(place, ignore_errors=True)
        place.parent.mkdir(parents=True, exist_ok=True)
        folder.rename(place)
        self._pushed.add(step.fingerprint)
        return self._publish(step, place, record), record, Status.fetched

    def _push_later(self, path: Path, record: Record) -> None:
        self._queue.put((path, record))
        if self._pusher is None:
            self._pusher = Thread(target=self._push_all, daemon=True)
            self._pusher.start()

    def _push_all(self) -> None:
        while True:
            path, record = self._queue.get()
            try:
                self.remote.push(path, record)
            except Exception as error:  # noqa: BLE001 - said when the run ends; the artifact is here
                self._pushed.discard(record["fingerprint"])
                self._troubles.append(self._trouble("not pushed", record["stage"], error))
            finally:
                self._release(record["fingerprint"])
                self._queue.task_done()

    def _release(self, fingerprint: str) -> None:
        lease = self._leases.pop(fingerprint, None)
        try:
            if lease is not None:
                lease.release()
        except OSError as error:  # it expires
            self._troubles.append(f"a lease in paths.store={self.remote.url} was not given back: {error}")

    def _trouble(self, what: str, stage: str, error: Exception) -> str:
        said = next(iter(str(error).splitlines()), "") or type(error).__name__
        return (
            f"paths.store={self.remote.url}: {stage} was {what} ({said}); it is in paths.artifacts, and the "
            "next run that uses it tries again"
        )


def _names_below(root: Path, error: OSError) -> bool:
    """Whether an error is of a file or folder below `root`."""
    return isinstance(error.filename, str) and Path(error.filename).absolute().is_relative_to(root.absolute())
