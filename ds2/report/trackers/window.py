"""What a service that shows runs must offer: one run, from its opening to `close`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from ds2.artifacts.run import RunResult

if TYPE_CHECKING:
    from matplotlib.figure import Figure

NOUNS = {
    "rate": "ratings", "embed": "embeddings", "knn": "graph", "curate": "curation", "measure": "values",
    "select": "subset", "finetune": "adapter", "evaluate": "results",
}  # fmt: skip
"""Stage -> what it leaves, where that is not the stage's own word: the types of artifacts."""


@dataclass(frozen=True)
class Identity:
    """Which run it is, and what it is filtered and grouped by."""

    name: str
    fingerprint: str
    """16 hex digits, of the run's last stage."""
    group: str
    tags: tuple[str, ...]
    settings: Mapping[str, Any]
    """The run's choices, flat."""


class Window(Protocol):
    """One run at a service. Each call may fail as a service can; the caller handles that."""

    def metrics(self, values: Mapping[str, float]) -> None:
        """Numbers as they are now."""

    def curve(self, stage: str, steps: Sequence[int], values: Mapping[str, Sequence[float]]) -> None:
        """STAGE/NAME by STAGE/step, for each name: loss, learning_rate."""

    def figure(self, name: str, figure: Figure) -> None:
        """An image."""

    def table(self, name: str, header: Sequence[str], rows: Sequence[Sequence[Any]]) -> None:
        """Rows of a table."""

    def summary(self, values: Mapping[str, Any]) -> None:
        """Texts, numbers and lists that belong to the whole run."""

    def alert(self, title: str, text: str) -> None:
        """What a person should see at once."""

    def lineage(self, run: RunResult) -> None:
        """What each stage left, by reference, and from which inputs."""

    def close(self, *, finished: bool) -> None:
        """The end; not `finished`: the run failed."""
