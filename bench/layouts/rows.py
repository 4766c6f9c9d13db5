"""Layouts of one row a frame: parallel, delay (MusicGen), temporal + depth, text-aligned."""

from __future__ import annotations

from collections.abc import Sequence

from bench.contracts import Stream
from bench.errors import UserError
from bench.layouts.base import Cost, Form, Layout, Places, row_places


class Rows(Layout):
    """Column k holds stream k, `delays[k]` rows late: S = T + max(delays) rows, H = K."""

    def __init__(self, streams: Sequence[Stream], delays: Sequence[int] | None = None) -> None:
        """delays: rows [K], 0 or more, the smallest 0; none are late if None."""
        super().__init__(streams)
        self._one_rate(range(len(streams)))
        self.delays = tuple(delays) if delays is not None else (0,) * len(streams)
        if len(self.delays) != len(streams) or min(self.delays) != 0:
            raise UserError(
                f"layout {self.name}: delays {list(self.delays)}; give {len(streams)} whole "
                "numbers, the smallest of them 0"
            )
        self.forms = (
            Form("rows", tuple((k,) for k in range(len(streams))), padded=max(self.delays) > 0),
        )

    def places(self, lengths: Sequence[int]) -> tuple[Places, ...]:
        """[T + max(delays), K]."""
        every = range(len(self.streams))
        return (row_places(every, self.delays, self._one_length(every, lengths)),)

    def cost_of(self, counts: Sequence[float]) -> Cost:
        late = max(self.delays)
        steps = counts[0] + late
        return Cost(steps, steps, 0.0, 0, len(self.streams), 1.0 + late)


class Parallel(Rows):
    """All ids of a frame at once: K heads, taken as independent of each other given the past."""

    name = "parallel"
    source = "MusicGen (Copet et al., 2023), section 2.2"

    def __init__(self, streams: Sequence[Stream]) -> None:
        super().__init__(streams)


class Delay(Rows):
    """Book k is k rows late, so it is predicted when the books under it are known.

    The ids before a book's first and after its last are padding, id V_k. MusicGen's own sequence
    begins with one more row of padding, the start token, which is the model's and not counted.
    """

    name = "delay"
    source = "MusicGen (Copet et al., 2023), section 2.2; audiocraft DelayedPatternProvider"

    def __init__(self, streams: Sequence[Stream], delays: Sequence[int] | None = None) -> None:
        """delays: rows by which each stream is late, 0, 1, …, K − 1 if None."""
        super().__init__(streams, range(len(streams)) if delays is None else delays)


class TemporalDepth(Rows):
    """One step of a large model a frame, then K steps of a small one over the ids of the frame.

    late: rows by which all streams but the first wait (Moshi's acoustic delay: 1 or 2).
    """

    name = "temporal+depth"
    source = "Moshi (Défossez et al., 2024), section 3.4; RQ-Transformer (Lee et al., 2022)"

    def __init__(self, streams: Sequence[Stream], *, late: int = 0) -> None:
        super().__init__(streams, [0, *(late for _ in streams[1:])])

    def cost_of(self, counts: Sequence[float]) -> Cost:
        rows = counts[0] + max(self.delays)
        return Cost(rows, rows, len(self.streams) * rows, 0, 1, 1.0 + max(self.delays))


class TextAligned(Rows):
    """One row a text token, with that token's speech ids: one head a stream.

    For tokenizers whose streams follow the text: a stream is called "text", none has a fixed rate,
    all have the text's length. A frame is a text token here.
    """

    name = "text-aligned"
    source = "TASTE (Tseng et al., 2025)"

    def __init__(self, streams: Sequence[Stream]) -> None:
        super().__init__(streams)
        if any(s.rate is not None for s in streams) or all(s.name != "text" for s in streams):
            raise UserError(
                f"layout {self.name} is for streams that follow the text: one called 'text', and "
                "none of a fixed rate"
            )
