"""Control: 16-bit samples as ids; nothing is lost but the resampling."""

import time

import numpy as np

from bench.contracts import AudioBatch, Stream, TokenizerInfo, Tokens

HALF = 2**15


class Identity:
    def __init__(self, late: int, slow: float, name: str = "identity") -> None:
        self._late, self._slow = late, slow
        self.info = TokenizerInfo(
            name=name,
            family="reference",
            sample_rate=16_000,
            streams=(Stream("samples", 2 * HALF, 16_000.0),),
            causal=True,
            revision="1",
            batching="any",
        )

    def encode(self, batch: AudioBatch) -> list[Tokens]:
        time.sleep(self._slow)
        return [
            Tokens(((np.rint(np.clip(x, -1, 1 - 1 / HALF) * HALF) + HALF).astype(np.int64),))
            for x in batch.items()
        ]

    def decode(self, tokens: list[Tokens]) -> list[np.ndarray]:
        time.sleep(self._slow)
        made = []
        for item in tokens:
            x = ((item.streams[0] - HALF) / HALF).astype(np.float32)
            made.append(np.concatenate([np.zeros(self._late, np.float32), x]))
        return made


def load(*, device: str = "cpu", late: int = 0, slow: float = 0.0) -> Identity:
    """late: samples of delay; slow: seconds that every call takes."""
    return Identity(late, slow)
