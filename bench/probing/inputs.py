"""What goes into a head: ids or continuous features, averaged to frames of 20 ms.

All tokenizers meet the heads at one rate. A frame holds, for each stream, the mean embedding of
the ids whose middle lies in it; where a stream is slower than 50 Hz, the id that covers its
middle. The head's cost then depends neither on the rate nor on the number of streams, and a
figure does not rise because ids are short.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from bench.contracts import Stream, Tokens
from bench.probing.contract import FRAMES_A_SECOND, Floats, Ids

PATCH = 4  # frames that the network joins
DENSE_ROWS = 1024  # up to so many different ids, a frame is a histogram and a matrix product
Timed = Sequence[tuple[Ids, float]]
"""Ids and their rate (Hz), a pair a stream."""


@dataclass(frozen=True)
class Layout:
    """Frames of n items one after another: item i has `counts[i]` frames from `starts[i]` on.

    patch: in a pack, every item begins at a multiple of it, and so many empty places part it from
    the next, so that neighbours never meet in a convolution; 1 where there is none.
    """

    starts: Ids
    counts: Ids
    patch: int = PATCH

    @classmethod
    def of(cls, seconds: Sequence[float]) -> Layout:
        counts = np.array(
            [max(1, math.ceil(s * FRAMES_A_SECOND - 1e-6)) for s in seconds], dtype=np.int64
        )
        return cls(np.concatenate([[0], np.cumsum(counts)[:-1]]).astype(np.int64), counts)

    @property
    def frames(self) -> int:
        return int(self.counts.sum())

    def room(self, count: int) -> int:
        """Places that `count` frames take in a pack."""
        return count if self.patch == 1 else (-(-count // self.patch) + 1) * self.patch

    def single(self) -> Layout:
        """One frame an item, for what was pooled before."""
        n = len(self.counts)
        return Layout(np.arange(n), np.ones(n, dtype=np.int64), patch=1)

    def shuffled(self, seed: int) -> Ids:
        """int64 [frames]: the frame that stands at each place when every item's are permuted."""
        rng = np.random.default_rng(seed)
        return np.concatenate(
            [start + rng.permutation(n) for start, n in zip(self.starts, self.counts, strict=True)]
        ).astype(np.int64)


@dataclass(frozen=True)
class Source:
    """A sparse or dense matrix [frames, rows] that an embedding [rows, D] turns into [frames, D].

    dense: float32 [F, rows], or None; then ids [F, W] (row `rows` pads) and weights [F, W].
    stream: int64 [rows], the stream each row belongs to, of `streams`, in ascending order. codes:
    rows' code vectors [rows, *], a list by stream, None where there are none. names: the id of
    each row.
    """

    rows: int
    stream: Ids
    streams: int
    dense: Floats | None = None
    ids: npt.NDArray[np.int32] | None = None
    weights: Floats | None = None
    codes: Sequence[Floats] | None = None
    names: Ids | None = None

    def digest(self) -> str:
        """sha256 over all that is in it."""
        made = hashlib.sha256()
        for part in (self.stream, self.dense, self.ids, self.weights, self.names):
            made.update(b"-" if part is None else np.ascontiguousarray(part).tobytes())
        for book in self.codes or ():
            made.update(np.ascontiguousarray(book).tobytes())
        return made.hexdigest()

    def first(self, streams: int) -> Source:
        """What the first so many streams say; without code vectors."""
        rows = int(np.searchsorted(self.stream, streams))
        names = None if self.names is None else self.names[:rows]
        stream = self.stream[:rows]
        if self.dense is not None:
            return Source(rows, stream, streams, self.dense[:, :rows], names=names)
        assert self.ids is not None and self.weights is not None
        # An item's ids stand in the order of its streams: those of the first come first.
        width = int((self.ids < rows).sum(axis=1).max(initial=1))
        ids = np.minimum(self.ids[:, :width], rows)
        weights = np.where(ids < rows, self.weights[:, :width], np.float32(0))
        return Source(rows, stream, streams, None, ids, weights, names=names)

    def pooled(self, layout: Layout) -> Source:
        """One frame an item: the mean over its frames, dense."""
        if self.dense is not None:
            sums = np.add.reduceat(self.dense, layout.starts, axis=0)
        else:
            assert self.ids is not None and self.weights is not None
            owner = np.repeat(np.arange(len(layout.counts)), layout.counts)
            sums = np.zeros((len(layout.counts), self.rows + 1), dtype=np.float32)
            np.add.at(sums, (owner[:, None], self.ids), self.weights)
            sums = sums[:, :-1]
        mean = (sums / layout.counts[:, None]).astype(np.float32)
        return Source(
            self.rows, self.stream, self.streams, mean, codes=self.codes, names=self.names
        )


