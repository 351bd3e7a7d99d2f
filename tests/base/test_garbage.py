"""The pause of the search for cycles ends with the work, however that ends."""

from __future__ import annotations

import gc
from contextlib import suppress

from ds2.base.garbage import gc_paused


def test_cycles_are_searched_for_again_after_the_work_and_after_its_failure():
    with suppress(ZeroDivisionError), gc_paused():
        assert not gc.isenabled()
        _ = 1 / 0
    assert gc.isenabled()


def test_a_process_that_searches_for_none_keeps_to_that():
    gc.disable()
    try:
        with gc_paused():
            pass
        assert not gc.isenabled()
    finally:
        gc.enable()
