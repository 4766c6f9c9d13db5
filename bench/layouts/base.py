"""What a layout is: a map between the streams of an utterance and the rows that a model reads.

Shapes: K streams, stream k has N_k ids below V_k; a sequence has S rows of H columns.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from bench.contracts import Ids, Stream
from bench.errors import UserError

CONTEXTS = (4096, 8192, 32768)  # positions; the contexts that `Cost.fits` is shown for
DIALOGUE_SECONDS = 300.0
EMPTY = -1  # in `Places`: a cell that holds padding


@dataclass(frozen=True)
class Cost:
    """What a layout costs for some seconds of speech; averages, so they may be fractions.

    sequence_length: positions of the longest sequence that one model must hold, its prompt (what
        an earlier stage made) included.
    large_steps: autoregressive forward steps of the large model(s).
    small_steps: autoregressive forward steps of the small model (a depth transformer).
    passes: forward passes over a whole sequence at once (non-autoregressive stages).
    heads: ids that one step predicts together, independent of each other given the past.
    first_audio_frames: frames of the slowest stream that a large model must have gone through
        before the first frame of audio is complete.
    """

    sequence_length: float
    large_steps: float
    small_steps: float
    passes: int
    heads: int
    first_audio_frames: float

    def fits(self, context: int) -> bool:
        """Whether the longest sequence fits a context of `context` positions."""
        return math.ceil(self.sequence_length - 1e-6) <= context


@dataclass(frozen=True)
class Form:
    """The form of one of a layout's sequences, whatever the ids.

    name: which model reads it. columns: for each column, the streams that share it; their ids are
    kept apart by adding the vocabularies of those before. padded: each column has one more id,
    the last of its vocabulary, for cells that hold no stream's id.
    """

    name: str
    columns: tuple[tuple[int, ...], ...]
    padded: bool = False


@dataclass(frozen=True)
class Places:
    """Where each cell of a sequence comes from: int64 [S, H] each.

    stream: k, or EMPTY. index: n of that stream's n-th id, or EMPTY.
    """

    stream: Ids
    index: Ids


@dataclass(frozen=True)
class Part:
    """One sequence: ids int64 [S, H], column h with ids in [0, vocabularies[h])."""

    name: str
    ids: Ids
    vocabularies: tuple[int, ...]


@dataclass(frozen=True)
class ModelSequence:
    """What the models of a layout read for one utterance, in the order in which they run."""

    parts: tuple[Part, ...]


class Layout(ABC):
    """An invertible map ids ↔ model sequences for the streams of one tokenizer.

    A subclass says the form of its sequences, where each id goes, and what that costs; encoding
    and decoding follow. `UserError` where the streams do not suit the layout.
    """

    name: ClassVar[str]
    source: ClassVar[str]
    forms: tuple[Form, ...]

    def __init__(self, streams: Sequence[Stream]) -> None:
        if not streams:
            raise UserError(f"layout {self.name}: no streams; a tokenizer has at least one")
        for stream in streams:
            if stream.vocabulary < 1:
                raise UserError(
                    f"layout {self.name}: stream '{stream.name}' has a vocabulary of "
                    f"{stream.vocabulary}; give 1 or more"
                )
        self.streams = tuple(streams)

    # ------------------------------------------------------------------ what a subclass says
    @abstractmethod
    def places(self, lengths: Sequence[int]) -> tuple[Places, ...]:
        """The map of each sequence for streams of these lengths [K]."""

    @abstractmethod
    def cost_of(self, counts: Sequence[float]) -> Cost:
        """The cost of counts[k] ids of stream k, not necessarily whole numbers."""

    # ------------------------------------------------------------------ what follows from it
    def vocabularies(self, form: Form) -> tuple[int, ...]:
        """Ids of each column [H], padding included."""
        return tuple(int(self._offsets(column)[-1]) + form.padded for column in form.columns)

    def encode(self, streams: Sequence[Ids]) -> ModelSequence:
        """The sequences of one utterance; `streams[k]` is int64 [N_k] with 0 <= id < V_k.

        Raises UserError for ids out of range and for lengths that the layout cannot hold.
        """
        self._check(streams)
        parts = []
        for form, places in zip(
            self.forms, self.places([len(ids) for ids in streams]), strict=True
        ):
            vocabularies = self.vocabularies(form)
            cells = np.empty(places.stream.shape, dtype=np.int64)
            for h, column in enumerate(form.columns):
                cells[:, h] = vocabularies[h] - 1  # the padding id; overwritten where there is none
                for k, offset in zip(column, self._offsets(column), strict=False):
                    here = places.stream[:, h] == k
                    cells[here, h] = streams[k][places.index[here, h]] + offset
            parts.append(Part(form.name, cells, vocabularies))
        return ModelSequence(tuple(parts))

    def decode(self, sequence: ModelSequence) -> tuple[Ids, ...]:
        """The streams of `encode`, exactly; from the ids alone.

        Raises UserError for rows that no utterance gives (padding in the wrong cell, an id of the
        wrong stream), as an untrained model may write them.
        """
        if len(sequence.parts) != len(self.forms):
            raise UserError(
                f"layout {self.name} has {len(self.forms)} sequences, not {len(sequence.parts)}"
            )
        split = [self._split(f, p) for f, p in zip(self.forms, sequence.parts, strict=True)]
        lengths = [
            sum(int((stream == k).sum()) for stream, _ in split) for k in range(len(self.streams))
        ]
        out = tuple(np.empty(n, dtype=np.int64) for n in lengths)
        for (stream, ids), places in zip(split, self.places(lengths), strict=True):
            if not np.array_equal(stream, places.stream):
                raise UserError(
                    f"layout {self.name}: this is no sequence of the layout (padding, or an id of "
                    "another stream, where none belongs)"
                )
            for k, made in enumerate(out):
                here = stream == k
                made[places.index[here]] = ids[here]
        return out

    def cost(self, seconds: float, rates: Sequence[float] | None = None) -> Cost:
        """What `seconds` seconds cost; `rates` [K], ids a second, where none are declared.

        Raises UserError where a stream has no fixed rate and none is given.
        """
        if not seconds > 0:
            raise UserError(f"layout {self.name}: {seconds} seconds; give more than 0")
        found = rates if rates is not None else [s.rate for s in self.streams]
        if len(found) != len(self.streams):
            raise UserError(
                f"layout {self.name}: {len(found)} rates for {len(self.streams)} streams"
            )
        counts = []
        for stream, rate in zip(self.streams, found, strict=True):
            if rate is None:
                raise UserError(
                    f"layout {self.name}: stream '{stream.name}' has no fixed rate; give the "
                    "measured rates"
                )
            counts.append(rate * seconds)
        return self.cost_of(counts)

    # ------------------------------------------------------------------------------- helpers
    def _offsets(self, column: tuple[int, ...]) -> Ids:
        """Where each stream's ids begin in a shared column, and where the last one's end."""
        return np.cumsum([0, *(self.streams[k].vocabulary for k in column)], dtype=np.int64)

    def _split(self, form: Form, part: Part) -> tuple[Ids, Ids]:
        """Stream (or EMPTY) and raw id of each cell [S, H]."""
        if part.ids.ndim != 2 or part.ids.shape[1] != len(form.columns):
            raise UserError(
                f"layout {self.name}: sequence '{form.name}' has rows of {len(form.columns)} "
                f"columns, not the shape {list(part.ids.shape)}"
            )
        if not np.issubdtype(part.ids.dtype, np.integer):
            raise UserError(f"layout {self.name}: '{form.name}' holds {part.ids.dtype}, not ids")
        stream = np.full(part.ids.shape, EMPTY, dtype=np.int64)
        raw = np.full(part.ids.shape, EMPTY, dtype=np.int64)
        for h, column in enumerate(form.columns):
            offsets, cells = self._offsets(column), part.ids[:, h]
            if len(cells) and not (cells.min() >= 0 and cells.max() < offsets[-1] + form.padded):
                raise UserError(
                    f"layout {self.name}: column {h + 1} of '{form.name}' has ids outside "
                    f"[0, {offsets[-1] + form.padded})"
                )
            which = np.searchsorted(offsets, cells, side="right") - 1
            real = which < len(column)
            stream[real, h] = np.array(column, dtype=np.int64)[which[real]]
            raw[real, h] = (cells - offsets[which])[real]
        return stream, raw

    def _check(self, streams: Sequence[Ids]) -> None:
        if len(streams) != len(self.streams):
            raise UserError(
                f"layout {self.name}: {len(streams)} streams where the tokenizer has "
                f"{len(self.streams)}"
            )
        for stream, ids in zip(self.streams, streams, strict=True):
            if ids.ndim != 1 or not np.issubdtype(ids.dtype, np.integer):
                raise UserError(
                    f"layout {self.name}: stream '{stream.name}' is {ids.dtype} "
                    f"{list(ids.shape)}, not integers [N]"
                )
            if len(ids) and not (ids.min() >= 0 and ids.max() < stream.vocabulary):
                raise UserError(
                    f"layout {self.name}: stream '{stream.name}' has ids outside "
                    f"[0, {stream.vocabulary})"
                )

    def _one_rate(self, which: Sequence[int]) -> None:
        """UserError unless these streams share one rate (or none has a fixed one)."""
        rates = {self.streams[k].rate for k in which}
        if len(rates) > 1:
            told = ", ".join(f"{self.streams[k].name} {self.streams[k].rate}" for k in which)
            raise UserError(
                f"layout {self.name} wants streams of one rate, not {told}; flatten takes streams "
                "of different fixed rates"
            )

    def _one_length(self, which: Sequence[int], lengths: Sequence[int]) -> int:
        """T, where all of these streams have T ids; UserError else."""
        found = {lengths[k] for k in which}
        if len(found) > 1:
            raise UserError(
                f"layout {self.name} wants streams of one length, not "
                f"{', '.join(str(lengths[k]) for k in which)}"
            )
        return found.pop()


def row_places(column_streams: Sequence[int], delays: Sequence[int], frames: int) -> Places:
    """The map of a grid whose column h holds stream column_streams[h], delays[h] rows late.

    S = frames + max(delays) rows; none for no frames.
    """
    rows = frames + max(delays) if frames else 0
    index = np.arange(rows, dtype=np.int64)[:, None] - np.array(delays, dtype=np.int64)
    real = (index >= 0) & (index < frames)
    stream = np.where(real, np.array(column_streams, dtype=np.int64), EMPTY)
    return Places(stream, np.where(real, index, EMPTY))
