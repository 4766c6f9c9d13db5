"""Processes that compute metrics on samples; what kills one costs one metric of one utterance."""

from __future__ import annotations

import math
import multiprocessing
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import cache
from multiprocessing import get_context, resource_tracker
from typing import TypeVar

from bench import registry
from bench.codec import reason_of
from bench.contracts import Judged, Metric, Samples, Sums, Utterance
from bench.errors import ItemFailure

T = TypeVar("T")
FAILURE = "failure"
_ONE_THREAD = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS")
Entry = dict[str, list[float] | str]  # row → [numerator, denominator], or FAILURE → reason
Outcome = tuple[Entry, bool]  # ... and whether it is the same every time, so that it may be kept


@dataclass(frozen=True)
class Job:
    """Two recordings (float32 [L], 16 kHz) and the metrics that compare them."""

    utterance: Utterance
    original: Samples
    resynthesis: Samples
    metrics: tuple[str, ...]


def checked(sums: dict[str, Sums]) -> Entry:
    """Sums as plain numbers; ItemFailure where one is NaN or infinite: that is no score."""
    for row, value in sums.items():
        if not (math.isfinite(value.numerator) and math.isfinite(value.denominator)):
            raise ItemFailure(f"{row} came out as {value.numerator}/{value.denominator}")
    return {row: [float(v.numerator), float(v.denominator)] for row, v in sums.items()}


@cache
def _metric(name: str) -> Metric:
    return registry.plugin("metrics", name).module.load()  # type: ignore[no-any-return]


def _score(jobs: list[Job]) -> tuple[list[dict[str, Outcome]], float]:
    """In a worker: metric → outcome for each job, and the seconds spent.

    All metrics of an utterance run one after another in one process, so that they share what
    they all need (its pitch).
    """
    start = time.perf_counter()
    results = []
    for job in jobs:
        found: dict[str, Outcome] = {}
        for name in job.metrics:
            original, audio = Judged(audio=job.original), Judged(audio=job.resynthesis)
            try:
                found[name] = checked(_metric(name).score(job.utterance, original, audio)), True
            except Exception as error:
                found[name] = {FAILURE: reason_of(error)}, isinstance(error, ItemFailure)
        results.append(found)
    return results, time.perf_counter() - start


_environment = threading.Lock()


@contextmanager
def _as_children() -> Iterator[None]:
    """Processes started inside compute on one thread each, and leave Ctrl-C to their parent."""
    resource_tracker.ensure_running()  # starting it would unblock the signal
    with _environment:
        before = {name: os.environ.get(name) for name in _ONE_THREAD}
        os.environ.update(dict.fromkeys(_ONE_THREAD, "1"))
        mask = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})  # children inherit it
        try:
            yield
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, mask)
            _restore(before)


def _restore(before: dict[str, str | None]) -> None:
    for name, value in before.items():
        if value is None:
            os.environ.pop(name, None)
        else:
            os.environ[name] = value


def _end_with_parent() -> None:
    """In a worker: ends it when its parent is gone, which kill −9 gives no time to tell."""

    def watch() -> None:
        parent = multiprocessing.parent_process()
        if parent is not None:
            parent.join()
            os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


def once(call: Callable[..., T], *arguments: object) -> T:
    """`call(*arguments)` in a fresh process of its own (both picklable); what it raises passes,
    BrokenProcessPool where the process died."""
    pool = Workers(1)._start(1)
    try:
        return pool.submit(call, *arguments).result()
    finally:
        pool.shutdown(wait=False, cancel_futures=True)


class Workers:
    """A pool of processes, started when first needed and replaced when one of them dies."""

    def __init__(self, count: int) -> None:
        self.count = max(1, count)
        self._lock = threading.Lock()
        self._pool: ProcessPoolExecutor | None = None

    def _start(self, count: int) -> ProcessPoolExecutor:
        with _as_children():
            pool = ProcessPoolExecutor(
                count, mp_context=get_context("spawn"), initializer=_end_with_parent
            )
            for future in [pool.submit(os.getpid) for _ in range(count)]:
                future.result()
        return pool

    def score(self, jobs: list[Job]) -> tuple[list[dict[str, Outcome]], float]:
        """As `_score`. If a worker dies, every metric of every job runs in a process of its own,
        and the one that kills it is the failure."""
        with self._lock:
            if self._pool is None:
                self._pool = self._start(self.count)
            pool = self._pool
        try:
            return pool.submit(_score, jobs).result()
        except BrokenProcessPool:
            with self._lock:
                if self._pool is pool:
                    self._pool = None
        results: list[dict[str, Outcome]] = []
        spent = 0.0
        for job in jobs:
            found: dict[str, Outcome] = {}
            for name in job.metrics:
                alone, seconds = self._alone(replace(job, metrics=(name,)))
                found |= alone
                spent += seconds
            results.append(found)
        return results, spent

    def _alone(self, job: Job) -> tuple[dict[str, Outcome], float]:
        pool = self._start(1)
        try:
            results, seconds = pool.submit(_score, [job]).result()
            return results[0], seconds
        except BrokenProcessPool:
            return {job.metrics[0]: ({FAILURE: "the worker process died"}, False)}, 0.0
        finally:
            pool.shutdown(wait=False, cancel_futures=True)

    def close(self) -> None:
        if self._pool is not None:
            self._pool.shutdown(wait=False, cancel_futures=True)