def spread(ids: Ids, rate: float, frames: int) -> tuple[Ids, Ids]:
    """(frame, position) pairs: which ids make up each of `frames` frames.

    Ids whose middle lies in a frame; in a frame that has none, the id that covers its middle.
    Nothing past the last id.
    """
    at = np.floor((np.arange(len(ids)) + 0.5) / rate * FRAMES_A_SECOND + 1e-9).astype(np.int64)
    position = np.flatnonzero(at < frames)
    at = at[position]
    empty = np.setdiff1d(np.arange(frames), at)
    covering = np.floor((empty + 0.5) / FRAMES_A_SECOND * rate).astype(np.int64)
    there = covering < len(ids)
    return np.concatenate([at, empty[there]]), np.concatenate([position, covering[there]])


def lack_of(tokens: Tokens, streams: Sequence[Stream]) -> str | None:
    """Why nothing can be learnt from an item's ids; None where it can."""
    if not any(len(ids) for ids in tokens.streams):
        return "it has no tokens"
    for stream, ids in zip(streams, tokens.streams, strict=True):
        if len(ids) and (ids.min() < 0 or ids.max() >= stream.vocabulary):
            found = int(ids.min() if ids.min() < 0 else ids.max())
            return (
                f"stream '{stream.name}' has the id {found}, but a declared vocabulary of "
                f"{stream.vocabulary}"
            )
    return None


@dataclass(frozen=True)
class Spelt:
    """Ids of one item by frame: entry n says that `weight[n]` of its stream's share of frame
    `frame[n]` is id `name[n]`. Names count through all streams' vocabularies. No pair twice."""

    frame: npt.NDArray[np.int32]
    name: Ids
    weight: Floats


def spelt(item: Timed, streams: Sequence[Stream], frames: int) -> Spelt:
    """Average the ids of an item to frames; they are sound (see `lack_of`)."""
    frame_parts, name_parts, weight_parts = [], [], []
    for (ids, rate), stream, offset in zip(item, streams, _offsets(streams), strict=False):
        if not len(ids):
            continue
        frame, position = spread(ids, rate, frames)
        keys, count = np.unique(frame * stream.vocabulary + ids[position], return_counts=True)
        owner = keys // stream.vocabulary
        total = np.bincount(frame, minlength=frames)
        frame_parts.append(owner.astype(np.int32))
        name_parts.append(keys % stream.vocabulary + offset)
        weight_parts.append((count / total[owner]).astype(np.float32))
    return Spelt(
        np.concatenate(frame_parts), np.concatenate(name_parts), np.concatenate(weight_parts)
    )


def _offsets(streams: Sequence[Stream]) -> Ids:
    """Where the names of each stream's ids begin, and behind them their number."""
    return np.concatenate([[0], np.cumsum([s.vocabulary for s in streams])]).astype(np.int64)


