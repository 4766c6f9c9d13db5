"""The rows of the track `tokens`; docs/tokens.md says how to read each."""

from __future__ import annotations

import math

from bench.contracts import MetricRow

BUDGET = 10_000  # ids of a stream at which the vocabulary's use is compared between tokenizers
MERGES = {"bpe_1k": 1000, "bpe_4k": 4000}

_ENTROPY = "Shannon 1948; Miller 1955"
_STAB = "STAB (arXiv:2409.02384)"
_HUBERT = "HuBERT (arXiv:2106.07447)"
_BOUNDARY = "Räsänen et al. 2009"
_ABX = "Schatz 2016; Libri-light (arXiv:1912.07875)"
_BPE = "acoustic BPE (arXiv:2310.14580), codec-bpe"
_EDIT = "unit edit distance (arXiv:2209.15483)"


def _row(
    name: str,
    unit: str,
    better: bool,
    source: str,
    description: str,
    bounds: tuple[float, float] = (0.0, math.inf),
) -> MetricRow:
    scale = 100.0 if unit == "%" else 1.0
    return MetricRow(name, unit, better, source, description, scale=scale, bounds=bounds)


_SHARE = (0.0, 1.0)

FRAME_RATE = _row(
    "frame_rate", "frames/s", False, _STAB, "ids a second of the stream that has the most"
)
DEDUP = _row("dedup_rate", "%", False, _STAB, "ids left when repetitions go, by stream", _SHARE)
SUMS = (FRAME_RATE, DEDUP)

ENTROPY_RATE = _row(
    "entropy_rate", "bit/s", False, _ENTROPY, "Σ streams ids/s · H(id), with side information"
)
CONDITIONAL_RATE = _row(
    "conditional_entropy_rate", "bit/s", False, _ENTROPY, "the same with H(id | the id before)"
)
NORMALISED = _row(
    "normalised_entropy", "%", True, _ENTROPY, "entropy over the bitrate of the ids", _SHARE
)
PERPLEXITY = _row(
    "perplexity", "ids", True, _ENTROPY, "2^H, geometric mean of the streams", (1.0, math.inf)
)
PERPLEXITY_BUDGET = _row(
    "perplexity_10k", "ids", True, _ENTROPY, "the same among 10,000 ids a stream", (1.0, math.inf)
)
UTILISATION = _row("utilisation", "%", True, _STAB, "vocabulary that occurs", _SHARE)
UTILISATION_BUDGET = _row(
    "utilisation_10k", "%", True, "Hurlbert 1971", "the same among 10,000 ids a stream", _SHARE
)
ZIPF = _row(
    "zipf_exponent",
    "slope",
    False,
    "Zipf 1949",
    "−slope of log frequency over log rank, mean of the streams",
    (-math.inf, math.inf),
)
CODE = (
    ENTROPY_RATE,
    CONDITIONAL_RATE,
    NORMALISED,
    PERPLEXITY,
    PERPLEXITY_BUDGET,
    UTILISATION,
    UTILISATION_BUDGET,
    ZIPF,
)

BPE = tuple(
    _row(name, "%", False, _BPE, f"length after {count} merges learnt on train", _SHARE)
    for name, count in MERGES.items()
)
BPE_NEW = _row(
    "bpe_oov", "%", False, _BPE, "tokens of the test's own merges that train's lack", _SHARE
)

PURITY = _row("phone_purity", "%", True, _HUBERT, "frames whose id's commonest phone is theirs",
              _SHARE)  # fmt: skip
PURITY_CHANCE = _row("phone_purity_chance", "%", True, _HUBERT, "the same with ids turned in time",
                     _SHARE)  # fmt: skip
CLUSTER = _row("cluster_purity", "%", True, _HUBERT, "frames whose phone's commonest id is theirs",
               _SHARE)  # fmt: skip
CLUSTER_CHANCE = _row("cluster_purity_chance", "%", True, _HUBERT,
                      "the same with ids turned in time", _SHARE)  # fmt: skip
PNMI = _row("pnmi", "", True, _HUBERT, "I(phone; id)/H(phone)", _SHARE)
PNMI_CHANCE = _row("pnmi_chance", "", True, _HUBERT, "the same with ids turned in time", _SHARE)
PNMI_CORRECTED = _row("pnmi_corrected", "", True, "Vinh et al. 2010", "pnmi beyond chance",
                      (-math.inf, 1.0))  # fmt: skip
PHONES = (
    PURITY,
    PURITY_CHANCE,
    CLUSTER,
    CLUSTER_CHANCE,
    PNMI,
    PNMI_CHANCE,
    PNMI_CORRECTED,
)

PRECISION = _row("boundary_precision", "%", True, _BOUNDARY,
                 "changes of id within 20 ms of a phone boundary", _SHARE)  # fmt: skip
RECALL = _row("boundary_recall", "%", True, _BOUNDARY,
              "phone boundaries within 20 ms of a change of id", _SHARE)  # fmt: skip
F1 = _row("boundary_f1", "%", True, _BOUNDARY, "harmonic mean of the two", _SHARE)
R_VALUE = _row("boundary_r_value", "", True, _BOUNDARY, "agreement that punishes too many changes",
               (-math.inf, 1.0))  # fmt: skip
BOUNDARIES = (PRECISION, RECALL, F1, R_VALUE)

ABX_WITHIN = _row("abx_within", "%", False, _ABX, "errors on ids, one speaker", _SHARE)
ABX_ACROSS = _row("abx_across", "%", False, _ABX, "errors on ids, X by another speaker", _SHARE)
ABX_CODES_WITHIN = _row(
    "abx_codes_within", "%", False, _ABX, "errors on code vectors, one speaker", _SHARE
)
ABX_CODES_ACROSS = _row(
    "abx_codes_across", "%", False, _ABX, "errors on code vectors, X by another speaker", _SHARE
)
ABX = (ABX_WITHIN, ABX_ACROSS, ABX_CODES_WITHIN, ABX_CODES_ACROSS)

_CHANGES = {
    "change_white_20db": "white noise, 20 dB below the speech",
    "change_white_10db": "white noise, 10 dB below the speech",
    "change_babble_20db": "six other voices, 20 dB below the speech",
    "change_babble_10db": "six other voices, 10 dB below the speech",
    "change_gain_up": "6 dB louder",
    "change_gain_down": "6 dB softer",
    "change_shift_5ms": "5 ms later",
    "change_shift_10ms": "10 ms later",
    "change_resampling": "resampled to 1.5 times the rate and back",
    "change_reencoding": "its own output, encoded again",
}
CHANGES = tuple(
    _row(name, "%", False, _EDIT, f"ids that change: {what}", _SHARE)
    for name, what in _CHANGES.items()
)
REENCODING = CHANGES[-1]

ROWS = (
    *SUMS,
    *CODE,
    *BPE,
    BPE_NEW,
    *PHONES,
    *BOUNDARIES,
    *ABX,
    *CHANGES,
)
