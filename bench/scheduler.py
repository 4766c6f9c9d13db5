"""Runs tasks on a few threads so that encoding, judging and metrics do not wait for each other."""

from __future__ import annotations

import threading
from collections import Counter, deque
from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True)
class _Task:
    resource: str
    limit: int
    run: Callable[[], None]


class Scheduler:
    """First come, first served, but never more than `limit` tasks of one resource at a time.

    A resource is a thing that must not be called twice at once (a tokenizer) or not too often (a
    judge). With limit 1 its tasks run strictly in the order they were added. Tasks may add tasks.
    """

    def __init__(self, workers: int) -> None:
        self.workers = max(1, workers)
        self._queue: deque[_Task] = deque()
        self._running: Counter[str] = Counter()
        self._change = threading.Condition()
        self._error: BaseException | None = None
        self._stopping = False

    def add(self, resource: str, run: Callable[[], None], limit: int = 1) -> None:
        with self._change:
            self._queue.append(_Task(resource, limit, run))
            self._change.notify_all()

    def run(self) -> None:
        """Work until no task is left; raises the first error of a task, or KeyboardInterrupt."""
        threads = [threading.Thread(target=self._work, daemon=True) for _ in range(self.workers)]
        for thread in threads:
            thread.start()
        try:
            with self._change:
                while not self._idle() and self._error is None:
                    self._change.wait(timeout=0.2)
        finally:
            with self._change:
                self._stopping = True
                self._change.notify_all()
            for thread in threads:  # a task that has begun is finished: what it made is kept
                thread.join()
        if self._error is not None:
            raise self._error

    def _idle(self) -> bool:
        return not self._queue and not any(self._running.values())

    def _next(self) -> _Task | None:
        blocked: set[str] = set()
        for position, task in enumerate(self._queue):
            if task.resource in blocked:
                continue
            if self._running[task.resource] < task.limit:
                del self._queue[position]
                return task
            blocked.add(task.resource)
        return None

    def _work(self) -> None:
        while True:
            with self._change:
                task = self._next()
                while task is None:
                    if self._stopping or self._error is not None:
                        return
                    self._change.wait(timeout=0.2)
                    task = None if self._stopping else self._next()
                if self._stopping or self._error is not None:
                    return
                self._running[task.resource] += 1
            try:
                task.run()
            except BaseException as error:
                with self._change:
                    self._error = self._error or error
            finally:
                with self._change:
                    self._running[task.resource] -= 1
                    self._change.notify_all()
