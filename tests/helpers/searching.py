"""A search whose runs are the real chain on the tiny model, and one whose evaluations are planted."""

from __future__ import annotations

from ds2.config.search import Confirm, Dimension, Search


def small_search(**changes: object) -> Search:
    """Two strategies and a number, two rungs, the longest answers as the default."""
    values: dict[str, object] = {
        "space": {
            "selection": Dimension(choices=["length", "random", "ds2"]),
            "curation.k": Dimension(low=4, high=20, when={"selection": ["ds2"]}),
        },
        "default": {"selection": "length"},
        "trials": 6,
        "rungs": {"budget.samples": [10, 20, 40]},
        "startup": 3,
        "confirm": Confirm(seeds=[7, 8]),
    }
    return Search(**{**values, **changes})  # type: ignore[arg-type]
