"""A small transformer that is trained only if its bits are not on disk: a run that is interrupted,
or made again, goes on after the last model that was done."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from pathlib import Path
from threading import Lock
from typing import Any

import numpy as np

from bench.lm.laid import Item
from bench.lm.ngram import Floats
from bench.store import Store, pack_json, unpack_json


def digest(items: Sequence[Item]) -> str:
    """Of the ids of utterances, their order and their streams."""
    made = hashlib.sha256()
    for item in items:
        made.update(np.array([len(item), *map(len, item)], dtype="<i8").tobytes())
        for ids in item:
            made.update(ids.astype("<i8").tobytes())
    return made.hexdigest()[:32]


class Remembered:
    """A `Predictor`, for several threads. train: makes the trained model, called when first needed;
    key: everything that its bits depend on. parameters, history: of the model, once `bits` has
    answered."""

    def __init__(self, path: Path, key: str, streams: int, train: Callable[[], Any]) -> None:
        self._path, self._key, self._streams, self._train = path, key, streams, train
        self._model: Any = None
        self._training = Lock()
        self.parameters: int | None = None
        self.history: list[list[float]] | None = None

    def bits(self, items: Sequence[Item]) -> Floats:
        """Bits of each stream of each item [items, K]."""
        store = Store(self._path)
        try:
            name = f"{self._key}:{digest(items)}"
            data = store.get(name)
            if data is None:
                data = pack_json(self._computed(items))
                store.put({name: data})
        finally:
            store.close()
        told = unpack_json(data)
        self.parameters, self.history = told["parameters"], told["history"]
        found: Floats = np.array(told["bits"], dtype=np.float64).reshape(-1, self._streams)
        return found

    def _computed(self, items: Sequence[Item]) -> dict[str, Any]:
        with self._training:
            if self._model is None:
                self._model = self._train()
        return {
            "bits": self._model.bits(items).tolist(),
            "parameters": self._model.parameters,
            "history": self._model.history,
        }
