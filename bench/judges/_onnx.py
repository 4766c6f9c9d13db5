"""The weights in an ONNX file, without the onnx package: enough of protobuf's wire format."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

# Field numbers of onnx.proto.
_MODEL_GRAPH, _GRAPH_INITIALIZER = 7, 5
_DIMS, _TYPE, _FLOATS, _NAME, _RAW = 1, 2, 4, 8, 9
_FLOAT = 1


def read_weights(path: Path) -> dict[str, npt.NDArray[np.float32]]:
    """Name → float32 initializer of the graph in `path`; those of other types are left out."""
    found = {}
    for graph in _all(path.read_bytes(), _MODEL_GRAPH):
        for tensor in _all(graph, _GRAPH_INITIALIZER):
            fields = list(_fields(tensor))
            if (_TYPE, _FLOAT) not in fields:
                continue
            shape: list[int] = []
            for number, value in fields:
                if number == _DIMS:
                    shape += [value] if isinstance(value, int) else _varints(value)
            data = b"".join(value for number, value in fields if number in (_RAW, _FLOATS))
            (name,) = (value for number, value in fields if number == _NAME)
            found[name.decode()] = np.frombuffer(data, "<f4").reshape(shape)
    return found


def _all(message: bytes, number: int) -> list[bytes]:
    return [value for n, value in _fields(message) if n == number]


def _fields(message: bytes) -> Iterator[tuple[int, Any]]:
    """(field number, value) of a message: int for a varint, else bytes."""
    at = 0
    while at < len(message):
        key, at = _varint(message, at)
        number, kind = key >> 3, key & 7
        if kind == 0:
            value, at = _varint(message, at)
            yield number, value
            continue
        if kind == 2:
            size, at = _varint(message, at)
        elif kind in (1, 5):
            size = 8 if kind == 1 else 4
        else:
            raise ValueError(f"wire type {kind} is not protobuf")
        yield number, message[at : at + size]
        at += size


def _varints(packed: bytes) -> list[int]:
    found, at = [], 0
    while at < len(packed):
        value, at = _varint(packed, at)
        found.append(value)
    return found


def _varint(data: bytes, at: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = data[at]
        value |= (byte & 127) << shift
        at, shift = at + 1, shift + 7
        if byte < 128:
            return value, at
