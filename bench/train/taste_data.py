"""Speech with transcripts as `taste` learns from it: frames, words with their times, windows.

What the encoder hears is computed once and kept beside the run. The times come from a reader of
phones (`bench.nn.taste_listen.PhoneReader`), trained on the alignments that a manifest carries or
that PocketSphinx makes, since the finished tokenizer has that reader and nothing else.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.nn import functional as F

from bench.contracts import Ids
from bench.errors import ItemFailure
from bench.nn.soundstream import HOP as SOUND_HOP
from bench.nn.taste import Text
from bench.nn.taste_listen import HOP, SILENCE, Ears, Heard, PhoneReader
from bench.nn.taste_text import NUMBER, SLOTS, Pronouncer, Script, Word, script
from bench.nn.taste_times import fine_frames, lengths_of, spread
from bench.tempo import at_tempo
from bench.train.corpus import RATE, Clip
from bench.train.runs import Rows

MARGIN = 6
"""Frames around a crop that its sound is made with."""
Floats = npt.NDArray[np.float32]
Halves = npt.NDArray[Any]
"""Kept as float16."""
Spans = Sequence[dict[str, Any]]

TEMPOS = (0.8, 1.25)
"""At one of these every recording is heard too, chosen by its name: lengths that the words were
not said with."""


@dataclass(frozen=True)
class Prepared:
    """What was heard of one recording at one tempo. units: int64 [F]; labels: int64 [F], number
    of the phone (SILENCE: none), −1 where no alignment tells."""

    clip: Clip
    text: str
    tempo: float
    heard: Heard
    units: Ids
    labels: Ids


def text_of(row: dict[str, Any]) -> str:
    """The transcript of a manifest's row, "" where it has none."""
    for column in ("text", "normalised_text"):
        told = row.get(column)
        if isinstance(told, str) and told.strip():
            return told
    return ""


def prepare(rows: Rows, found: Callable[[Rows], Any], units: Callable[[Floats], Ids],
            cache: Path) -> list[Prepared]:  # fmt: skip
    """Every recording with a transcript, at two tempos; computed once and kept in `cache`.

    found: gives the clips of rows, in order. units: of an encoder's frames.
    """
    cache.mkdir(parents=True, exist_ok=True)
    told = [row for row in rows if text_of(row)]
    ears, made = Ears(), []
    for row, clip in zip(told, found(told), strict=True):
        other = TEMPOS[zlib.crc32(clip.utterance.encode()) % len(TEMPOS)]
        for tempo in (1.0, other):
            name = clip.utterance.replace("/", "__")
            path = cache / f"{name}@{tempo:g}.npz"
            if not path.is_file():
                _hear(ears, clip, row, tempo, units, path)
            with np.load(path, allow_pickle=False) as kept:
                heard = Heard(kept["shallow"], np.zeros((0, 0), np.float32), kept["deep"],
                              kept["mels"], kept["f0"], float(kept["offset"]))  # fmt: skip
                made.append(Prepared(clip, text_of(row), tempo, heard,
                                     kept["units"].astype(np.int64),
                                     kept["labels"].astype(np.int64)))  # fmt: skip
    return made


def _hear(ears: Ears, clip: Clip, row: dict[str, Any], tempo: float,
          units: Callable[[Floats], Ids], path: Path) -> None:  # fmt: skip
    heard = ears(at_tempo(clip.audio, tempo))
    count = len(heard.deep)
    labels = np.full(count, -1)
    if tempo == 1.0:
        phones = row.get("phones")
        phones = _aligned(clip, row) if phones is None or isinstance(phones, float) else phones
        if phones is not None:
            labels = frame_labels(phones, count)
    scratch = path.with_suffix(".part.npz")
    np.savez(scratch, shallow=heard.shallow.astype(np.float16),
             deep=heard.deep.astype(np.float16), mels=heard.mels.astype(np.float16),
             f0=heard.f0.astype(np.float32), offset=heard.offset,
             units=units(heard.units).astype(np.int16), labels=labels.astype(np.int8))  # fmt: skip
    scratch.replace(path)


