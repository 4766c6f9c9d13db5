"""Does one thing that the contract forbids, on utterances longer than `above` seconds."""

import numpy as np

from bench.contracts import Tokens
from bench_testkit.identity import Identity

FAULTS = (
    "none",
    "raise",
    "floats",
    "range",
    "negative",
    "streams",
    "count",
    "type",
    "shape",
    "nan",
    "short",
    "long",
    "empty",
    "raise-decode",
    "oom",
)


class Broken(Identity):
    def __init__(self, fault: str, above: float) -> None:
        super().__init__(0, 0.0, "broken")
        self._fault, self._above = fault, above * 16_000

    def encode(self, batch):
        made = super().encode(batch)
        if self._fault == "oom" and len(batch) > 1:
            raise RuntimeError("CUDA out of memory. Tried to allocate 20.00 GiB")
        if self._fault == "count":
            return made[:-1]
        return [
            self._spoil(t) if n > self._above else t
            for t, n in zip(made, batch.lengths, strict=True)
        ]

    def _spoil(self, tokens):
        ids = tokens.streams[0]
        if self._fault == "raise":
            raise ZeroDivisionError("the model broke")
        spoilt = {
            "floats": (ids.astype(np.float32),),
            "range": (ids + 2**16,),
            "negative": (ids - 2**17,),
            "streams": (ids, ids),
            "shape": (ids[None],),
        }
        if self._fault == "type":
            return [1, 2, 3]
        return Tokens(spoilt.get(self._fault, tokens.streams))

    def decode(self, tokens):
        return [self._spoil_audio(x) if len(x) > self._above else x for x in super().decode(tokens)]

    def _spoil_audio(self, x):
        if self._fault == "raise-decode":
            raise ValueError("no such id")
        spoilt = {
            "nan": x * np.float32("nan"),
            "short": x[: len(x) // 2],
            "long": np.tile(x, 3),
            "empty": x[:0],
        }
        return spoilt.get(self._fault, x)


def load(*, device: str = "cpu", fault: str = "none", above: float = 0.0) -> Broken:
    return Broken(fault, above)
