"""A tokenizer's card: the constant `CARD` of its file, read without importing it.

    CARD = {
        "family": "codec",            # as `TokenizerInfo.family`
        "sample_rate": 24_000,        # Hz
        "frame_rate": 12.5,           # Hz; one number for each group of streams where they differ
        "streams": ((8, 2048),),      # groups of (number of streams, vocabulary)
        "kbps": 1.1,                  # kbit/s; None where it depends on the content
        "licence": "CC-BY-4.0",
        "weights": ("package:transformers", "hub:kyutai/mimi"),
    }

It tells of the variant that `load()` gives without options, and is a literal: names and calls are
not evaluated. `weights` is what must be there: `package:` a distribution that must be installed,
`file:` a file below the folder of weights, `hub:` a repository, in the folder of weights or the
Hugging Face cache, `shipped:` a file beside the plugin's own or among the
project's checkpoints.
"""

from __future__ import annotations

import ast
import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from bench.checkpoint import SHIPPED
from bench.registry import Plugin
from bench.weights import home

FIELDS = {"family", "sample_rate", "frame_rate", "streams", "kbps", "licence", "weights"}
AT_HAND = "at hand"


@dataclass(frozen=True)
class Card:
    """What a tokenizer's file tells of its default variant.

    frame_rate: Hz, one for each group of `streams`, None where it varies. streams: (number,
    vocabulary). kbps: kbit/s or None. weights: what must be there.
    """

    family: str
    sample_rate: int
    frame_rate: tuple[float | None, ...]
    streams: tuple[tuple[int, int], ...]
    kbps: float | None
    licence: str
    weights: tuple[str, ...]
    folder: Path = field(repr=False)

    def lack(self) -> str:
        """`at hand`, `to fetch`, or `needs package X`; nothing is opened or imported."""
        stated = [(kind, what) for kind, _, what in (w.partition(":") for w in self.weights)]
        for kind, what in stated:
            if kind == "package" and not _installed(what):
                return f"needs package {what}"
        places = {
            "file": _file,
            "hub": _hub,
            "shipped": lambda what: any((f / what).is_file() for f in (self.folder, SHIPPED)),
        }
        there = all(places[kind](what) for kind, what in stated if kind != "package")
        return AT_HAND if there else "to fetch"


def card(plugin: Plugin) -> Card | None:
    """The card of a plugin's file, None where it has none; ValueError for one that is wrong."""
    if plugin.path is None:
        return None
    told = _literal(plugin.path)
    if told is None:
        return None
    if not isinstance(told, dict) or set(told) != FIELDS:
        raise ValueError(f"CARD must have exactly the keys {', '.join(sorted(FIELDS))}")
    try:
        streams = tuple((int(count), int(vocabulary)) for count, vocabulary in told["streams"])
        rate = told["frame_rate"]
        rates = tuple(rate) if isinstance(rate, Sequence) else (rate,) * len(streams)
        if len(rates) != len(streams):
            raise ValueError("CARD has another number of frame rates than of streams")
        kinds = {w.partition(":")[0] for w in told["weights"]}
        if not kinds <= {"package", "file", "hub", "shipped"}:
            raise ValueError("CARD: weights are package:, file:, hub: or shipped:")
        return Card(
            family=str(told["family"]),
            sample_rate=int(told["sample_rate"]),
            frame_rate=tuple(None if r is None else float(r) for r in rates),
            streams=streams,
            kbps=None if told["kbps"] is None else float(told["kbps"]),
            licence=str(told["licence"]),
            weights=tuple(told["weights"]),
            folder=plugin.path.parent,
        )
    except (TypeError, AttributeError) as error:
        raise ValueError(f"CARD is wrong: {error}") from error


def _literal(path: Path) -> Any:
    for node in ast.parse(path.read_text(encoding="utf-8")).body:
        targets = node.targets if isinstance(node, ast.Assign) else []
        if isinstance(node, ast.AnnAssign) and node.value is not None:
            targets = [node.target]
        if any(isinstance(t, ast.Name) and t.id == "CARD" for t in targets):
            return ast.literal_eval(node.value)  # type: ignore[attr-defined]
    return None


def _installed(distribution: str) -> bool:
    try:
        version(distribution)
    except PackageNotFoundError:
        return False
    return True


def _file(name: str) -> bool:
    return (home() / name).is_file()


def _hub(repository: str) -> bool:
    """In the folder of weights, or with a file in the Hugging Face cache."""
    if (home() / repository.rpartition("/")[2]).is_dir():
        return True
    root = os.environ.get("HF_HOME") or Path.home() / ".cache" / "huggingface"
    cache = Path(os.environ.get("HF_HUB_CACHE") or Path(root) / "hub")
    snapshots = cache / f"models--{repository.replace('/', '--')}" / "snapshots"
    return any(snapshots.glob("*/*"))
