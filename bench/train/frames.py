"""An encoder's frames of a whole corpus in one file, mapped and never read whole.

`frames.f32` holds float32 [N, D]; `frames.json` says how many recordings and frames of it are
whole, so that an extraction that was killed goes on where it was. Of more frames than `most` a
uniform sample is kept, drawn by seed and recording, so that disk and time stay bounded.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from rich.progress import track

from bench.errors import ItemFailure, UserError
from bench.ssl_encoders import RATE, Encoder
from bench.train import corpus

DATA, STATE = "frames.f32", "frames.json"
GROUP = 16  # recordings between two states, and at a time in memory


def extract(
    encoder: Encoder,
    rows: Sequence[dict[str, Any]],
    folder: Path,
    *,
    most: int,
    seed: int,
    settings: dict[str, Any],
    quiet: bool = False,
) -> npt.NDArray[np.float32]:
    """float32 [N, D], memory-mapped, N <= about `most`, of the recordings of `rows` in order.

    A recording that the encoder cannot take (shorter than it allows) has no frames. settings:
    what must be the same for an extraction to go on; else it begins anew.
    """
    data, state = folder / DATA, folder / STATE
    told = {
        **settings,
        "seed": seed,
        "most": most,
        "recordings": [str(r["utterance"]) for r in rows],
    }
    done, count = _resume(data, state, told, encoder.dimension)
    share = _share(rows, encoder, most)
    size = 4 * encoder.dimension
    with data.open("r+b" if done else "wb") as file:
        file.truncate(count * size)
        file.seek(0, 2)
        for number, frames in enumerate(recordings(encoder, rows[done:], quiet), done):
            if share < 1:
                random = np.random.default_rng((seed, number))
                frames = frames[random.random(len(frames)) < share]
            file.write(np.ascontiguousarray(frames, dtype="<f4").tobytes())
            count += len(frames)
            if (number + 1) % GROUP == 0 or number + 1 == len(rows):
                file.flush()
                _write(state, {"settings": told, "done": number + 1, "frames": count})
    if not count:
        raise UserError("not one frame came out of the speech that was chosen: give more --data")
    return np.memmap(data, dtype="<f4", mode="r", shape=(count, encoder.dimension))


def recordings(
    encoder: Encoder, rows: Sequence[dict[str, Any]], quiet: bool = False
) -> Iterator[npt.NDArray[np.float32]]:
    """Frames of each recording in order, a few recordings in memory at a time; those of one that
    cannot be taken are none."""
    for start in track(range(0, len(rows), GROUP), "frames", disable=quiet):
        audio = [clip.audio for clip in corpus.clips(rows[start : start + GROUP])]
        try:
            yield from encoder.frames(audio)
        except ItemFailure:  # of one of them
            yield from (_one_or_none(encoder, item) for item in audio)


def _one_or_none(encoder: Encoder, audio: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    try:
        return encoder.frames([audio])[0]
    except ItemFailure:
        return np.zeros((0, encoder.dimension), dtype=np.float32)


def _share(rows: Sequence[dict[str, Any]], encoder: Encoder, most: int) -> float:
    """Part of the frames that is kept."""
    seconds = sum(float(row["seconds"]) for row in rows)
    return min(1.0, most / max(1.0, seconds * RATE / encoder.hop))


def _resume(data: Path, state: Path, told: dict[str, Any], dimension: int) -> tuple[int, int]:
    """(recordings, frames) that are whole; none where the state is of other settings."""
    try:
        kept = json.loads(state.read_text(encoding="utf-8"))
        whole = data.stat().st_size >= 4 * dimension * kept["frames"]
        if kept["settings"] == json.loads(json.dumps(told)) and whole:
            return kept["done"], kept["frames"]
    except (OSError, ValueError, KeyError, TypeError):
        pass
    return 0, 0


def _write(path: Path, content: dict[str, Any]) -> None:
    scratch = path.with_suffix(".part")
    scratch.write_text(json.dumps(content), encoding="utf-8")
    scratch.replace(path)


def remove(folder: Path) -> None:
    """Delete the file of frames and its state."""
    for name in (STATE, DATA):
        (folder / name).unlink(missing_ok=True)
