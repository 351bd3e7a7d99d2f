from __future__ import annotations

import pytest

from ds2.base.errors import lacks_memory


def raised(error: Exception, *before: Exception) -> Exception:
    """The error as it is caught when each one before it was being handled."""
    try:
        if before:
            raise error from raised(*before)
        raise error
    except Exception as caught:  # noqa: BLE001
        return caught


@pytest.mark.parametrize(
    ("errors", "lacks"),
    [
        ([MemoryError()], True),
        ([OSError("libx.so: failed to map segment from shared object")], True),
        ([RuntimeError("can't start new thread")], True),
        ([RuntimeError("std::bad_alloc")], True),
        ([ImportError("no model"), ImportError("no module"), MemoryError()], True),
        ([ValueError("of another kind"), KeyError("memory")], False),
    ],
)
def test_a_lack_of_memory_is_known_by_what_an_error_came_of(errors, lacks):
    assert lacks_memory(raised(*errors)) is lacks


def test_an_error_that_was_met_while_another_was_handled_tells_too():
    def fails() -> None:
        try:
            raise MemoryError
        except MemoryError:
            raise ImportError("could not import") from None

    with pytest.raises(ImportError) as caught:
        fails()
    assert lacks_memory(caught.value)
