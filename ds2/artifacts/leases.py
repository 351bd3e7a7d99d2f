"""Which machine computes an artifact of a store that machines share."""

from __future__ import annotations

import json
import os
import socket
import uuid
from threading import Event, Thread
from typing import Any

from ds2.artifacts.objects import asking, placing
from ds2.base.drafts import is_disk_full
from ds2.base.json_files import parse_json

LEASE = "lease"
LEASE_SECONDS = 60.0
"""How long a lease is believed that nobody renews; it is renewed every third of that. Whoever waits measures
it, by its own clock, from when it first saw the lease as it is: machines' clocks are never compared.
"""


class Lease:
    """A lease object, renewed by a thread until it is released. Where the store cannot create an object only
    if it is absent, two may have one: both then compute the same.
    """

    def __init__(self, fs: Any, path: str) -> None:
        self._fs, self._path, self._holder = fs, path, uuid.uuid4().hex
        self._renewed = 0
        self._over = Event()
        try:
            fs.makedirs(path.rpartition("/")[0], exist_ok=True)
            fs.pipe_file(path, self._text(), mode="create")
            self.taken = True
        except OSError as error:  # S3 says in words of its own that it is there
            if is_disk_full(error) or not (isinstance(error, FileExistsError) or fs.exists(path)):
                raise
            self.taken = False
            return
        Thread(target=self._renew, daemon=True).start()

    @asking()
    def release(self) -> None:
        """Give it back. Raises OSError."""
        self._over.set()
        try:
            if parse_json(self._fs.cat_file(self._path))["holder"] == self._holder:
                self._fs.rm_file(self._path)
        except (FileNotFoundError, ValueError, KeyError, TypeError):
            return  # it was taken over

    def _renew(self) -> None:
        while not self._over.wait(LEASE_SECONDS / 3):
            self._renewed += 1
            try:
                with asking(), placing(self._fs, self._path) as place:
                    self._fs.pipe_file(place, self._text())
            except OSError:
                continue  # once more before it expires; at worst another computes the same

    def _text(self) -> bytes:
        known = {"holder": self._holder, "host": socket.gethostname(), "pid": os.getpid()}
        return json.dumps(known | {"renewed": self._renewed}).encode()
