"""Threads that compute on one processor each, so that sums do not depend on how many there are."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial


class Halted(Exception):  # noqa: N818 - asked for, not an error
    """Training ended before its time, and nothing of it is kept."""


@contextmanager
def one_processor_each(count: int, halt: Callable[[], None]) -> Iterator[ThreadPoolExecutor]:
    """`count` threads, torch on one processor in each.

    Whatever ends it early, above all Ctrl-C, drops what waits, calls `halt`, which tells what
    runs to end, and waits for that.
    """
    import torch

    limit = partial(torch.set_num_threads, 1)
    with ThreadPoolExecutor(max(1, count), initializer=limit) as pool:
        try:
            yield pool
        except BaseException:
            halt()
            pool.shutdown(wait=True, cancel_futures=True)
            raise
