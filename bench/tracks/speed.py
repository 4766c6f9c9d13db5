"""The track `speed`: how fast, how late, how large, and does it know the future?

Look-ahead and what `stream()` gives are the same in every run. Times and memory are of one
machine and one moment: their rows say which machine, nothing of this track is in
`scores.parquet`, and so no comparison ranks it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

from bench.device import processor
from bench.tracks import speed_rows as rows
from bench.tracks.contract import TokenContext, TrackResult
from bench.tracks.rows import absent
from bench.tracks.speed_ahead import look_ahead
from bench.tracks.speed_size import memory, weights
from bench.tracks.speed_stream import streaming
from bench.tracks.speed_times import alone, in_batches


class SpeedTrack:
    name = rows.TRACK
    version = "1"
    rows = rows.ROWS

    def splits(self, wanted: Callable[[str], bool]) -> tuple[str, ...]:
        """None but the run's own."""
        return ()

    def run(self, context: TokenContext) -> TrackResult:
        """All wanted rows."""
        result = TrackResult()
        items = context.items()
        if not items:  # every utterance failed, and is listed
            result.rows |= {
                row.name: absent(row, "no utterance could be encoded; see failures")
                for row in self.rows
                if context.wanted(row.name)
            }
            return result
        machine = processor(str(context.identity.get("device", "cpu")))
        with one_thread():
            alone(context, items, result, machine)
            in_batches(context, items, result, machine)
            held, ahead = TrackResult(), TrackResult()
            with ThreadPoolExecutor(1) as pool:  # neither is timed, and memory is another process's
                waiting = pool.submit(memory, context, items, held, machine)
                look_ahead(context, items, ahead)
                waiting.result()
            result.add(held)
            weights(context, result)
            result.add(ahead)
            streaming(context, items, result, machine)
        return result


@contextmanager
def one_thread() -> Iterator[None]:
    """Torch on one processor inside, whatever the run's number of threads is."""
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


TRACK = SpeedTrack()
