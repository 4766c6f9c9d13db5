"""Judges over originals and resyntheses, each recording once, with their answers on disk."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from pathlib import Path

from bench import audio
from bench.codec import reason_of, robustly
from bench.contracts import Judge, Judgement, Samples
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
            made = robustly(lambda part: self._call(part, clips), todo, self.reporter.warn)
            spent = time.perf_counter() - start
            entries = {}
            for i, outcome in made.items():
                entry = self._entry(outcome)
                if not isinstance(outcome, Exception) or isinstance(outcome, ItemFailure):
                    entries[keys[i]] = pack_json(entry)
                self._keep(side, i, entry)
            self.store.put(entries)
            with self._lock:
                self.seconds += spent
        stage = f"{self.name}, {side}"
        self.reporter.done(stage, sum(len(c) for c in clips.values()) / audio.RATE)

    def _call(self, part: list[int], clips: dict[int, Samples]) -> list[Judgement | Exception]:
        rate = self.judge.info.sample_rate
        heard = [audio.resample(clips[i], audio.RATE, rate) for i in part]
        return self.judge.judge(heard)

    def _entry(self, outcome: Judgement | Exception) -> Judgement:
        if isinstance(outcome, Exception):
            return {_FAILURE: reason_of(outcome)}
        lacking = set(self.judge.info.outputs) - set(outcome)
        if lacking:
            return {_FAILURE: f"judge gave no '{sorted(lacking)[0]}'"}
        return outcome

    def _keep(self, side: str, index: int, entry: Judgement) -> None:
        reason = entry.get(_FAILURE)
        with self._lock:
            self.outcomes[side, index] = str(reason) if reason is not None else entry

    def close(self) -> None:
        self.store.close()
