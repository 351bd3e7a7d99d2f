"""What people's ratings say of the paper's method, beside runs of it: one line and where it was measured."""

from __future__ import annotations

from collections.abc import Iterable

from ds2.config import CurationMethod, RunConfig
from ds2.config.selection import Ds2SelectionConfig, Score
from ds2.config.stages import stages_of
from ds2.method.curation.verdict import said_of_the_paper


def people_say(configs: Iterable[RunConfig]) -> list[str]:
    """The line where any of these runs selects as the paper does, else nothing."""
    return [said_of_the_paper()] if any(map(is_papers, configs)) else []


def is_papers(config: RunConfig) -> bool:
    """Whether a run curates by `rank` and selects by that score, equal ones by the long tail."""
    selection = config.selection
    return (
        isinstance(selection, Ds2SelectionConfig)
        and selection.score is Score.curated
        and selection.diversity
        and config.curation.method is CurationMethod.rank
        and "curate" in stages_of(config)
    )
