"""Metrics that hear samples: what is not on disk yet goes to the worker processes."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Callable, Iterable
from pathlib import Path

from bench import audio
from bench.contracts import Metric, Samples, Sums, Utterance
from bench.progress import Reporter
from bench.store import Store, key_of, pack_json, unpack_json
from bench.workers import FAILURE, Entry, Job, Workers

STAGE = "signal metrics"


class Comparing:
    """All metrics that compare two recordings, each with its cache keyed by both.

    sums, failures: (metric, index) → what came out. seconds: time inside the metrics.
    """

    def __init__(
        self, metrics: list[Metric], workers: Workers, cache: Path, reporter: Reporter
    ) -> None:
        self.tasks = {metric.info.name: metric.info.task for metric in metrics}
        self._stores = {}
        for info in (metric.info for metric in metrics):
            key = key_of(kind="metric", name=info.name, version=info.version)
            self._stores[info.name] = Store(cache / "metrics" / f"{info.name}-{key}.sqlite")
        self._workers = workers
        self._reporter = reporter
        self.seconds = 0.0
        self.sums: dict[tuple[str, int], dict[str, Sums]] = {}
        self.failures: dict[tuple[str, int], str] = {}
        self._lock = threading.Lock()

    def process(
        self,
        utterances: Iterable[tuple[int, Utterance, frozenset[str]]],
        original: Callable[[int], Samples],
        resynthesis: Callable[[int], Samples],
    ) -> None:
        """Score each (index, utterance, tasks) by the metrics of its tasks."""
        todo: list[tuple[int, str, Job]] = []
        heard = 0
        for index, utterance, tasks in utterances:
            first = original(index)
            second = audio.align(resynthesis(index), 0, len(first))
            heard += len(first)
            known_of = hashlib.sha256(repr(utterance).encode()).hexdigest()[:12]
            key = f"{audio.digest(first)}:{audio.digest(second)}:{known_of}"
            missing = []
            for name in (name for name, task in self.tasks.items() if task in tasks):
                known = self._stores[name].get(key)
                if known is None:
                    missing.append(name)
                else:
                    self._keep(name, index, unpack_json(known))
            if missing:
                todo.append((index, key, Job(utterance, first, second, tuple(missing))))
        if todo:
            self._compute(todo)
        self._reporter.done(STAGE, heard / audio.RATE)

    def _compute(self, todo: list[tuple[int, str, Job]]) -> None:
        results, spent = self._workers.score([job for _, _, job in todo])
        entries: dict[str, dict[str, bytes]] = {}
        for (index, key, _), outcomes in zip(todo, results, strict=True):
            for name, (entry, lasting) in outcomes.items():
                if lasting:
                    entries.setdefault(name, {})[key] = pack_json(entry)
                self._keep(name, index, entry)
        for name, values in entries.items():
            self._stores[name].put(values)
        with self._lock:
            self.seconds += spent

    def _keep(self, name: str, index: int, entry: Entry) -> None:
        with self._lock:
            if FAILURE in entry:
                self.failures[name, index] = str(entry[FAILURE])
            else:
                self.sums[name, index] = {
                    row: Sums(float(v[0]), float(v[1])) for row, v in entry.items()
                }

    def close(self) -> None:
        for store in self._stores.values():
            store.close()
