"""Shared by every group."""

from __future__ import annotations

from typing import Any

MISSING: Any = "???"
"""OmegaConf's mark of a value that the person must give."""
