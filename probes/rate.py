"""How fast, how high and how loud: values that any code of the sound should hold (R²)."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Sequence

import numpy as np

from bench.probing.contract import Ids, Labels
from bench.probing.kinds import Regression, row
from bench.tracks.contract import OWN, TRAIN, TokenItem

RATE = 16_000
MOST = {TRAIN: 300, OWN: 200}  # utterances measured, of other splits 80: F0 takes its time
SECONDS = (0.5, 2.5)  # least length, and how much of the middle is heard for F0
SILENT = {"SIL", "sil", "sp", "spn", ""}
R2 = "coefficient of determination"
BOUNDS = (-math.inf, 1.0)


class Rate(Regression):
    task, version = "rate", "1"
    rows = (
        row("rate_speaking", "R²", True, R2, "phones (or letters) a second of speech", BOUNDS),
        row("rate_f0", "R²", True, R2, "mean log F0 of voiced frames", BOUNDS),
        row("rate_energy", "R²", True, R2, "level in dB", BOUNDS),
    )

    def wants(self, item: TokenItem) -> bool:
        return item.seconds >= SECONDS[0]

    def validate(self, items: Sequence[TokenItem], train: Ids) -> Labels:
        """Measures so many utterances of each split, chosen by a hash of their ids."""
        order = sorted(range(len(items)), key=lambda i: _hash(items[i].utterance.id))
        left = dict(MOST)
        self._chosen = set()
        for i in order:
            split = items[i].split
            left.setdefault(split, 80)
            if left[split] > 0:
                left[split] -= 1
                self._chosen.add(items[i].utterance.id)
        return super().validate(items, train)

    def measure(self, item: TokenItem) -> list[float]:
        """Phones a second (letters where none are aligned), ln Hz, dB; NaN where there is none."""
        if item.utterance.id not in self._chosen:
            return [math.nan] * 3
        from bench.f0 import track

        samples = item.audio(RATE).astype(np.float64)
        power = float(np.mean(np.square(samples)))
        half = int(SECONDS[1] * RATE) // 2
        middle = len(samples) // 2
        f0 = track(samples[max(0, middle - half) : middle + half])
        voiced = f0[f0 > 0]
        return [
            _speaking(item),
            float(np.log(voiced).mean()) if len(voiced) else math.nan,
            10 * math.log10(power) if power > 0 else math.nan,
        ]


def _speaking(item: TokenItem) -> float:
    if item.phones:
        spoken = [s for s in item.phones if s.label not in SILENT]
        lasting = sum(s.end - s.start for s in spoken)
        return len(spoken) / lasting if lasting > 0 else math.nan
    letters = sum(c.isalnum() for c in item.utterance.text or "")
    return letters / item.seconds if letters else math.nan


def _hash(name: str) -> str:
    return hashlib.sha256(name.encode()).hexdigest()


def load() -> Rate:
    return Rate()
