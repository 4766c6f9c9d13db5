"""Reads recordings piece by piece for `bench encode`, and names files safely for `bench decode`.

A recording is never wholly in memory unless it fits a piece: it is read in blocks, mixed down block
by block, and cut into pieces of at most `max_seconds`.
"""

from __future__ import annotations

import hashlib
import math
import re
import stat
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from bench import audio
from bench.contracts import Samples
from bench.errors import ItemFailure
from bench.recordings import Recording

BLOCK = 1 << 18  # frames read at once
MAX_RATE = 1_000_000  # Hz; a header that says more is damaged
MAX_SECONDS = 3600.0  # the longest piece
MAX_PART_OF_NAME = 200  # bytes; file systems allow 255, and a suffix follows


@dataclass(frozen=True, slots=True)
class Piece:
    """The frames [start, stop) of a recording; one row of a data set."""

    recording: Recording
    utterance: str
    start: int
    stop: int

    @property
    def seconds(self) -> float:
        return (self.stop - self.start) / self.recording.rate if self.recording.rate else 0.0

    @property
    def begins(self) -> float:
        """Seconds from the recording's begin."""
        return self.start / self.recording.rate if self.recording.rate else 0.0


# ------------------------------------------------------------------------------------- reading
def scan(recordings: Sequence[Recording], threads: int) -> None:
    """Read every header: fills frames, rate, size, changed, or trouble."""
    with ThreadPoolExecutor(threads) as pool:
        for _ in pool.map(_scan, recordings):
            pass


def _scan(one: Recording) -> None:
    import soundfile

    try:
        found = Path(one.path).stat()
        if not stat.S_ISREG(found.st_mode):
            raise ItemFailure("audio cannot be read: not a file")
        one.size, one.changed = found.st_size, found.st_mtime_ns
        with soundfile.SoundFile(one.path) as opened:
            frames, rate = opened.frames, opened.samplerate
        if not 0 < rate <= MAX_RATE:
            raise ItemFailure(f"audio cannot be read: its header says {rate} Hz")
        if frames <= 0:
            raise ItemFailure("audio is empty")
        one.frames, one.rate = frames, rate
    except ItemFailure as failure:
        one.trouble = str(failure)
    except OSError as error:
        one.trouble = f"audio cannot be read: {error.strerror or error}"
    except (soundfile.LibsndfileError, RuntimeError, ValueError, TypeError) as error:
        one.trouble = f"audio cannot be read: {_without(one.path, error)}"


def _without(path: str, error: Exception) -> str:
    """libsndfile's words without the path, which is this machine's own."""
    return str(error).replace(f"Error opening {path!r}: ", "")


def digest(recordings: Iterable[Recording], *, dates: bool) -> str:
    """Identifies the recordings by what their headers say (and, with `dates`, by when they were
    changed), 32 hex digits; where they lie does not matter."""
    made = hashlib.sha256()
    for one in recordings:
        facts = (one.utterance, one.file, one.transcript, one.frames, one.rate, one.size)
        made.update(repr((*facts, one.changed if dates else 0)).encode("utf-8", "replace"))
    return made.hexdigest()[:32]


def pieces(one: Recording, max_seconds: float) -> list[Piece]:
    """One piece called as the recording; of a longer one equal pieces `name#0001`, `name#0002`."""
    count = 1 if one.trouble else math.ceil(one.frames / max(1, int(max_seconds * one.rate)))
    if count == 1:
        return [Piece(one, one.utterance, 0, one.frames)]
    cuts = [k * one.frames // count for k in range(count + 1)]
    names = (f"{one.utterance}#{k + 1:04d}" for k in range(count))
    return [Piece(one, n, a, b) for n, a, b in zip(names, cuts, cuts[1:], strict=False)]


def read_piece(piece: Piece, rate: int) -> Samples:
    """Mono float32 [L] in [-1, 1] at `rate` Hz, as `bench.audio.read` and `resample` make it.

    ItemFailure for what is damaged, ends before its header says, or holds NaN or infinity.
    """
    import soundfile

    one = piece.recording
    if one.trouble:
        raise ItemFailure(one.trouble)
    blocks: list[Samples] = []
    left = piece.stop - piece.start
    try:
        with soundfile.SoundFile(one.path) as opened:
            if piece.start:
                opened.seek(piece.start)
            while left > 0:
                block = opened.read(min(BLOCK, left), dtype="float32", always_2d=True)
                if len(block) == 0:
                    raise ItemFailure(
                        f"audio ends {left / one.rate:.2f} s before its header says: it is cut off"
                    )
                blocks.append(block.mean(axis=1, dtype=np.float32))
                left -= len(block)
    except (soundfile.LibsndfileError, RuntimeError, ValueError, OSError) as error:
        raise ItemFailure(f"audio cannot be read: {_without(one.path, error)}") from error
    mono = np.concatenate(blocks)
    blocks.clear()
    if not np.isfinite(mono).all():
        raise ItemFailure("audio holds NaN or infinity")
    made = audio.resample(np.clip(mono, -1.0, 1.0), one.rate, rate)
    if made.size == 0:
        raise ItemFailure("audio is empty")
    return made


# -------------------------------------------------------------------------------------- naming
def file_name(utterance: str) -> str:
    """A relative path below any folder, on any system: whatever leads out of it becomes `_`."""
    parts = []
    for part in utterance.split("/"):
        safe = re.sub(r'[\x00-\x1f\x7f\\:*?"<>|]', "_", part)
        if safe.strip(". ") == "":
            safe = "_" * len(safe)
        cut = safe.encode("utf-8", "replace")[:MAX_PART_OF_NAME].decode("utf-8", "ignore")
        parts.append(cut)
    return "/".join(part for part in parts if part) or "_"
