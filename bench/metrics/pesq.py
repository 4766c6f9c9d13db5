"""Perceptual quality against the original by PESQ wideband (MOS, 1.04 to 4.64, higher is better).

ITU-T P.862.2 (2007), by the C code of the recommendation in the package `pesq`, at 16 kHz. A
perfect copy has 4.644. P.862 was made for telephone codecs that keep the waveform: a tokenizer that
speaks the same words anew scores low however good it sounds.

The C code keeps 50 utterances (stretches of speech) without a check and corrupts memory beyond
them. One takes 0.4 s at least, so recordings over 19 s are cut into equal pieces of at most 19 s,
and the value is the pieces' mean. Under 0.25 s, or where the code finds no speech in the original,
the utterance is a failure.
"""

from __future__ import annotations

import math

import numpy as np

from bench.contracts import Judged, MetricInfo, MetricRow, Sums, Utterance
from bench.errors import ItemFailure
from bench.metrics import _inputs

SHORTEST = 0.25  # s, of the C code
LONGEST = 19.0  # s: (19 s / 4 ms + 50) / 101 frames an utterance < 48
COPY = 0.999 + 4 / (1 + math.exp(-1.3669 * 4.5 + 3.8224))  # P.862.2 maps 4.5, no disturbance


class Pesq:
    """Mean over utterances of PESQ wideband."""

    info = MetricInfo(
        name="pesq",
        version="1",
        task="signal",
        rows=(
            MetricRow(
                name="pesq",
                unit="MOS",
                higher_is_better=True,
                source="ITU-T P.862.2, package pesq",
                description="PESQ wideband against the original.",
                identity=COPY,
                bounds=(0.999, COPY + 1e-4),
            ),
        ),
        needs_audio=True,
    )

    def score(self, utterance: Utterance, original: Judged, audio: Judged) -> dict[str, Sums]:
        """PESQ of one utterance."""
        from pesq import PesqError, pesq

        x, y = _inputs.pair(original, audio, SHORTEST)
        pieces = math.ceil(len(x) / (LONGEST * _inputs.RATE))
        values = []
        for a, b in zip(np.array_split(x, pieces), np.array_split(y, pieces), strict=True):
            if not np.any(a) or not np.any(b):
                raise ItemFailure("PESQ: a piece of the audio is digital silence")
            try:
                value = float(pesq(_inputs.RATE, a, b, "wb"))
            except PesqError as error:
                reason = error.args[0] if error.args else error
                reason = reason.decode() if isinstance(reason, bytes) else reason
                raise ItemFailure(f"PESQ: {reason}") from error
            if not math.isfinite(value):
                raise ItemFailure(f"PESQ gave {value}")
            values.append(value)
        return {"pesq": Sums(float(np.mean(values)))}


def load() -> Pesq:
    """The metric."""
    return Pesq()
