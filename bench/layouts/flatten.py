"""Flatten: all streams in one sequence, one id a position, in the order of time."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from bench.contracts import Stream
from bench.layouts.base import Cost, Form, Layout, Places


def interleaved(streams: Sequence[Stream], which: Sequence[int], lengths: Sequence[int]) -> Places:
    """One column with the ids of the streams `which` in the order of time, [ΣN_k, 1].

    The n-th id of a stream of rate r is at n/r seconds; at one time the streams come in order.
    So equal rates give frame after frame, and rates of 1:2:4 the order that SNAC models use
    (1, 2, 3, 3, 2, 3, 3). Streams without a fixed rate count as of one rate.
    """
    stream = np.concatenate([np.full(lengths[k], k, dtype=np.int64) for k in which])
    index = np.concatenate([np.arange(lengths[k], dtype=np.int64) for k in which])
    time = np.concatenate([np.arange(lengths[k]) / (streams[k].rate or 1.0) for k in which])
    order = np.lexsort((stream, time))
    return Places(stream[order][:, None], index[order][:, None])


class Flatten(Layout):
    """One sequence of ΣN_k positions, vocabulary ΣV_k: K·F steps a second, nothing assumed.

    Streams of different fixed rates are merged by time.
    """

    name = "flatten"
    source = "MusicGen (Copet et al., 2023), section 2.2; AudioLM (Borsos et al., 2022)"

    def __init__(self, streams: Sequence[Stream]) -> None:
        super().__init__(streams)
        if any(s.rate is None for s in streams):
            self._one_rate(range(len(streams)))
        self.forms = (Form("all", (tuple(range(len(streams))),)),)

    def places(self, lengths: Sequence[int]) -> tuple[Places, ...]:
        """[ΣN_k, 1]; streams of one rate must have one length."""
        every = range(len(self.streams))
        if len({s.rate for s in self.streams}) == 1:
            self._one_length(every, lengths)
        return (interleaved(self.streams, every, lengths),)

    def cost_of(self, counts: Sequence[float]) -> Cost:
        steps = sum(counts)
        return Cost(steps, steps, 0.0, 0, 1, 1.0)
