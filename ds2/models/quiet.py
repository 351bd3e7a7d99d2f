"""transformers without its own bars and warnings: what matters is raised, and our steps have bars."""

from __future__ import annotations

import logging as python_logging
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def quiet_transformers() -> Iterator[None]:
    """Bars off and errors only, while the context is open; of bitsandbytes too, which PEFT loads whether it
    is needed or not, and which names a faster kernel that could be installed.
    """
    from transformers.utils import logging

    kernels = python_logging.getLogger("bitsandbytes")
    bars, verbosity, level = logging.is_progress_bar_enabled(), logging.get_verbosity(), kernels.level
    logging.disable_progress_bar()
    logging.set_verbosity_error()
    kernels.setLevel(python_logging.ERROR)
    try:
        yield
    finally:
        kernels.setLevel(level)
        logging.set_verbosity(verbosity)
        if bars:
            logging.enable_progress_bar()
