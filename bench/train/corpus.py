"""Speech to train on: any manifest, in memory as 16-bit samples, cut by a seed and a step."""

from __future__ import annotations

import zlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import soundfile as sf
import soxr

from bench.errors import UserError

RATE = 16_000
SPEED = 0.12
"""Half the crops play faster or slower by up to this much: more voices than were recorded."""
GAIN_DB = (-9.0, 3.0)
HELD = 50


@dataclass(frozen=True)
class Clip:
    """One recording: int16 [L] at 16 kHz and what the manifest says of it."""

    utterance: str
    speaker: str
    language: str
    corpus: str
    text: str | None
    pcm: npt.NDArray[np.int16]

    @property
    def audio(self) -> npt.NDArray[np.float32]:
        return self.pcm.astype(np.float32) / np.float32(2**15)


def manifests(given: Sequence[str]) -> list[tuple[Path, pd.DataFrame]]:
    """Each of `given` (a manifest, or a folder with a manifest.parquet or .csv, or the name of a
    bundled suite) with its rows; UserError for what is none."""
    found = []
    for name in given:
        path = Path(name)
        bundled = Path(__file__).parents[1] / "suites" / name / "manifest.parquet"
        if path.is_dir():
            path = next((p for e in ("parquet", "csv") if (p := path / f"manifest.{e}").is_file()),
                        path)  # fmt: skip
        elif not path.is_file() and bundled.is_file():
            path = bundled
        if not path.is_file():
            raise UserError(f"--data {name}: no manifest there, and no bundled suite of that name")
        try:
            rows = pd.read_parquet(path) if path.suffix == ".parquet" else pd.read_csv(path)
        except (ValueError, OSError, UnicodeDecodeError) as error:
            raise UserError(f"--data {name}: {path} cannot be read ({error})") from error
        if "file" not in rows:
            raise UserError(f"--data {name}: {path.name} has no column 'file'")
        found.append((path.parent, rows))
    return found


def rows(given: Sequence[str], split: str, **only: Sequence[str]) -> list[dict[str, Any]]:
    """Rows of `split` ("train", "validation" or "test") with the absolute `path`, `corpus`,
    `speaker`, `language` ("" where not told) and `seconds`.

    A manifest without a validation split keeps every fiftieth recording, by a hash of its name,
    for validation. only: column → values that are wanted, for example language=["en"].
    """
    found: dict[str, dict[str, Any]] = {}
    for folder, table in manifests(given):
        for column, values in only.items():
            if values:
                if column not in table:
                    raise UserError(f"the manifest of {folder} has no column '{column}'")
                table = table[table[column].isin(list(values))]
        for row in table.assign(split=_splits(table)).to_dict("records"):
            if row["split"] == split:
                row["path"] = folder / str(row["file"])
                for column in ("corpus", "speaker", "language"):
                    row[column] = str(row.get(column, ""))
                row["utterance"] = str(row.get("utterance", row["file"]))
                if "seconds" not in row:
                    row["seconds"] = _seconds(row["path"])
                found[row["utterance"]] = row
    if not found:
        raise UserError(f"no recording of split '{split}' in {', '.join(given)}")
    return list(found.values())


def _splits(table: pd.DataFrame) -> pd.Series:
    """The split of each row."""
    told = table["split"] if "split" in table else pd.Series("train", index=table.index)
    if (told == "validation").any():
        return told
    held = table["file"].map(lambda f: zlib.crc32(str(f).encode()) % HELD == 0)
    return told.mask((told == "train") & held, "validation")


def _seconds(path: Path) -> float:
    try:
        return float(sf.info(str(path)).duration)
    except (sf.LibsndfileError, OSError) as error:
        raise UserError(f"{path} cannot be read: {error}") from error


def clips(wanted: Sequence[dict[str, Any]]) -> Iterator[Clip]:
    """Read recordings one at a time, mixed down and resampled to 16 kHz."""
    for row in wanted:
        try:
            pcm, rate = sf.read(row["path"], dtype="float32", always_2d=True)
        except (sf.LibsndfileError, OSError) as error:
            raise UserError(f"{row['path']} cannot be read: {error}") from error
        mono = pcm.mean(axis=1)
        if rate != RATE:
            mono = soxr.resample(mono, rate, RATE, quality="VHQ")
        text = row.get("normalised_text")
        yield Clip(
            row["utterance"], row["speaker"], row["language"], row["corpus"],
            text if isinstance(text, str) else None,
            np.clip(np.round(mono * 2**15), -(2**15), 2**15 - 1).astype(np.int16),
        )  # fmt: skip


class Crops:
    """Batches of crops that depend on (seed, step) alone, so that a resumed run sees the same.

    Speakers are drawn by seconds^0.6, so that small voices are heard too; recordings of a speaker
    by their length. favour: corpus → how many times as often its recordings are drawn.
    """

    def __init__(self, found: Sequence[Clip], seconds: float, batch: int, seed: int,
                 augment: bool = True, favour: Mapping[str, float] | None = None
                 ) -> None:  # fmt: skip
        favour = favour or {}
        if unknown := sorted(set(favour) - {c.corpus for c in found}):
            raise UserError(f"--favour {unknown[0]}: the speech has no such corpus")
        self.clips, self.batch, self.seed = list(found), batch, seed
        self.samples, self.augment = round(seconds * RATE), augment
        lengths = np.array([len(c.pcm) for c in self.clips], dtype=np.float64)
        total: dict[str, float] = {}
        for clip, length in zip(self.clips, lengths, strict=True):
            total[clip.speaker] = total.get(clip.speaker, 0.0) + length
        weight = np.array([
            length * total[c.speaker] ** -0.4 * favour.get(c.corpus, 1.0)
            for c, length in zip(self.clips, lengths, strict=True)
        ])  # fmt: skip
        self._chance = weight / weight.sum()

    def at(self, step: int) -> npt.NDArray[np.float32]:
        """float32 [batch, samples] of one step; a short recording is padded with zeros."""
        random = np.random.default_rng((self.seed, step))
        chosen = random.choice(len(self.clips), self.batch, p=self._chance)
        out = np.zeros((self.batch, self.samples), dtype=np.float32)
        for row, index in zip(out, chosen, strict=True):
            pcm = self.clips[index].pcm
            speed = 1.0
            if self.augment and random.random() < 0.5:
                speed = 1.0 + random.uniform(-SPEED, SPEED)
            wanted = int(self.samples * speed)
            start = int(random.integers(-wanted // 8, max(1, len(pcm) - wanted * 7 // 8)))
            piece = np.zeros(wanted, dtype=np.float32)
            low, high = max(start, 0), min(start + wanted, len(pcm))
            if high > low:
                piece[low - start : high - start] = pcm[low:high] / np.float32(2**15)
            if speed != 1.0:
                piece = soxr.resample(piece, RATE * speed, RATE, quality="QQ")
            row[: min(len(piece), self.samples)] = piece[: self.samples]
            if self.augment:
                peak = float(np.abs(row).max())
                gain = 10 ** (random.uniform(*GAIN_DB) / 20)
                row *= min(gain, 0.99 / peak) if peak else 1.0
        return out
