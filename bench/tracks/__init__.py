"""Tracks that are computed from tokens: few, built in, one module each, imported when needed."""

from __future__ import annotations

import importlib

from bench.tracks.contract import Track

MODULES = {
    "tokens": "bench.tracks.tokens",
    "probe": "bench.tracks.probe",
    "lm": "bench.tracks.lm",
    "speed": "bench.tracks.speed",
    "aligned": "bench.tracks.aligned",
}
"""Track → the module that holds it as `TRACK`, in the order of the table."""


def load(name: str) -> Track:
    """The track `name` of `MODULES`."""
    track: Track = importlib.import_module(MODULES[name]).TRACK
    return track
