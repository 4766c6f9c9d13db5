"""Recordings as a vocoder learns from them: units, and pitch at 50 Hz."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from bench.dedup import deduplicated
from bench.f0 import track
from bench.nn.soundstream import HOP
from bench.nn.vocoder import PROSODY
from bench.train.corpus import RATE, Clip

Floats = npt.NDArray[np.float32]
Ids = npt.NDArray[np.int64]


@dataclass(frozen=True)
class UnitClip:
    """units: int64 [N] at the units' rate; f0: Hz [T] at 50 Hz, 0 where unvoiced."""

    units: Ids
    f0: Floats
    pcm: npt.NDArray[np.int16]


def pitch(audio: Floats) -> Floats:
    """F0 (Hz, 0 where unvoiced) of every frame of 320 samples, [ceil(L/320)]."""
    frames = -(-len(audio) // HOP)
    found = track(audio.astype(np.float64))
    if not len(found):
        return np.zeros(frames, dtype=np.float32)
    # Frames of 10 ms centred in the recording; taken at the middle of ours.
    offset = (len(audio) / RATE - (len(found) - 1) * 0.01) / 2
    at = np.round(((np.arange(frames) + 0.5) * HOP / RATE - offset) / 0.01).astype(int)
    return found[np.clip(at, 0, len(found) - 1)].astype(np.float32)


def prepare(found: Iterable[Clip], units: Callable[[Floats], Ids], cache: Path) -> list[UnitClip]:
    """Units and pitch of every recording; computed once and kept in `cache` (.npz)."""
    made = []
    cache.mkdir(parents=True, exist_ok=True)
    for clip in found:
        path = cache / f"{clip.utterance.replace('/', '__')}.npz"
        if path.is_file():
            with np.load(path, allow_pickle=False) as kept:
                made.append(UnitClip(kept["units"], kept["f0"], clip.pcm))
            continue
        item = UnitClip(units(clip.audio), pitch(clip.audio), clip.pcm)
        scratch = path.with_suffix(".part.npz")
        np.savez(scratch, units=item.units, f0=item.f0)
        scratch.replace(path)
        made.append(item)
    return made


@dataclass(frozen=True)
class UnitBatch:
    """audio [B, 320·T]; units [B, N]; prosody [B, 2, T] as PROSODY says; runs, lengths, known
    [B, M]: deduplicated units, their durations, and which of these are whole."""

    audio: Floats
    units: Ids
    prosody: Floats
    runs: Ids
    lengths: Ids
    known: npt.NDArray[np.bool_]


class UnitCrops:
    """Batches that depend on (seed, step) alone; crops start at a unit."""

    def __init__(self, clips: list[UnitClip], rate: float, frames: int, batch: int, seed: int):
        self.rate, self.frames, self.batch, self.seed = rate, frames, batch, seed
        self.units = int(np.ceil(frames * HOP / RATE * rate))
        self.clips = [c for c in clips if len(c.units) > self.units and len(c.f0) > frames]
        voiced = np.concatenate([c.f0[c.f0 > 0] for c in self.clips])
        self.mean_octave = float(np.log2(voiced).mean())
        length = np.array([len(c.units) for c in self.clips], dtype=np.float64)
        self._chance = length / length.sum()

    def at(self, step: int) -> UnitBatch:
        """The batch of one step."""
        random = np.random.default_rng((self.seed, step))
        items = [self._crop(random) for _ in range(self.batch)]
        most = max(len(runs) for *_, runs, _ in items)
        runs = np.zeros((self.batch, most), dtype=np.int64)
        lengths, known = np.ones_like(runs), np.zeros(runs.shape, dtype=bool)
        for row, (*_, ids, counts) in enumerate(items):
            runs[row, : len(ids)], lengths[row, : len(ids)] = ids, counts
            known[row, 1 : len(ids) - 1] = True  # the first and the last may be cut
        return UnitBatch(
            np.stack([audio for audio, *_ in items]),
            np.stack([units for _, units, *_ in items]),
            np.stack([prosody for _, _, prosody, *_ in items]),
            runs,
            lengths,
            known,
        )

    def _crop(self, random: np.random.Generator) -> tuple[Floats, Ids, Floats, Ids, Ids]:
        clip = self.clips[int(random.choice(len(self.clips), p=self._chance))]
        latest = len(clip.units) - self.units
        while True:  # a start whose samples are all there
            first = int(random.integers(0, latest + 1))
            start = round(first / self.rate * RATE)
            frame = round(start / HOP)
            if frame + self.frames <= len(clip.f0):
                break
            latest = first - 1
        units = clip.units[first : first + self.units]
        audio = np.zeros(self.frames * HOP, dtype=np.float32)
        piece = clip.pcm[start : start + len(audio)]
        audio[: len(piece)] = piece / np.float32(2**15)
        f0 = clip.f0[frame : frame + self.frames]
        prosody = np.zeros((PROSODY, self.frames), dtype=np.float32)
        prosody[0] = f0 > 0
        prosody[1] = np.where(f0 > 0, np.log2(np.maximum(f0, 1)) - self.mean_octave, 0)
        runs, lengths = deduplicated(units)
        return audio, units, prosody, runs, lengths
