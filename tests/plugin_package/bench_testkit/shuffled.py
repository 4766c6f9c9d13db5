"""Control: µ-law ids in shuffled order; nothing of the speech is left."""

import numpy as np

from bench.contracts import Tokens
from bench_testkit.identity import Identity


class Shuffled(Identity):
    def encode(self, batch):
        return [
            Tokens((np.random.default_rng(0).permutation(item.streams[0]),))
            for item in super().encode(batch)
        ]


def load(*, device: str = "cpu") -> Shuffled:
    return Shuffled(0, 0.0, "shuffled")
