"""What work changes of its process is undone at its end, however it ends."""

from __future__ import annotations

import logging
import os
import random
import sys
import warnings
from pathlib import Path

import numpy as np
import pytest

from ds2.base.undisturbed import undisturbed


def change_everything(folder: Path) -> None:
    os.chdir(folder)
    os.environ["DS2_NEW"] = "1"
    os.environ["DS2_KEPT"] = "other"
    os.environ.pop("DS2_LOST")
    sys.path.append("somewhere")
    sys.excepthook = lambda *_: None
    warnings.simplefilter("error")
    logging.getLogger().addHandler(logging.NullHandler())
    logging.disable(logging.ERROR)
    random.seed(0)
    np.random.seed(0)


def state() -> list[object]:
    root = logging.getLogger()
    return [Path.cwd(), dict(os.environ), list(sys.path), sys.excepthook, list(warnings.filters),
            list(root.handlers), root.manager.disable, random.getstate(),
            np.random.get_state()[1].tolist()]  # fmt: skip


@pytest.mark.parametrize("fails", [False, True])
def test_what_is_changed_is_put_back_even_after_an_error(fails, tmp_path, monkeypatch):
    monkeypatch.setenv("DS2_KEPT", "mine")
    monkeypatch.setenv("DS2_LOST", "mine")
    before = state()
    try:
        with undisturbed():
            change_everything(tmp_path)
            assert [a == b for a, b in zip(before, state(), strict=True)] == [False] * len(before)
            if fails:
                raise RuntimeError
    except RuntimeError:
        assert fails
    assert state() == before
