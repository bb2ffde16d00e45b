"""How many threads there are to use, and how many linear algebra may."""

import os
from collections.abc import Iterator
from contextlib import contextmanager

from threadpoolctl import threadpool_limits


@contextmanager
def one_blas_thread() -> Iterator[None]:
    """Keep BLAS on one thread inside the block.

    Products of a few hundred rows are over before a second thread wakes; and where another process
    has the core, its spinning cost twenty times the work itself (measured on 2 cores).
    """
    with threadpool_limits(limits=1, user_api="blas"):
        yield


def cores() -> int:
    """Return how many cores this process may use; where the system cannot tell, how many there are."""
    try:
        return len(os.sched_getaffinity(0))
    except AttributeError:  # macOS has no such call
        return os.cpu_count() or 1
