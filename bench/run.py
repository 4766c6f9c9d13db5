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
from bench.plan import Plan
from bench.progress import Reporter
from bench.scheduler import Scheduler
from bench.suites.load import Suite
from bench.workers import Workers

ORIGINAL, RESYNTHESIS = "original", "resynthesis"


@dataclass
class Measured:
    """Everything that came out of one pass, before statistics."""

    plan: Plan
    suite: Suite
    originals: Originals
    codec: Codec
    judging: dict[str, Judging]
    comparing: Comparing
    seconds: dict[str, float]

    def utterance(self, index: int) -> Utterance:
        return self.suite.items[index].utterance


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

    def run(self) -> Measured:
        """All stages; what each finished is on disk, whatever happens to the rest."""
        start = time.perf_counter()
        with self._closing():
            first, rest = self.codec.plan()
            decoded: list[int] = []
            for batch in first:
                self._add_codec(batch, lambda ready: decoded.extend(ready))
            self.scheduler.add("codec", lambda: self._after_calibration(decoded))
            for batch in rest:
                self._add_codec(batch, self._judge_resynthesis)
            for batch in first + rest:
                self._judge(ORIGINAL, batch, self._original)
            with _torch_settings(self.threads):
                self.scheduler.run()
        seconds = {
            **self.codec.seconds,
            "judges": sum(j.seconds for j in self.judging.values()),
            "metrics": self.comparing.seconds,
            "work": time.perf_counter() - start,
        }
        return Measured(
            self.plan, self.suite, self.originals, self.codec, self.judging, self.comparing, seconds
        )

    @contextmanager
    def _closing(self) -> Iterator[None]:
        try:
            yield
        finally:
            self.workers.close()

    # ------------------------------------------------------------------------------------ codec
    def _add_codec(self, batch: list[int], then: Callable[[list[int]], object]) -> None:
        seconds = self._heard(batch)
        self.reporter.total("encode and decode", seconds)

        def task() -> None:
            ready = self.codec.process(batch)
            self.reporter.done("encode and decode", seconds)
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
        if self.comparing.tasks:
            tasks = set(self.comparing.tasks.values())
            part = [i for i in ready if tasks & self.suite.items[i].tasks]
            self.reporter.total(STAGE, self._heard(part))
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
            tasks = {m.info.task for m in self.plan.metrics if name in m.info.judges}
            part = [i for i in batch if tasks & self.suite.items[i].tasks]
            if part:
                self.reporter.total(f"{name}, {side}", self._heard(part))
                info = judging.judge.info
                self.scheduler.add(
                    f"judge:{name}",
                    partial(judging.process, side, part, sound),
                    limit=self.threads if info.concurrent else 1,
                )

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