def of_tokens(
    items: Sequence[Spelt],
    streams: Sequence[Stream],
    layout: Layout,
    train: Ids,
    codebooks: Sequence[Floats] | None = None,
) -> Source:
    """The source of ids. `train`: items whose ids get a row; an id that occurs in none of them has
    no row, as an embedding that nothing trained would only add noise."""
    names = np.unique(np.concatenate([items[i].name for i in train]))
    frame = np.concatenate(
        [item.frame + start for item, start in zip(items, layout.starts, strict=True)]
    )
    told = np.concatenate([item.name for item in items])
    weight = np.concatenate([item.weight for item in items])
    row = np.minimum(np.searchsorted(names, told), len(names) - 1)
    there = names[row] == told
    return _source(
        frame[there], row[there], weight[there], names, _offsets(streams), layout, codebooks
    )


def _source(
    frame: Ids,
    row: Ids,
    weight: Floats,
    names: Ids,
    offsets: Ids,
    layout: Layout,
    codebooks: Sequence[Floats] | None,
) -> Source:
    stream = (np.searchsorted(offsets, names, side="right") - 1).astype(np.int64)
    count = len(offsets) - 1
    codes = None
    if codebooks is not None and len(codebooks) == count:
        codes = [
            np.asarray(book, dtype=np.float32)[names[stream == k] - offsets[k]]
            for k, book in enumerate(codebooks)
        ]
    if len(names) <= DENSE_ROWS:
        dense = np.zeros((layout.frames, len(names)), dtype=np.float32)
        dense[frame, row] = weight
        return Source(len(names), stream, count, dense, codes=codes, names=names)
    order = np.argsort(frame, kind="stable")
    frame, row, weight = frame[order], row[order], weight[order]
    per = np.bincount(frame, minlength=layout.frames)
    slot = np.arange(len(frame)) - np.repeat(np.cumsum(per) - per, per)
    ids = np.full((layout.frames, int(per.max(initial=1))), len(names), dtype=np.int32)
    weights = np.zeros(ids.shape, dtype=np.float32)
    ids[frame, slot], weights[frame, slot] = row, weight
    return Source(len(names), stream, count, None, ids, weights, codes, names)


def framed(features: Floats, frames: int) -> Floats:
    """Continuous features [T, D], spread evenly over an item, averaged to its frames [frames, D]
    as ids are."""
    made = np.zeros((frames, features.shape[1]), dtype=np.float32)
    if len(features):
        rate = len(features) / frames * FRAMES_A_SECOND
        frame, position = spread(np.arange(len(features)), rate, frames)
        np.add.at(made, frame, features[position].astype(np.float32))
        made /= np.maximum(np.bincount(frame, minlength=frames), 1)[:, None]
    return made


def of_features(features: Sequence[npt.NDArray[np.floating]], layout: Layout, train: Ids) -> Source:
    """The source of continuous features, `framed`, one array an item; standardised by the mean
    and the spread of the training items."""
    made = np.concatenate(features).astype(np.float32)
    chosen = np.concatenate(
        [np.arange(layout.starts[i], layout.starts[i] + layout.counts[i]) for i in train]
    )
    mean, deviation = made[chosen].mean(axis=0), made[chosen].std(axis=0)
    made = (made - mean) / np.where(deviation > 1e-6, deviation, 1.0)
    return Source(made.shape[1], np.zeros(made.shape[1], dtype=np.int64), 1, made)


def log_mel(samples: Floats, bands: int = 80) -> Floats:
    """Natural log of mel power (Slaney), float32 [T, bands], 100 a second: Hann windows of 25 ms,
    centred. samples: [L] at 16 kHz."""
    import librosa

    padded = np.pad(samples.astype(np.float32), 200)
    windows = np.lib.stride_tricks.sliding_window_view(padded, 400)[::160]
    power = np.abs(np.fft.rfft(windows * np.hanning(400).astype(np.float32), 512)) ** 2
    filters = librosa.filters.mel(sr=16_000, n_fft=512, n_mels=bands)
    return np.log(power @ filters.T + 1e-6).astype(np.float32)
