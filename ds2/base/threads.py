"""Numbers of threads, set for the time of some work.

One BLAS thread: for numbers that do not depend on the machine's cores, and for speed where matrices are small
or thin. BLAS divides a product among its threads, and the order of the sums, so the last digits, with it. An
iteration makes them grow: the SVD of 67,013 texts moved by 4e-4 between one thread and two. Nor was a second
thread worth having: on two cores that other programs used too, that SVD took 15 s with two threads and 2 s
with one, the posterior of 4,000 samples 5.5 s and 0.5 s. Spinning threads wait long for each other.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def one_blas_thread() -> Iterator[None]:
    """For the time inside, also as a decorator. Searches of the graph divide their queries among threads
    themselves.

    Without threadpoolctl BLAS keeps its threads too: the library needs no more than numpy and scipy.
    """
    try:
        from threadpoolctl import threadpool_limits
    except ImportError:
        yield
        return
    with threadpool_limits(limits=1, user_api="blas"):
        yield


@contextmanager
def torch_threads(count: int | None) -> Iterator[None]:
    """So many CPU threads of torch for the time inside; None: as many as before.

    Afterwards they are as they were: what runs next in the process, the next stage or a notebook's own model,
    has its own choice.
    """
    if count is None:
        yield
        return
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)
