"""What streaming sessions share: cutting chunks of any size into whole frames."""

from __future__ import annotations

import numpy as np

from bench.contracts import Samples


class Frames:
    """Collects samples; gives whole frames of `hop` samples, and the rest with the last chunk."""

    def __init__(self, hop: int) -> None:
        self._hop = hop
        self._rest = np.zeros(0, dtype=np.float32)

    def take(self, chunk: Samples, *, last: bool) -> Samples:
        """float32 [hop·n], n ≥ 0: what is whole by now; if `last`, zero-padded to the end."""
        waiting = np.concatenate([self._rest, np.asarray(chunk, dtype=np.float32)])
        if last:
            waiting = np.pad(waiting, (0, -len(waiting) % self._hop))
        whole = len(waiting) // self._hop * self._hop
        self._rest = waiting[whole:]
        return waiting[:whole]
