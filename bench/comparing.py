"""Metrics that hear samples: computed in worker processes, with their sums on disk."""

from __future__ import annotations

import math
import os
import threading
import time
from collections.abc import Callable, Iterable
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from functools import cache
from multiprocessing import get_context
from pathlib import Path

from bench import audio, registry
from bench.codec import reason_of
from bench.contracts import Judged, Metric, Samples, Sums, Utterance
from bench.errors import ItemFailure, UserError
from bench.progress import Reporter
from bench.store import Store, key_of, pack_json, unpack_json

_FAILURE = "failure"
_ONE_THREAD = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS")
Entry = dict[str, list[float] | str]


@cache
def _metric(name: str) -> Metric:
    return registry.plugin("metrics", name).module.load()  # type: ignore[no-any-return]


def _score(
    name: str, work: list[tuple[Utterance, Samples, Samples]]
) -> tuple[list[tuple[Entry, bool]], float]:
    """In a worker: (sums or failure, whether it may be cached) of each pair; seconds spent."""
    start = time.perf_counter()
    results: list[tuple[Entry, bool]] = []
    for utterance, original, resynthesis in work:
        try:
            sums = _metric(name).score(utterance, Judged(audio=original), Judged(audio=resynthesis))
            results.append((checked(sums), True))
        except Exception as error:
            results.append(({_FAILURE: reason_of(error)}, isinstance(error, ItemFailure)))
    return results, time.perf_counter() - start


def checked(sums: dict[str, Sums]) -> Entry:
    """Sums as plain numbers; ItemFailure where one is NaN or infinite: that is no score."""
    for row, value in sums.items():
        if not (math.isfinite(value.numerator) and math.isfinite(value.denominator)):
            raise ItemFailure(f"{row} came out as {value.numerator}/{value.denominator}")
    return {row: [value.numerator, value.denominator] for row, value in sums.items()}


class Workers:
    """Processes that are started once and replaced when one of them dies."""

    def __init__(self, count: int) -> None:
        self.count = max(1, count)
        self._lock = threading.Lock()
        self._pool: ProcessPoolExecutor | None = None

    def start(self) -> ProcessPoolExecutor:
        with self._lock:
            if self._pool is None:
                before = {name: os.environ.get(name) for name in _ONE_THREAD}
                os.environ.update(dict.fromkeys(_ONE_THREAD, "1"))
                self._pool = ProcessPoolExecutor(self.count, mp_context=get_context("spawn"))
                self._pool.submit(os.getpid).result()
                for name, value in before.items():
                    if value is None:
                        del os.environ[name]
                    else:
                        os.environ[name] = value
            return self._pool

    def score(
        self, name: str, work: list[tuple[Utterance, Samples, Samples]]
    ) -> tuple[list[tuple[Entry, bool]], float]:
        """As `_score`; a pair that kills its worker is a failure, the others are scored."""
        pool = self.start()
        try:
            return pool.submit(_score, name, work).result()
        except BrokenProcessPool:
            with self._lock:
                if self._pool is pool:
                    self._pool = None
            if len(work) == 1:
                return [({_FAILURE: "the worker process died"}, False)], 0.0
        done: list[tuple[Entry, bool]] = []
        spent = 0.0
        for pair in work:
            results, seconds = self.score(name, [pair])
            done += results
            spent += seconds
        return done, spent

    def close(self) -> None:
        if self._pool is not None:
            self._pool.shutdown(wait=False, cancel_futures=True)


class Comparing:
    """One metric with its cache, keyed by the two recordings it compares."""

    def __init__(self, metric: Metric, workers: Workers, cache: Path, reporter: Reporter) -> None:
        self.metric = metric
        self.name = metric.info.name
        key = key_of(kind="metric", name=self.name, version=metric.info.version)
        self.store = Store(cache / "metrics" / f"{self.name}-{key}.sqlite")
        self.workers = workers
        self.reporter = reporter
        self.seconds = 0.0
        self.sums: dict[int, dict[str, Sums]] = {}
        self.failures: dict[int, str] = {}
        self._lock = threading.Lock()

    def process(
        self,
        utterances: Iterable[tuple[int, Utterance]],
        original: Callable[[int], Samples],
        resynthesis: Callable[[int], Samples],
    ) -> None:
        """Score each utterance's resynthesis against its original; fills `sums`, `failures`."""
        todo, keys, heard = [], {}, 0
        for index, utterance in utterances:
            first, second = original(index), resynthesis(index)
            pair = (utterance, first, audio.align(second, 0, len(first)))
            heard += len(pair[1])
            keys[index] = f"{audio.digest(pair[1])}:{audio.digest(pair[2])}"
            known = self.store.get(keys[index])
            if known is None:
                todo.append((index, pair))
            else:
                self._keep(index, unpack_json(known))
        if todo:
            results, spent = self.workers.score(self.name, [pair for _, pair in todo])
            entries = {}
            for (index, _), (entry, cacheable) in zip(todo, results, strict=True):
                if cacheable:
                    entries[keys[index]] = pack_json(entry)  # type: ignore[arg-type]
                self._keep(index, entry)
            self.store.put(entries)
            with self._lock:
                self.seconds += spent
        self.reporter.done(self.name, heard / audio.RATE)

    def _keep(self, index: int, entry: Entry) -> None:
        with self._lock:
            if _FAILURE in entry:
                self.failures[index] = str(entry[_FAILURE])
                return
            try:
                self.sums[index] = {k: Sums(float(v[0]), float(v[1])) for k, v in entry.items()}
            except (TypeError, ValueError, IndexError) as error:
                raise UserError(
                    f"metric '{self.name}' gave sums that are no numbers: {entry}"
                ) from error

    def close(self) -> None:
        self.store.close()
