"""Who speaks, among voices of the training data; and whether two recordings share an unseen one."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from bench.eer import eer, trials
from bench.probing.contract import Labels, Outputs, Values
from bench.probing.kinds import Classification, row
from bench.tracks.contract import TokenItem

UTTERANCES = 3  # of a voice, at least, that trials compare


class Speaker(Classification):
    """Verification: cosine of the last hidden layer's values, less their mean over the trials'
    recordings, for voices of the test data that no training data hold."""

    task, version = "speaker", "1"
    rows = (
        row("speaker_accuracy", "%", True, "SUPERB", "utterances whose voice is told, closed set"),
        row("speaker_eer", "%", False, "Nagrani et al. 2017", "equal error rate, unseen voices"),
    )
    uses = {"speaker_eer": ("enrol", "against")}  # noqa: RUF012
    min_seconds = 1.0

    def label(self, item: TokenItem) -> str | None:
        return item.utterance.speaker

    def score(self, outputs: Outputs, items: Sequence[TokenItem], labels: Labels) -> Values:
        """Beside the classes, a cosine for each trial: items `enrol` and `against`."""
        found = super().score(outputs, items, labels)
        counts = Counter(items[i].utterance.speaker for i in outputs.items)
        unseen = [
            n
            for n, i in enumerate(outputs.items)
            if labels.utterance[i, 0] < 0 and counts[items[i].utterance.speaker] >= UTTERANCES
        ]
        made: dict[str, list[float]] = {n: [] for n in ("enrol", "against", "same", "cosine")}
        if len({items[outputs.items[n]].utterance.speaker for n in unseen}) > 1:
            states = np.stack([outputs.hidden[n] for n in unseen]).astype(np.float64)
            states -= states.mean(axis=0)
            states /= np.maximum(np.linalg.norm(states, axis=1, keepdims=True), 1e-12)
            place = {items[outputs.items[n]].utterance.id: r for r, n in enumerate(unseen)}
            for t in trials([items[outputs.items[n]].utterance for n in unseen]):
                a, b = place[t.enrol], place[t.test]
                made["enrol"].append(float(outputs.items[unseen[a]]))
                made["against"].append(float(outputs.items[unseen[b]]))
                made["same"].append(float(t.target))
                made["cosine"].append(round(float(states[a] @ states[b]), 9))
        return {**found, **{n: np.array(v, dtype=np.float64) for n, v in made.items()}}

    def figures(self, values: Values, keep: npt.NDArray[np.bool_]) -> dict[str, float]:
        made = {**super().figures(values, keep), "speaker_eer": math.nan}
        if "cosine" in values and len(values["cosine"]):
            kept = keep[values["enrol"].astype(np.int64)] & keep[values["against"].astype(np.int64)]
            same = values["same"][kept] > 0
            if same.any() and not same.all():
                made["speaker_eer"] = eer(values["cosine"][kept], same)
        return made


def load() -> Speaker:
    return Speaker()