def _aligned(clip: Clip, row: dict[str, Any]) -> Spans | None:
    """Phones by PocketSphinx; None for what is not English, where it is not installed or where
    it finds no path."""
    if clip.language not in ("", "en"):
        return None
    try:
        from bench.suites.mini_align import Aligner
    except ImportError:
        return None
    if not hasattr(_aligned, "aligner"):
        _aligned.aligner = Aligner()  # type: ignore[attr-defined]
    found = _aligned.aligner.align(clip.pcm, text_of(row))  # type: ignore[attr-defined]
    return found[1] if found else None


def frame_labels(phones: Spans, frames: int) -> Ids:
    """Number of the phone at the middle of each frame, int64 [F]."""
    labels = np.full(frames, SILENCE)
    middle = (np.arange(frames) + 0.5) * HOP / RATE
    for span in phones:
        if span["phone"] in NUMBER:
            inside = (middle >= span["start"]) & (middle < span["end"])
            labels[inside] = NUMBER[span["phone"]] - len(SLOTS)
    return labels


def train_reader(prepared: list[Prepared], seed: int, steps: int = 1000) -> PhoneReader:
    """The reader of phones, on the recordings whose alignment is known."""
    known = [p for p in prepared if p.labels.max(initial=-1) >= 0]
    torch.manual_seed(seed)
    reader = PhoneReader()
    random = np.random.default_rng(seed)
    optimizer = torch.optim.AdamW(reader.parameters(), 2e-3, weight_decay=0.05)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, steps)
    for _ in range(steps):
        x, wanted = _reader_batch([known[i] for i in random.integers(0, len(known), 12)])
        x = F.dropout(x, 0.2)
        loss = F.nll_loss(reader(x).transpose(1, 2), wanted, ignore_index=-1)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
    labels = np.concatenate([p.labels[p.labels >= 0] for p in known])
    counts = np.bincount(labels, minlength=SILENCE + 1) + 1.0
    reader.prior.copy_(torch.from_numpy(np.log(counts / counts.sum())))
    return reader.eval().requires_grad_(False)


def _reader_batch(chosen: list[Prepared], longest: int = 120) -> tuple[Tensor, Tensor]:
    size = min(longest, max(len(p.labels) for p in chosen))
    x = np.zeros((len(chosen), size, 2 * chosen[0].heard.deep.shape[1]), dtype=np.float32)
    wanted = np.full((len(chosen), size), -1)
    for row, item in enumerate(chosen):
        n = min(size, len(item.labels))
        x[row, :n] = np.concatenate([item.heard.shallow[:n], item.heard.deep[:n]], axis=1)
        wanted[row, :n] = item.labels[:n]
    return torch.from_numpy(x), torch.from_numpy(wanted)


@dataclass(frozen=True)
class Said:
    """One recording with the times of its words. bounds: int64 [W + 1], index of each word's
    first symbol; pace: frames of each symbol int64 [S]; values [F, VALUES], deep [F, 288],
    mels [F, 40]; prosody [2, F] as in bench.nn.vocoder, tune [2, T] the same at 50 Hz; speaker: its
    number; pcm: None where it is not to be learned as sound."""

    words: list[Word]
    text: Script
    bounds: Ids
    pace: Ids
    values: Halves
    deep: Halves
    mels: Halves
    units: Ids
    prosody: Floats
    tune: Floats
    speaker: int
    pcm: npt.NDArray[np.int16] | None


