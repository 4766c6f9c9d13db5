"""One evaluation: suite → encode → store → decode → judges → metrics → scores → result."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from bench import audio, device
from bench.codec import Codec
from bench.comparing import STAGE, Comparing
from bench.contracts import Samples, Utterance
from bench.judging import Judging
from bench.originals import Originals
from bench.plan import RESYNTHESIS, Plan
from bench.progress import Reporter
from bench.scheduler import Scheduler
from bench.suites.load import Suite
from bench.tracks.context import EngineContext, Split
from bench.tracks.contract import OWN, Track, TrackResult
from bench.workers import Workers

ORIGINAL = "original"


@dataclass
class Measured:
    """Everything that came out of one pass, before statistics.

    results: of each track on tokens, by name.
    """

    plan: Plan
    suite: Suite
    originals: Originals
    codec: Codec
    judging: dict[str, Judging]
    comparing: Comparing
    seconds: dict[str, float]
    context: EngineContext
    results: dict[str, TrackResult]

    def utterance(self, index: int) -> Utterance:
        return self.suite.items[index].utterance

    def close(self) -> None:
        """Close the caches, once the run's files are written."""
        self.context.close()
        self.codec.close()
        self.comparing.close()
        for judging in self.judging.values():
            judging.close()


class Pass:
    """Wires the stages of one run to the scheduler."""

    def __init__(
        self,
        plan: Plan,
        suite: Suite,
        *,
        cache: Path,
        where: str,
        reporter: Reporter,
        batch_seconds: float,
        threads: int | None = None,
        seed: int = 0,
    ) -> None:
        self.plan, self.suite, self.reporter = plan, suite, reporter
        self.threads = threads or device.workers()
        self.originals = Originals(suite)
        self.codec = Codec(
            plan.tokenizer, plan.identity, self.originals, cache, reporter, batch_seconds
        )
        self.judging = {
            name: Judging(judge, cache, reporter, where) for name, judge in plan.judges.items()
        }
        self.workers = Workers(self.threads)
        hearing = [metric for metric in plan.metrics if metric.info.needs_audio]
        self.comparing = Comparing(hearing, self.workers, cache, reporter)
        self.scheduler = Scheduler(self.threads)
        self.track_seconds: dict[str, float] = {}
        self.own = Split(OWN, suite, self.originals, self.codec)
        self.context = EngineContext(
            plan, self.own, cache, reporter, seed=seed, threads=self.threads
        )

    def run(self) -> Measured:
        """All stages; what each finished is on disk, whatever happens to the rest."""
        start = time.perf_counter()
        with self._closing():
            if RESYNTHESIS in self.plan.tracks:
                self._add_resynthesis()
            else:
                self._add_encoding(self.own)
            for split in self._other_splits():
                self._add_encoding(split)
            with _torch_settings(self.threads):
                self.scheduler.run()
                results = {t.name: self._track(t) for t in self.plan.token_tracks}
        others = [split.codec.seconds["encode"] for split in self.context.others()]
        told = {f"{n}.{key}": value for n, r in results.items() for key, value in r.timing.items()}
        seconds = {
            "encode": self.codec.seconds["encode"] + sum(others),
            "decode": self.codec.seconds["decode"],
            **self.track_seconds,
            **told,
            "judges": sum(j.seconds for j in self.judging.values()),
            "metrics": self.comparing.seconds,
            "work": time.perf_counter() - start,
        }
        return Measured(
            self.plan,
            self.suite,
            self.originals,
            self.codec,
            self.judging,
            self.comparing,
            seconds,
            self.context,
            results,
        )

    @contextmanager
    def _closing(self) -> Iterator[None]:
        try:
            yield
        finally:
            self.workers.close()

    # ----------------------------------------------------------------------------------- tracks
    def _track(self, track: Track) -> TrackResult:
        start = time.perf_counter()
        result = track.run(self.context)
        self.track_seconds[track.name] = time.perf_counter() - start
        return result

    def _other_splits(self) -> list[Split]:
        """Those that a track needs and the suite has, to be encoded beside other work."""
        names = {n: None for t in self.plan.token_tracks for n in t.splits(self.context.wanted)}
        return [split for name in names if (split := self.context.split(name)) is not None]

    def _add_encoding(self, split: Split) -> None:
        for batch in (batch for part in split.codec.plan() for batch in part):
            seconds = sum(split.originals.seconds(i) for i in batch)
            self.reporter.total(split.stage, seconds)
            self.scheduler.add("codec", partial(self._encode, split, batch, seconds))

    def _encode(self, split: Split, batch: list[int], seconds: float) -> None:
        split.codec.encode(batch)
        self.reporter.done(split.stage, seconds)

    # ------------------------------------------------------------------------------------ codec
    def _add_resynthesis(self) -> None:
        first, rest = self.codec.plan()
        decoded: list[int] = []
        for batch in first:
            self._add_codec(batch, lambda ready: decoded.extend(ready))
        self.scheduler.add("codec", lambda: self._after_calibration(decoded))
        for batch in rest:
            self._add_codec(batch, self._judge_resynthesis)
        for batch in first + rest:
            self._expect(ORIGINAL, batch)
            self._expect(RESYNTHESIS, batch)
            self._judge(ORIGINAL, batch, self._original)

    def _add_codec(self, batch: list[int], then: Callable[[list[int]], object]) -> None:
        seconds = self._heard(batch)
        self.reporter.total("encode and decode", seconds)

        def task() -> None:
            ready = self.codec.process(batch)
            self.reporter.done("encode and decode", seconds)
            for stage, lost in self._stages(RESYNTHESIS, sorted({*batch} - {*ready})).items():
                self.reporter.done(stage, lost)
            then(ready)

        self.scheduler.add("codec", task)

    def _after_calibration(self, decoded: list[int]) -> None:
        self.codec.calibrate(decoded)
        for index in decoded:
            self._judge_resynthesis([index])

    def _judge_resynthesis(self, ready: list[int]) -> None:
        if not ready:
            return
        self._judge(RESYNTHESIS, ready, self.codec.resynthesis)
        part = self._of_tasks(set(self.comparing.tasks.values()), ready)
        if part:
            self.scheduler.add(STAGE, partial(self._compare, part), limit=self.threads)

    def _compare(self, part: list[int]) -> None:
        self.comparing.process(
            [(i, self.suite.items[i].utterance, self.suite.items[i].tasks) for i in part],
            self._original,
            self.codec.resynthesis,
        )

    # ----------------------------------------------------------------------------------- judges
    def _judge(self, side: str, batch: list[int], sound: Callable[[int], Samples]) -> None:
        for name, judging in self.judging.items():
            part = self._of_tasks(self._tasks(name), batch)
            if part:
                self.scheduler.add(
                    f"judge:{name}",
                    partial(self._judge_part, judging, side, part, sound),
                    limit=self.threads if judging.judge.info.concurrent else 1,
                )

    def _judge_part(
        self, judging: Judging, side: str, part: list[int], sound: Callable[[int], Samples]
    ) -> None:
        judging.process(side, part, sound)
        self.reporter.done(f"{judging.name}, {side}", self._heard(part))

    # --------------------------------------------------------------------------------- progress
    def _expect(self, side: str, batch: list[int]) -> None:
        for stage, seconds in self._stages(side, batch).items():
            self.reporter.total(stage, seconds)

    def _stages(self, side: str, batch: list[int]) -> dict[str, float]:
        """Stage → seconds of originals in `batch` that it deals with."""
        tasks = {f"{name}, {side}": self._tasks(name) for name in self.judging}
        if side == RESYNTHESIS:
            tasks[STAGE] = set(self.comparing.tasks.values())
        parts = {stage: self._of_tasks(names, batch) for stage, names in tasks.items()}
        return {stage: self._heard(part) for stage, part in parts.items() if part}

    def _tasks(self, judge: str) -> set[str]:
        return {m.info.task for m in self.plan.metrics if judge in m.info.judges}

    def _of_tasks(self, tasks: set[str], batch: list[int]) -> list[int]:
        return [i for i in batch if tasks & self.suite.items[i].tasks]

    def _original(self, index: int) -> Samples:
        return self.originals.at(index, audio.RATE)

    def _heard(self, indices: list[int]) -> float:
        return sum(self.originals.seconds(i) for i in indices)


@contextmanager
def _torch_settings(workers: int) -> Iterator[None]:
    """Several workers share the processors: each model call then gets one of them.

    On CUDA, convolutions keep full precision, so that scores are those of a CPU.
    """
    import torch

    torch.backends.cudnn.allow_tf32 = False

    before = torch.get_num_threads()
    if workers > 1:
        torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)
