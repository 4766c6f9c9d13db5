"""Token rate and bitrate, computed from the ids that came out; nothing is typed in by hand."""

from __future__ import annotations

import math

from bench.contracts import MetricRow, Sums, TokenizerInfo, Tokens

SOURCE = "Codec-SUPERB / Interspeech 2024 speech coding challenge: Σ_m N_m · log2 V_m / seconds"
TOKEN_RATE = MetricRow(
    "token_rate",
    "tokens/s",
    False,
    SOURCE,
    "ids of all streams for a second of speech",
    bounds=(0.0, math.inf),
)
BITRATE = MetricRow(
    "bitrate",
    "bit/s",
    False,
    SOURCE,
    "bits of all streams and side information a second",
    bounds=(0.0, math.inf),
)
ROWS = (TOKEN_RATE, BITRATE)


def bits(tokens: Tokens, info: TokenizerInfo) -> float:
    """Bits of one utterance: Σ N_k · log2 V_k + side information."""
    coded = sum(
        len(ids) * math.log2(stream.vocabulary)
        for ids, stream in zip(tokens.streams, info.streams, strict=True)
    )
    return coded + info.side_info_bits


def rates(tokens: Tokens, info: TokenizerInfo, seconds: float) -> dict[str, Sums]:
    """Row name → sums over one utterance of `seconds` seconds."""
    count = float(sum(len(ids) for ids in tokens.streams))
    return {
        TOKEN_RATE.name: Sums(count, seconds),
        BITRATE.name: Sums(bits(tokens, info), seconds),
    }
