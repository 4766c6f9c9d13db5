"""The rows of the track `lm`; docs/lm.md says how to read each."""

from __future__ import annotations

import math

from bench.contracts import MetricRow
from bench.layouts import Delay, Flatten, Layout, TemporalDepth

PREDICTED: dict[str, type[Layout]] = {
    "flatten": Flatten,
    "delay": Delay,
    "temporal_depth": TemporalDepth,
}
"""Layouts that are predicted, by the end of their rows' names."""

MOST_TRAIN, MOST_TEST, MOST_PAIRS = 2_000_000, 120_000, 60_000
"""Ids that are enough, utterances in the order of their ids' sha256."""

_CHEN = "Chen & Goodman 1998, interpolated modified Kneser-Ney"
_SMALL = "a transformer of fixed size and budget, see bench.lm.small"
_PAIR = "in the manner of sWUGGY (arXiv:2011.11588) and SALMon (arXiv:2409.07437)"


def _bits(name: str, source: str, description: str) -> MetricRow:
    return MetricRow(name, "bit/s", False, source, description, bounds=(0.0, math.inf))


def _pair(name: str, description: str) -> MetricRow:
    return MetricRow(name, "%", True, _PAIR, description, scale=100.0, bounds=(0.0, 1.0))


STEPS = {
    end: MetricRow(
        f"lm_steps_{end}",
        "steps/s",
        False,
        kind.source,
        f"forward steps of the large model for a second of speech, layout {kind.name}",
        bounds=(0.0, math.inf),
    )
    for end, kind in PREDICTED.items()
}
UNIGRAM = _bits("lm_unigram", _CHEN, "bits of all streams a second, from how often an id occurs")
NGRAM = {
    end: _bits(f"lm_ngram_{end}", _CHEN, f"the same under an n-gram, layout {kind.name}")
    for end, kind in PREDICTED.items()
}
SMALL = {
    end: _bits(f"lm_small_{end}", _SMALL, f"under a small transformer, layout {kind.name}")
    for end, kind in PREDICTED.items()
}
PAIRS = {
    "shuffled": _pair("lm_pairs_order", "real speech likelier than its segments shuffled"),
    "middle": _pair("lm_pairs_speaker", "than with another speaker's middle"),
    "words": _pair("lm_pairs_words", "than with two words swapped"),
}
SUITE_PAIRS = _pair("lm_pairs_suite", "the good one of the suite's own pairs likelier")
ROWS = (
    *STEPS.values(),
    UNIGRAM,
    *NGRAM.values(),
    *SMALL.values(),
    *PAIRS.values(),
    SUITE_PAIRS,
)
ALONE = (
    "predicts nothing alone: throwing information away lowers it; read it beside the WER and the "
    "speaker similarity of the resynthesis"
)
