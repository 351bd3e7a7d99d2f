"""All strategies of DS2, by name."""

from __future__ import annotations

from ds2.config import measured_selection, selection  # noqa: F401 - they register what is named here
from ds2.config.base import SCHEMAS
from ds2.config.selection import SelectionConfig

STRATEGIES: dict[str, type[SelectionConfig]] = {
    "base": SelectionConfig,
    "full": SelectionConfig,
} | {
    name.removesuffix("_selection"): kind
    for name, kind in SCHEMAS["selection"].items()
    if name != "selection"
}
"""Strategy -> the configuration it takes; all but `base`, which selects nothing, are modules of
`ds2.selection.strategies`.
"""
del STRATEGIES["filtered"]
