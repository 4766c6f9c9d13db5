"""The suite's recordings, read when needed, at the rate that is needed."""

from __future__ import annotations

import hashlib
import threading
from collections import OrderedDict

from bench import audio
from bench.contracts import Samples
from bench.errors import ItemFailure
from bench.suites.load import Item, Suite

CACHE_BYTES = 1 << 29


class Originals:
    """Reads, checks and resamples the recordings of a suite; keeps the latest 512 MB of them.

    good: indices of the items whose audio can be read. failures: index → reason for the others.
    content[i]: sha256 of the file's bytes (what a tokenizer sees); digests[i]: identity of the
    16 kHz samples (what a judge sees); lengths[i]: samples at 16 kHz.
    """

    def __init__(self, suite: Suite) -> None:
        self.items: tuple[Item, ...] = suite.items
        self.failures: dict[int, str] = {}
        self.content: dict[int, str] = {}
        self.digests: dict[int, str] = {}
        self.lengths: dict[int, int] = {}
        self._lock = threading.Lock()
        self._kept: OrderedDict[tuple[int, int], Samples] = OrderedDict()
        self._bytes = 0
        for index, item in enumerate(self.items):
            try:
                data = item.read_bytes()
                self.content[index] = hashlib.sha256(data).hexdigest()[:32]
                samples = self.at(index, audio.RATE)
                if samples.size == 0:  # a few samples of a higher rate
                    raise ItemFailure("audio is empty")
            except ItemFailure as failure:
                self.failures[index] = str(failure)
                continue
            self.digests[index] = audio.digest(samples)
            self.lengths[index] = len(samples)
        self.good = sorted(self.lengths)

    def at(self, index: int, rate: int) -> Samples:
        """Recording `index` at `rate` Hz: float32 [L] in [-1, 1]."""
        key = (index, rate)
        with self._lock:
            if key in self._kept:
                self._kept.move_to_end(key)
                return self._kept[key]
        samples, source = self.items[index].load()
        samples = audio.resample(samples, source, rate)
        samples.setflags(write=False)  # shared between threads: nobody may change it
        with self._lock:
            if key not in self._kept:
                self._kept[key] = samples
                self._bytes += samples.nbytes
            while self._bytes > CACHE_BYTES:
                self._bytes -= self._kept.popitem(last=False)[1].nbytes
        return samples

    def seconds(self, index: int) -> float:
        return self.lengths[index] / audio.RATE
