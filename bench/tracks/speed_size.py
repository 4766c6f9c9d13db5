"""Size: the weights that a tokenizer holds, and the memory that a process with it needs."""

from __future__ import annotations

import gc
import resource
import sys
from collections.abc import Mapping, Sequence
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from pathlib import Path
from types import FunctionType, MethodType, ModuleType
from typing import Any

import numpy as np

from bench import workers
from bench.codec import reason_of
from bench.contracts import AudioBatch, Samples, Tokenizer
from bench.registry import plugin
from bench.tracks import speed_rows as rows
from bench.tracks.contract import TokenContext, TokenItem, TrackResult
from bench.tracks.rows import absent
from bench.tracks.speed_ahead import by_hash

SECONDS = 10.0
OPAQUE = ("onnxruntime", "ai_edge_litert", "tflite_runtime", "piper")
"""Packages whose objects hold weights that cannot be counted from outside."""
ENOUGH = 100_000  # objects to look at


# -------------------------------------------------------------------------------------- weights
@dataclass
class Held:
    """numbers: in modules, tensors and arrays of floats; serialised: bytes of whole graphs;
    opaque: packages that hold weights of their own."""

    numbers: int
    serialised: int
    opaque: tuple[str, ...]


def held(tokenizer: object) -> Held:
    """What hangs on the tokenizer's attributes, each thing once.

    Of a torch module everything in its state that is a float: parameters, and codebooks kept as
    buffers.
    """
    torch = sys.modules.get("torch")
    seen: dict[int, object] = {}  # kept, so that no id is given twice
    todo: list[object] = [tokenizer]
    numbers: dict[int, int] = {}
    serialised = 0
    opaque: set[str] = set()
    while todo and len(seen) < ENOUGH:
        one = todo.pop()
        if id(one) in seen or isinstance(one, type | ModuleType | FunctionType):
            continue
        seen[id(one)] = one
        package = type(one).__module__.partition(".")[0]
        if package in OPAQUE:
            opaque.add(package)
        elif torch is not None and isinstance(one, torch.nn.Module):
            every = [*one.parameters(), *one.buffers()]
            numbers |= {t.data_ptr(): t.numel() for t in every if t.is_floating_point()}
            todo += [v for k, v in vars(one).items() if not k.startswith("_")]
        elif torch is not None and isinstance(one, torch.Tensor):
            if one.is_floating_point():
                numbers[one.data_ptr()] = one.numel()
        elif isinstance(one, np.ndarray):
            if np.issubdtype(one.dtype, np.floating):
                numbers[one.ctypes.data] = one.size
        elif isinstance(one, bytes):
            serialised += len(one)
        elif isinstance(one, Mapping):
            todo += one.values()
        elif isinstance(one, list | tuple | set | frozenset):
            todo += one
        elif isinstance(one, MethodType):
            todo.append(one.__self__)
        elif hasattr(one, "__dict__") and package != "logging":
            todo += vars(one).values()
    return Held(sum(numbers.values()), serialised, tuple(sorted(opaque)))


def weights(context: TokenContext, result: TrackResult) -> None:
    """The row of parameters: what can be counted, beside what is declared."""
    row = rows.PARAMETERS
    if not context.wanted(row.name):
        return
    found, declared = held(context.tokenizer), context.info.parameters
    told = f"declared: {declared:,}"
    result.details["weights"] = {
        "counted": found.numbers, "serialised_bytes": found.serialised,
        "uncounted": list(found.opaque), "declared": declared,
    }  # fmt: skip
    lack = []
    if found.serialised:
        lack.append(f"{found.serialised / 1e6:.1f} MB of serialised graphs")
    if found.opaque:
        lack.append(f"weights inside {', '.join(found.opaque)}")
    if lack or (declared and not found.numbers):
        what = " and ".join(lack) or "no module or array with weights"
        result.rows[row.name] = absent(row, f"unknown: it holds {what}; {told}")
        return
    result.rows[row.name] = rows.single(row, float(found.numbers), 1, f"counted; {told}")


# --------------------------------------------------------------------------------------- memory
def high_water() -> tuple[int, str]:
    """Most bytes that were resident in this process, and who says so."""
    try:
        for line in Path("/proc/self/status").read_text(encoding="utf-8").splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024, "high-water mark of the resident set (VmHWM)"
    except OSError:  # not on Linux
        pass
    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return most * (1 if sys.platform == "darwin" else 1024), "ru_maxrss"


def use(
    name: str, options: Mapping[str, Any], device: str, clip: Samples, text: str | None
) -> dict[str, Any]:
    """In a fresh process: load, encode and decode; bytes before, after loading and at most."""
    before, way = high_water()
    tokenizer: Tokenizer = plugin("tokenizers", name).load(device=device, **options)
    loaded, _ = high_water()
    batch = AudioBatch.of([clip], tokenizer.info.sample_rate, [text])
    tokenizer.decode(tokenizer.encode(batch))
    most, _ = high_water()
    told: dict[str, Any] = {"before": before, "loaded": loaded, "most": most, "way": way}
    if device == "cuda":
        import torch

        told["device"] = torch.cuda.max_memory_allocated()
    gc.collect()
    return told


def memory(
    context: TokenContext, items: Sequence[TokenItem], result: TrackResult, machine: str
) -> None:
    """The row of peak memory: of a fresh process, which holds nothing but the tokenizer."""
    row = rows.MEMORY
    if not context.wanted(row.name):
        return
    name = str(context.identity.get("tokenizer"))
    device = str(context.identity.get("device", "cpu"))
    clip, text = _speech(items, context.info.sample_rate)
    try:
        told = workers.once(use, name, dict(context.options), device, clip, text)
    except BrokenProcessPool:
        result.rows[row.name] = absent(row, "the process that was to measure it died", 1)
        return
    except Exception as error:
        lack = f"it could not be measured in a process of its own: {reason_of(error)}"
        result.rows[row.name] = absent(row, lack, 1)
        return
    for key in ("before", "loaded", "most"):
        result.timing[f"memory {key}, MB"] = told[key] / 1e6
    way = f"{told['way']} of a fresh process"
    most = told["most"]
    if "device" in told:
        most, way = told["device"], "torch.cuda.max_memory_allocated of a fresh process"
    result.rows[row.name] = rows.single(row, float(most), 1, f"{machine}; {way}")


def _speech(items: Sequence[TokenItem], rate: int) -> tuple[Samples, str | None]:
    """SECONDS of speech, of as many utterances as that takes, and their texts."""
    clips: list[Samples] = []
    texts: list[str | None] = []
    chosen = by_hash(items, 1.0)
    while chosen and sum(map(len, clips)) < SECONDS * rate:
        item = chosen[len(clips) % len(chosen)]
        clips.append(item.audio(rate))
        texts.append(item.utterance.text)
    whole = np.concatenate(clips)[: int(SECONDS * rate)]
    return whole, None if None in texts else " ".join(str(t) for t in texts)
