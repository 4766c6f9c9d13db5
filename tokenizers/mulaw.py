"""Sample points as tokens: µ-law companding, the upper anchor of every resynthesis metric."""

from __future__ import annotations

import numpy as np

from bench.contracts import AudioBatch, Samples, Stream, TokenizerInfo, Tokens
from bench.errors import UserError

CARD = {
    "family": "reference",
    "sample_rate": 16_000,
    "frame_rate": 16_000.0,
    "streams": ((1, 256),),
    "kbps": 128.0,
    "licence": "none",
    "weights": (),
}


class MuLaw:
    """One id a sample: the companded amplitude in 2^bits steps (ITU-T G.711's µ = 2^bits − 1).

    y = sign(x)·ln(1 + µ|x|)/ln(1 + µ), id = round((y + 1)/2 · µ). At 8 bits and 16 kHz this is
    128 kbit/s: telephone quality with a wide band.
    """

    def __init__(self, bits: int, rate: int) -> None:
        self._mu = 2**bits - 1
        self.info = TokenizerInfo(
            name="mulaw",
            family="reference",
            sample_rate=rate,
            streams=(Stream("samples", 2**bits, float(rate)),),
            causal=True,
            licence="none",
            source="ITU-T G.711",
            training_data="none",
            revision="1",
            batching="any",
        )

    def encode(self, batch: AudioBatch) -> list[Tokens]:
        """int64 [L] for each utterance."""
        made = []
        for x in batch.items():
            y = np.sign(x) * np.log1p(self._mu * np.abs(x.astype(np.float64)))
            ids = np.rint((y / np.log1p(self._mu) + 1) / 2 * self._mu)
            made.append(Tokens((ids.astype(np.int64),)))
        return made

    def decode(self, tokens: list[Tokens]) -> list[Samples]:
        """float32 [L] for each item."""
        made = []
        for item in tokens:
            y = 2 * item.streams[0] / self._mu - 1
            x = np.sign(y) * np.expm1(np.abs(y) * np.log1p(self._mu)) / self._mu
            made.append(x.astype(np.float32))
        return made


def load(*, device: str = "cpu", bits: int = 8, rate: int = 16_000) -> MuLaw:
    """bits: 2 to 16 for each sample; rate: samples a second (Hz), 4000 to 48000."""
    if not 2 <= bits <= 16:
        raise UserError(f"mulaw: bits={bits} is not possible; choose 2 to 16")
    if not 4000 <= rate <= 48_000:
        raise UserError(f"mulaw: rate={rate} is not possible; choose 4000 to 48000 Hz")
    return MuLaw(bits, rate)
