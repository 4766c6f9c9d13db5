"""A bar for each stage with its rate; on standard error, so that `--json` stays clean."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol

from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, Progress, ProgressColumn, Task, TextColumn, TimeElapsedColumn
from rich.text import Text


class Reporter(Protocol):
    """Where the engine says how far it is, in seconds of audio."""

    def total(self, stage: str, seconds: float) -> None: ...

    def done(self, stage: str, seconds: float) -> None: ...

    def warn(self, message: str) -> None: ...


class Quiet:
    """Says nothing but warnings."""

    def total(self, stage: str, seconds: float) -> None:
        pass

    def done(self, stage: str, seconds: float) -> None:
        pass

    def warn(self, message: str) -> None:
        print(f"warning: {message}", file=sys.stderr)


class _Rate(ProgressColumn):
    def render(self, task: Task) -> Text:
        speed = task.finished_speed or task.speed
        return Text(f"{speed:6.1f} × real time" if speed else "", style="cyan")


class Bars:
    """Bars on a terminal; elsewhere one line a stage when it ends."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._progress = Progress(
            TextColumn("{task.description:<24}"),
            BarColumn(bar_width=28),
            TextColumn("{task.percentage:>3.0f}%"),
            _Rate(),
            TimeElapsedColumn(),
            console=console,
            refresh_per_second=2,  # at rich's ten a run spent a tenth of a processor on bars
            disable=not console.is_terminal,
        )
        self._lock = threading.Lock()
        self._ids: dict[str, int] = {}
        self._total: dict[str, float] = {}
        self._done: dict[str, float] = {}
        self._start: dict[str, float] = {}

    def total(self, stage: str, seconds: float) -> None:
        with self._lock:
            self._total[stage] = self._total.get(stage, 0.0) + seconds
            if stage not in self._ids:
                self._ids[stage] = self._progress.add_task(stage, total=0.0)
                self._start[stage] = time.monotonic()
            self._progress.update(self._ids[stage], total=self._total[stage])  # type: ignore[arg-type]

    def done(self, stage: str, seconds: float) -> None:
        with self._lock:
            self._done[stage] = self._done.get(stage, 0.0) + seconds
            if stage in self._ids:
                self._progress.advance(self._ids[stage], seconds)  # type: ignore[arg-type]
            complete = self._done[stage] >= self._total.get(stage, float("inf")) - 1e-6
            if complete and not self._console.is_terminal:
                spent = time.monotonic() - self._start[stage]
                self._console.print(
                    f"{stage}: {self._done[stage]:.0f} s of audio, done {spent:.0f} s after start"
                )

    def warn(self, message: str) -> None:
        self._console.print(f"[yellow]warning:[/yellow] {escape(message)}")

    @contextmanager
    def live(self) -> Iterator[None]:
        with self._progress:
            yield


def stderr_console() -> Console:
    return Console(stderr=True, highlight=False)
