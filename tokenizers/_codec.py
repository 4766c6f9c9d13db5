"""What codecs of one frame rate share: padding to whole frames, grouping, trimming."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Hashable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from bench.contracts import AudioBatch, Samples, Stream, TokenizerInfo, Tokens

if TYPE_CHECKING:
    import torch


class FrameCodec(ABC):
    """K streams of one rate; a frame is `hop` samples.

    An utterance of L samples is zero-padded to whole frames and has ceil(L/hop) ids a stream.
    Rows share a pass only where padding changes nothing: in encode, all of them if
    `info.batching` is "any", else those of one number of frames; in decode, those of one number
    of frames. `shortest`: frames that the encoder is given at least, of silence where the
    utterance is shorter.
    """

    info: TokenizerInfo
    shortest = 1

    def __init__(self, model: Any, hop: int, device: str) -> None:
        self._model, self._hop, self._device = model, hop, device

    # ------------------------------------------------------------------------ a codec gives these
    @abstractmethod
    def _ids(self, audio: torch.Tensor) -> torch.Tensor:
        """float32 [B, 1, hop·T] → int64 [B, K, T]."""

    @abstractmethod
    def _latents(self, audio: torch.Tensor) -> torch.Tensor:
        """float32 [B, 1, hop·T] → float32 [B, D, T], as the quantizer sees them."""

    @abstractmethod
    def _sound(self, ids: torch.Tensor) -> torch.Tensor:
        """int64 [B, K, T] → float32 [B, hop·T]."""

    @abstractmethod
    def codebooks(self) -> list[npt.NDArray[np.float32]]:
        """[V, D] for each stream."""

    # --------------------------------------------------------------------------- what follows then
    def encode(self, batch: AudioBatch) -> list[Tokens]:
        """K arrays int64 [ceil(L/hop)] for each utterance."""
        import torch

        made: dict[int, Tokens] = {}
        with torch.inference_mode():
            for rows, frames, audio in self._passes(batch):
                for row, count, ids in zip(rows, frames, self._ids(audio).cpu(), strict=True):
                    made[row] = Tokens(tuple(ids[:, :count].numpy().copy()))
        return [made[row] for row in range(len(batch))]

    def features(self, batch: AudioBatch) -> list[npt.NDArray[np.float32]]:
        """Latents before quantization, float32 [ceil(L/hop), D] for each utterance."""
        import torch

        made: dict[int, npt.NDArray[np.float32]] = {}
        with torch.inference_mode():
            for rows, frames, audio in self._passes(batch):
                for row, count, z in zip(rows, frames, self._latents(audio).cpu(), strict=True):
                    made[row] = z.T[:count].numpy().copy()
        return [made[row] for row in range(len(batch))]

    def decode(self, tokens: list[Tokens]) -> list[Samples]:
        """float32 [hop·T] for each item, clipped to [-1, 1]."""
        import torch

        made: dict[int, Samples] = {}
        with torch.inference_mode():
            for rows in alike([(len(t.streams), len(t.streams[0])) for t in tokens]):
                ids = torch.from_numpy(np.stack([np.stack(tokens[row].streams) for row in rows]))
                made.update(zip(rows, sound_of(self._decoded(ids)), strict=True))
        return [made[row] for row in range(len(tokens))]

    def _decoded(self, ids: torch.Tensor) -> torch.Tensor:
        if ids.shape[-1] == 0:
            return ids.new_zeros(len(ids), 0).float()
        return self._sound(ids.to(self._device))

    def _passes(self, batch: AudioBatch) -> Iterator[tuple[list[int], list[int], torch.Tensor]]:
        """(rows, frames of each, audio [B, 1, hop·T]) for each pass through the encoder."""
        frames = [max(1, -(-int(length) // self._hop)) for length in batch.lengths]
        together = self.info.batching == "any"
        for rows in alike([0 if together else count for count in frames]):
            size = self._hop * max(self.shortest, *(frames[row] for row in rows))
            clips = padded([batch.samples[row, : batch.lengths[row]] for row in rows], size)
            yield rows, [frames[row] for row in rows], on(clips[:, None], self._device)


def alike(keys: Sequence[Hashable]) -> list[list[int]]:
    """Indices into `keys`, those of equal keys together."""
    groups: dict[Hashable, list[int]] = {}
    for index, key in enumerate(keys):
        groups.setdefault(key, []).append(index)
    return list(groups.values())


def padded(clips: Sequence[Samples], size: int) -> Samples:
    """float32 [B, size], zeros on the right."""
    made = np.zeros((len(clips), size), dtype=np.float32)
    for row, clip in zip(made, clips, strict=True):
        row[: len(clip)] = clip
    return made


def on(values: npt.NDArray[Any], device: str) -> torch.Tensor:
    import torch

    return torch.from_numpy(values).to(device)


def sound_of(audio: torch.Tensor) -> list[Samples]:
    """Rows of [B, L] as float32 arrays in [-1, 1], clipped as a sound file would."""
    return list(audio.float().clamp(-1, 1).cpu().numpy())


def tables(books: Sequence[torch.Tensor]) -> list[npt.NDArray[np.float32]]:
    return [book.detach().float().cpu().numpy() for book in books]


def residual_streams(count: int, vocabulary: int, rate: float) -> tuple[Stream, ...]:
    """Streams q1, q2, … of residual vector quantization."""
    return tuple(Stream(f"q{k + 1}", vocabulary, rate) for k in range(count))


def size_of(model: torch.nn.Module) -> int:
    """Number of trained weights; codebooks that are kept as buffers do not count."""
    return sum(p.numel() for p in model.parameters())
