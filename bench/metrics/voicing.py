"""Voicing error: frames voiced on one side only (%, 0 to 100, 0 is best).

Voiced where the autocorrelation method of Boersma 1993 (`bench.f0`) finds a pitch of 60 to 600 Hz,
every 10 ms, over all frames of the set. The original needs 10 voiced frames; a resynthesis without
any is scored, not failed: a tokenizer that whispers has lost all voicing. Named after the voicing
decision error of Nakatani et al. 2008.
"""

from __future__ import annotations

from bench.contracts import Judged, MetricInfo, MetricRow, Sums, Utterance
from bench.errors import ItemFailure
from bench.f0 import track
from bench.metrics import _inputs

SHORTEST = 0.25  # s
FRAMES = 10  # voiced frames needed in the original


class Voicing:
    """Share of frames whose voicing differs."""

    info = MetricInfo(
        name="voicing",
        version="1",
        task="signal",
        rows=(
            MetricRow(
                name="voicing_error",
                unit="%",
                higher_is_better=False,
                source="Nakatani et al. 2008, F0 by Boersma 1993",
                description="Frames voiced in the original or the resynthesis only.",
                scale=100.0,
                identity=0.0,
                bounds=(0.0, 1.0),
            ),
        ),
        needs_audio=True,
    )

    def score(self, utterance: Utterance, original: Judged, audio: Judged) -> dict[str, Sums]:
        """Differing frames over all frames of one utterance."""
        a, b = (track(samples) > 0 for samples in _inputs.pair(original, audio, SHORTEST))
        if int(a.sum()) < FRAMES:
            raise ItemFailure(f"original has {int(a.sum())} voiced frames, under {FRAMES}")
        return {"voicing_error": Sums(float((a != b).sum()), float(len(a)))}


def load() -> Voicing:
    """The metric."""
    return Voicing()
