"""One BLAS thread where the matrices are small.

The fits here make thousands of products of a few thousand rows by a few dozen columns. A second thread has nothing to do in
them but wait, and waits long where other programs use the cores: the posterior of 4,000 samples took 5.5 s with two threads
and 0.5 s with one on a busy machine of two cores.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def one_blas_thread() -> Iterator[None]:
    """For the time inside, also as a decorator; searches of the graph keep theirs."""
    from threadpoolctl import threadpool_limits

    with threadpool_limits(limits=1, user_api="blas"):
        yield
