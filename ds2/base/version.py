"""DS2's version: spelt here alone. pyproject.toml reads it from this file, `ds2.__version__` is this."""

from __future__ import annotations

VERSION = "0.2.0"
