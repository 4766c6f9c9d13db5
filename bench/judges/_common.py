"""What every judge needs: a check of its input, and utterances in parallel on a CPU."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, TypeVar

import numpy as np

from bench.contracts import Judgement, Samples
from bench.errors import ItemFailure

if TYPE_CHECKING:
    import torch

T = TypeVar("T")
R = TypeVar("R")

SAMPLE_RATE = 16_000
"""Hz; every judge here wants 16 kHz."""

MIN_SECONDS = 0.1
"""Shorter audio gets an ItemFailure from every judge: none was trained on it."""


def check(audio: Samples, min_seconds: float = MIN_SECONDS) -> None:
    """Raise ItemFailure unless `audio` is float [L], finite, in [-1, 1] and long enough."""
    if audio.ndim != 1 or not np.issubdtype(audio.dtype, np.floating):
        raise ItemFailure(f"audio is {audio.dtype} of {audio.ndim} dimensions, not mono float")
    seconds = len(audio) / SAMPLE_RATE
    if seconds < min_seconds:
        raise ItemFailure(f"audio of {seconds:.3f} s is shorter than {min_seconds} s")
    peak = np.abs(audio).max()
    if not np.isfinite(peak):
        raise ItemFailure("audio holds NaN or infinite samples")
    if peak > 1:
        raise ItemFailure(f"audio peaks at {peak:.3g}, outside [-1, 1]")


def caught(function: Callable[[Samples], Judgement], audio: Samples) -> Judgement | Exception:
    """The judgement of one utterance, or its ItemFailure; any other exception is the engine's."""
    try:
        return function(audio)
    except ItemFailure as failure:
        return failure


def on(tensor: torch.Tensor, device: torch.device | str) -> torch.Tensor:
    """`tensor` on `device`: to CUDA through pinned memory, so that the copy waits for nothing."""
    if str(device).startswith("cuda"):
        return tensor.pin_memory().to(device, non_blocking=True)
    return tensor.to(device)


class Workers:
    """A pool of threads, each of which computes on one core.

    A call at a time on one thread gives the same bits whatever runs beside it and however many
    threads there are; on a CPU it is also faster than one call on all cores.

    threads: with 1, all runs in the calling thread, and several threads may call at once.
    torch: the threads run torch, whose own threads are limited to one in each.
    """

    def __init__(self, threads: int | None = None, *, torch: bool = False) -> None:
        self.threads = max(1, threads or os.cpu_count() or 1)
        self._torch = torch
        self._pool = ThreadPoolExecutor(
            self.threads, "judge", initializer=_one_torch_thread if torch else None
        )

    def map(self, function: Callable[[T], R], items: Iterable[T]) -> list[R]:
        """`[function(i) for i in items]`, in order."""
        if not self._torch:
            return self._map(function, items)
        import torch

        # Kept for the caller: a worker's limit is also what torch gives to threads that come later.
        before = torch.get_num_threads()
        try:
            if self.threads == 1 and before != 1:
                torch.set_num_threads(1)
            return self._map(function, items)
        finally:
            if torch.get_num_threads() != before or self.threads > 1:
                torch.set_num_threads(before)

    def _map(self, function: Callable[[T], R], items: Iterable[T]) -> list[R]:
        if self.threads == 1:
            return [function(item) for item in items]
        return list(self._pool.map(function, items))


def _one_torch_thread() -> None:
    import torch

    torch.set_num_threads(1)
