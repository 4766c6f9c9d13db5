"""Speaker similarity: cosine of two voice embeddings (-1 to 1, higher is better).

Cosine between the speaker embeddings of the resynthesis and of its own original (Wan et al. 2018,
"Generalized End-to-End Loss for Speaker Verification", arXiv:1710.10467, as trained in
Resemblyzer); a perfect copy has 1. Words and channel are the same on both sides, so values are
higher than between two recordings of one person: the equal error rate of `bench.eer` answers
whether the voice still tells people apart.
"""

from __future__ import annotations

import numpy as np

from bench.contracts import Judged, MetricInfo, MetricRow, Sums, Utterance
from bench.errors import ItemFailure
from bench.metrics import _inputs


def cosine(a: _inputs.Signal, b: _inputs.Signal) -> float:
    """Cosine of two vectors [D], in [-1, 1]; ItemFailure where it is undefined."""
    if a.shape != b.shape:
        raise ItemFailure(f"embeddings of {len(a)} and {len(b)} dimensions")
    norm = float(np.linalg.norm(a) * np.linalg.norm(b))
    if norm == 0:
        raise ItemFailure("speaker embedding is zero")
    return float(np.clip(a @ b / norm, -1.0, 1.0))


class Speaker:
    """Mean over utterances of the cosine to the original."""

    info = MetricInfo(
        name="speaker",
        version="1",
        task="speaker",
        rows=(
            MetricRow(
                name="speaker_similarity",
                unit="cosine",
                higher_is_better=True,
                source="GE2E (arXiv:1710.10467), Resemblyzer",
                description="Cosine of the speaker embeddings of resynthesis and original.",
                identity=1.0,
                bounds=(-1.0, 1.0),
            ),
        ),
        judges=("resemblyzer",),
    )

    def score(self, utterance: Utterance, original: Judged, audio: Judged) -> dict[str, Sums]:
        """Cosine between the embeddings of one utterance."""
        a = _inputs.vector(original, "resemblyzer", "embedding")
        b = _inputs.vector(audio, "resemblyzer", "embedding")
        return {"speaker_similarity": Sums(cosine(a, b))}


def load() -> Speaker:
    """The metric."""
    return Speaker()
