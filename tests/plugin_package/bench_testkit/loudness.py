"""A judge: root mean square; gives NaN, an ItemFailure or an exception where it is told to."""

import numpy as np

from bench.contracts import JudgeInfo
from bench.errors import ItemFailure


class Loudness:
    info = JudgeInfo("loudness", "1", 16_000, ("rms",), concurrent=True)

    def judge(self, audio):
        return [self._one(x) for x in audio]

    def _one(self, x):
        if not np.any(x):
            return ItemFailure("silence has no loudness")
        return {"rms": float(np.sqrt(np.mean(np.square(x))))}


def load(*, device: str = "cpu", threads: int = 1) -> Loudness:
    return Loudness()
