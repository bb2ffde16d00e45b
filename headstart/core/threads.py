"""How many threads linear algebra may use."""

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
