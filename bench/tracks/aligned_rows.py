"""The rows of the track `aligned`."""

from __future__ import annotations

from bench.contracts import MetricRow

TRACK = "aligned"
SOURCE = "after TASTE (arXiv:2504.07053)"


def _share(name: str, better: bool, description: str) -> MetricRow:
    return MetricRow(name, "%", better, SOURCE, description, 100.0, bounds=(0.0, 1.0))


KEPT = (
    _share("words_kept", True, "Words within 50 ms of the original's duration."),
    MetricRow("word_pitch_error", "cents", False, SOURCE,
              "Error of a word's median F0, counted from the utterance's median.",
              bounds=(0.0, float("inf"))),
    MetricRow("voice_kept", "", True, SOURCE, "Cosine of voice embeddings with the original.",
              bounds=(-1.0, 1.0)),
)  # fmt: skip
"""With the speech tokens."""
FLOOR = tuple(
    MetricRow(f"{row.name}_floor", row.unit, row.higher_is_better, row.source,
              f"The same, speech tokens replaced by their mean: {row.description[0].lower()}"
              f"{row.description[1:]}", row.scale, bounds=row.bounds)
    for row in KEPT
)  # fmt: skip
CORRELATION = MetricRow(
    "swap_correlation", "", True, SOURCE,
    "Correlation of a swapped word's change of duration with the donor's difference.",
    bounds=(-1.0, 1.0),
)  # fmt: skip
LEAK = MetricRow(
    "swap_leak", "", False, SOURCE,
    "Change of duration of words that were not swapped, over that of those that were.",
    bounds=(0.0, float("inf")),
)  # fmt: skip
SAME_TEXT = _share("swap_same_text", True, "Swaps after which Moonshine hears the same words.")
SWAP = (CORRELATION, LEAK, SAME_TEXT)
ROWS = (*KEPT, *FLOOR, *SWAP)