def said(item: Prepared, reader: PhoneReader, pronouncer: Pronouncer, speakers: list[str],
         octave: float) -> Said | None:  # fmt: skip
    """A recording as windows are cut from it; None where a word is not in the lexicon (its sound
    would be a guess) or the text does not fit the sound."""
    chunks = item.text.split()
    words = pronouncer.words(chunks)
    if not words:
        return None
    text = script(words)
    heard = _widened(item.heard)
    try:
        pace = reader.align(heard, text)
    except ItemFailure:
        return None
    voice = speakers.index(item.clip.speaker) == 0
    base = octave if voice else heard.base(octave)
    coarse = heard.pitch(HOP, len(heard.deep))
    fine = heard.pitch(SOUND_HOP, -(-len(heard.deep) * HOP // SOUND_HOP))
    bounds = np.concatenate([[1], 1 + np.cumsum([len(w.phones) + 1 for w in words])])
    return Said(words, text, bounds, pace, heard.values(base).astype(np.float16),
                item.heard.deep, item.heard.mels, item.units, _prosody(coarse, base),
                _prosody(fine, base), speakers.index(item.clip.speaker),
                item.clip.pcm if voice and item.tempo == 1.0 else None)  # type: ignore[arg-type]  # fmt: skip


def _prosody(f0: Floats, base: float) -> Floats:
    """F0 [T] → [2, T]: voiced, and octaves above `base`."""
    octaves = np.where(f0 > 0, np.log2(np.maximum(f0, 1)) - base, 0)
    return np.stack([f0 > 0, octaves]).astype(np.float32)


def _widened(heard: Heard) -> Heard:
    return Heard(heard.shallow.astype(np.float32), heard.units, heard.deep.astype(np.float32),
                 heard.mels.astype(np.float32), heard.f0, heard.offset)  # fmt: skip


def octave_of(prepared: list[Prepared], speaker: str) -> float:
    """Mean log2 of the F0 (Hz) of a speaker's recordings."""
    own = [p.heard.f0 for p in prepared if p.clip.speaker == speaker and p.tempo == 1.0]
    voiced = np.concatenate(own)
    return float(np.log2(voiced[voiced > 0]).mean())


@dataclass(frozen=True)
class WindowBatch:
    """Windows of whole words as tensors; the first n have audio.

    text; deep, values, place, inside, lengths: what the aggregator takes; real: bool [B, W]; pace
    [B, S]; at, places: as `Taste.shape` takes them; frames: bool [B, F]; units [B, F], mels
    [B, F, 40], prosody [B, 2, F]: targets; whole: bool [B], it begins with its recording;
    speaker [B]. Of the sound: context int64 and near bool [n, C], the frames around a crop and
    whether they lie in the window; fine int64 [n, T], place of each 20 ms frame among these;
    tune [n, 2, T], its prosody; audio [n, 320·T].
    """

    text: Text
    deep: Tensor
    values: Tensor
    place: Tensor
    inside: Tensor
    lengths: Tensor
    real: Tensor
    pace: Tensor
    at: Tensor
    places: Tensor
    frames: Tensor
    units: Tensor
    mels: Tensor
    prosody: Tensor
    whole: Tensor
    speaker: Tensor
    context: Tensor
    near: Tensor
    fine: Tensor
    tune: Tensor
    audio: Tensor


class Windows:
    """Batches that depend on (seed, step) alone: `sounding` windows of the voice as recorded, and
    `others` of anything."""

    def __init__(self, found: list[Said], sounding: int, others: int, seed: int, *,
                 frames: int = 80, crop: int = 36) -> None:  # fmt: skip
        self.sounding, self.others, self.seed = sounding, others, seed
        self.frames, self.crop = frames, crop
        self.least = crop * SOUND_HOP // HOP + 2
        self.voice = [s for s in found if s.pcm is not None and s.pace.sum() >= self.least]
        self.all = found
        self._chance = [self._weights(self.voice), self._weights(self.all)]

    @staticmethod
    def _weights(found: list[Said]) -> npt.NDArray[np.float64]:
        weight = np.array([float(s.pace.sum()) for s in found])
        return weight / weight.sum()

    def at(self, step: int, device: str) -> WindowBatch:
        """The batch of one step."""
        random = np.random.default_rng((self.seed, step))
        cut = []
        for pool, chance, count in zip((self.voice, self.all), self._chance,
                                       (self.sounding, self.others), strict=True):  # fmt: skip
            least = self.least if pool is self.voice else 1
            for index in random.choice(len(pool), count, p=chance):
                cut.append(self._cut(pool[int(index)], random, least))
        return collate(cut, self._sounds(cut[: self.sounding], random), device)

    def _cut(self, item: Said, random: np.random.Generator, least: int) -> Window:
        ends = np.cumsum(item.pace)
        begins = np.concatenate([[0], ends])[item.bounds[:-1]]
        begins[0] = 0
        can = np.flatnonzero(ends[-1] - begins >= min(least, ends[-1]))
        first = int(random.choice(can)) if random.random() < 0.7 else 0
        last = first + 1
        while last < len(item.words) and ends[item.bounds[last] - 1] - begins[first] < self.frames:
            last += 1
        return Window(item, first, last)

    def _sounds(self, cut: list[Window], random: np.random.Generator) -> list[Sound]:
        found = []
        size = self.crop * SOUND_HOP // HOP + 2 * MARGIN
        for window in cut:
            own, fine = window.item, window.fine
            at = int(random.integers(0, len(fine) - self.crop + 1))
            first = window.fine_start + at
            audio = np.zeros(self.crop * SOUND_HOP, dtype=np.float32)
            assert own.pcm is not None
            piece = own.pcm[first * SOUND_HOP : first * SOUND_HOP + len(audio)]
            audio[: len(piece)] = piece / np.float32(2**15)
            crop = fine[at : at + self.crop]
            context = np.arange(size) + crop[0] - MARGIN
            near = (context >= 0) & (context < window.pace.sum())
            context = context.clip(0, window.pace.sum() - 1)
            tune = own.tune[:, first : first + self.crop]
            found.append(Sound(context, near, crop - crop[0] + MARGIN, tune, audio))
        return found


@dataclass(frozen=True)
class Sound:
    """A crop of a window; see WindowBatch."""

    context: Ids
    near: npt.NDArray[np.bool_]
    fine: Ids
    tune: Floats
    audio: Floats


class Window:
    """Words `first` to `last` (exclusive) of a recording."""

    def __init__(self, item: Said, first: int, last: int) -> None:
        self.item, self.first, self.last = item, first, last
        self.words = item.words[first:last]
        self.text = script(self.words)
        low, high = int(item.bounds[first]), int(item.bounds[last])
        begin = item.pace[0] if first == 0 else 0
        self.pace = np.concatenate([[begin], item.pace[low:high]])
        self.start = int(item.pace[:low].sum() - begin)
        self.frames = slice(self.start, self.start + int(self.pace.sum()))
        self.fine = fine_frames(self.start, int(self.pace.sum()))
        self.fine_start = int(np.ceil(self.start * HOP / SOUND_HOP - 0.5))


def collate(cut: list[Window], sounds: list[Sound], device: str) -> WindowBatch:
    """Windows, padded to the longest."""
    known = [lengths_of(w.text, w.pace) for w in cut]
    spreads = [spread(w.text, w.pace) for w in cut]

    def rows(parts: list[Any]) -> Tensor:
        shape = np.max([p.shape for p in parts], axis=0)
        out = np.zeros((len(parts), *shape), dtype=parts[0].dtype)
        for row, part in zip(out, parts, strict=True):
            row[tuple(slice(n) for n in part.shape)] = part
        return torch.from_numpy(out).to(device)

    def of(name: str) -> Tensor:
        made = rows([getattr(w.item, name)[w.frames] for w in cut])
        return made.float() if made.dtype == torch.float16 else made

    return WindowBatch(
        text=Text.of([w.text for w in cut], device),
        deep=of("deep"), values=of("values"), units=of("units"), mels=of("mels"),
        place=rows([k[2] for k in known]), inside=rows([k[1] for k in known]),
        lengths=rows([k[0] for k in known]),
        real=rows([np.ones(len(w.words), dtype=bool) for w in cut]),
        pace=rows([w.pace for w in cut]),
        at=rows([s[0] for s in spreads]), places=rows([s[1] for s in spreads]),
        frames=rows([np.ones(len(s[0]), dtype=bool) for s in spreads]),
        prosody=rows([w.item.prosody[:, w.frames] for w in cut]),
        whole=torch.tensor([w.first == 0 for w in cut], device=device),
        speaker=torch.tensor([w.item.speaker for w in cut], device=device),
        **{field.name: rows([getattr(s, field.name) for s in sounds]) for field in fields(Sound)},
    )  # fmt: skip
