"""Progress bars that never fall silent."""

from __future__ import annotations

import weakref
from threading import Event, Thread
from typing import Any

from tqdm.auto import tqdm


class Bar(tqdm):  # type: ignore[type-arg]
    """tqdm's bar, drawn anew at least every `SILENCE` seconds: its clock shows that work goes on where a step
    or an answer takes long.
    """

    SILENCE = 10.0
    """Seconds."""

    def __init__(self, *args: Any, **options: Any) -> None:
        self._ended = Event()
        super().__init__(*args, **options)
        if not self.disable:
            drawing = (weakref.ref(self), self._ended, self.SILENCE)
            Thread(target=_keep_drawing, args=drawing, name="progress", daemon=True).start()

    def close(self) -> None:
        """Draw it once more and leave it."""
        self._ended.set()
        super().close()


def _keep_drawing(bar: weakref.ref[Bar], ended: Event, silence: float) -> None:
    """Until the bar is closed, or nobody holds it any longer (an error left its work)."""
    while not ended.wait(silence):
        drawn = bar()
        if drawn is None:
            return
        drawn.refresh()
        del drawn
