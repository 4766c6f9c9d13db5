"""Judges over originals and resyntheses, each recording once, with their answers on disk."""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from bench import audio
from bench.codec import reason_of, robustly
from bench.contracts import Judge, Judgement, Output, Samples
from bench.errors import ItemFailure
from bench.progress import Reporter
from bench.store import Store, key_of, pack_json, unpack_json

Outcome = Judgement | str  # a judgement, or the reason why there is none
_FAILURE = "failure"


class Judging:
    """One judge with its cache, keyed by the samples it hears: originals serve every tokenizer."""

    def __init__(self, judge: Judge, cache: Path, reporter: Reporter, device: str) -> None:
        self.judge = judge
        self.name = judge.info.name
        key = key_of(kind="judge", name=self.name, version=judge.info.version, device=device)
        self.store = Store(cache / "judges" / f"{self.name}-{key}.sqlite")
        self.reporter = reporter
        self.seconds = 0.0
        self.outcomes: dict[tuple[str, int], Outcome] = {}
        self._lock = threading.Lock()

    def process(self, side: str, batch: list[int], sound: Callable[[int], Samples]) -> None:
        """Judge recordings `sound(i)` (16 kHz) for i in `batch`; fills `outcomes[side, i]`."""
        clips = {i: sound(i) for i in batch}
        keys = {i: audio.digest(clip) for i, clip in clips.items()}
        todo = []
        for i, key in keys.items():
            known = self.store.get(key)
            if known is None:
                todo.append(i)
            else:
                self._keep(side, i, unpack_json(known))
        if todo:
            start = time.perf_counter()
            made: dict[int, Judgement | Exception] = {}
            for part in self._calls(todo, clips):
                made |= robustly(lambda p: self._call(p, clips), part, self.reporter.warn)
            spent = time.perf_counter() - start
            entries = {}
            for i, outcome in made.items():
                entry = self._entry(outcome)
                if isinstance(outcome, ItemFailure) or _FAILURE not in entry:
                    entries[keys[i]] = pack_json(entry)
                self._keep(side, i, entry)
            self.store.put(entries)
            with self._lock:
                self.seconds += spent

    def _calls(self, todo: list[int], clips: dict[int, Samples]) -> Iterator[list[int]]:
        """`todo` in parts of no more seconds than the judge wants at once."""
        part: list[int] = []
        room = limit = self.judge.info.max_batch_seconds * audio.RATE
        for i in todo:
            if part and len(clips[i]) > room:
                yield part
                part, room = [], limit
            part.append(i)
            room -= len(clips[i])
        if part:
            yield part

    def _call(self, part: list[int], clips: dict[int, Samples]) -> list[Judgement | Exception]:
        rate = self.judge.info.sample_rate
        heard = [audio.resample(clips[i], audio.RATE, rate) for i in part]
        return self.judge.judge(heard)

    def _entry(self, outcome: Judgement | Exception) -> Judgement:
        if isinstance(outcome, Exception):
            return {_FAILURE: reason_of(outcome)}
        if not isinstance(outcome, dict):
            return {_FAILURE: f"judge gave {type(outcome).__name__}, not a dict of outputs"}
        entry: Judgement = {}
        for name in {**dict.fromkeys(self.judge.info.outputs), **outcome}:
            if name not in outcome:
                return {_FAILURE: f"judge gave no '{name}'"}
            value = _plain(outcome[name])
            if value is None:
                return {_FAILURE: f"judge gave {name} = {outcome[name]!r:.80}"}
            entry[name] = value
        return entry

    def _keep(self, side: str, index: int, entry: Judgement) -> None:
        reason = entry.get(_FAILURE)
        with self._lock:
            self.outcomes[side, index] = str(reason) if reason is not None else entry

    def close(self) -> None:
        self.store.close()


def _plain(value: Any) -> Output | None:
    """A judge's output as text, a finite number or a list of them; None for anything else."""
    if isinstance(value, str):
        return value
    try:
        numbers = np.asarray(value, dtype=np.float64)
    except (TypeError, ValueError):
        return None
    if numbers.ndim == 0:
        return float(numbers) if math.isfinite(numbers) else None
    return numbers.tolist() if numbers.ndim == 1 and np.isfinite(numbers).all() else None
