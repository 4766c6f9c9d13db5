"""Self-supervised and ASR encoders as sources of frames for k-means units.

An encoder gives an utterance of L samples at 16 kHz exactly ceil(L / hop) frames, frame t about
the samples from t·hop to (t + 1)·hop. Utterances of more than 30 s go through it in pieces, cut
where they are quietest: what these models attend over grows with the square of the length, and
none was trained on more.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import numpy as np
import numpy.typing as npt

from bench.contracts import Batching, Samples
from bench.encoder_names import NAMES
from bench.errors import UserError

Frames = npt.NDArray[np.float32]
RATE = 16_000


class Encoder(Protocol):
    """One loaded encoder at one layer.

    model: what it was loaded from (hub id or folder's name). layer: index into the model's hidden
    states, None where it has one output only. weights: identifies the weights and what is done
    to the audio before them; units belong to frames of the same `weights` and `layer`.
    revision: identifies all that the frames depend on besides the audio. hop: samples a frame.
    batching: as in TokenizerInfo, for `frames`.
    """

    name: str
    model: str
    layer: int | None
    dimension: int
    hop: int
    weights: str
    revision: str
    batching: Batching
    parameters: int
    licence: str
    source: str
    training_data: str

    def frames(self, audio: Sequence[Samples]) -> list[Frames]:
        """float32 [ceil(L / hop), dimension] of each utterance (float32 [L] at 16 kHz, L >= 1);
        raises ItemFailure for one that the model cannot take."""
        ...


class MoonshineEncoder:
    """One layer of Moonshine tiny-en's encoder: [T, 288] at 41.67 Hz, one utterance at a time.

    256 zeros before and as many as the last frame needs after: a frame's convolutions reach over
    895 samples, and so stand around the 384 that the frame is of. Normalisation is over the whole
    utterance, so rows of a batch would have to be of one length.
    """

    name = "moonshine"
    dimension = 288
    hop = 384
    batching: Batching = "single"
    licence = "MIT"
    source = "Moonshine tiny-en (arXiv:2410.15608)"
    training_data = "200,000 hours of English speech with transcripts"
    reach, before = 895, 256
    usual = 4
    """Of the layers, the one whose k-means units tell most of the phone (docs/tokenizers.md)."""

    def __init__(
        self, layer: int | None = None, device: str = "cpu", threads: int | None = None
    ) -> None:
        from importlib.metadata import version

        from bench.judges._common import Workers
        from bench.moonshine_layers import LAYERS, encoder

        self.layer: int | None = self.usual if layer is None else layer
        if not 0 <= (self.layer or 0) <= LAYERS:
            raise UserError(
                f"layer={layer} is not possible with encoder=moonshine; choose 0 to {LAYERS}"
            )
        self._device, self._workers = device, Workers(threads)
        self.parameters = sum(p.numel() for p in encoder(device).parameters())
        self.weights = self.model = f"moonshine-voice-{version('moonshine-voice')}"
        self.revision = f"{self.weights}+float32+{self.layer}"

    def frames(self, audio: Sequence[Samples]) -> list[Frames]:
        return self._workers.map(self._frames, audio)

    def _frames(self, audio: Samples) -> Frames:
        from bench.judges._common import check

        check(audio)
        wanted = self.layer or 0
        return np.concatenate([self.states(piece)[wanted] for piece in pieces(audio, self.hop)])

    def states(self, audio: Samples) -> Sequence[Frames]:
        """Each hidden state [ceil(L / 384), 288] of one of `pieces`; number 0 goes into layer 1."""
        from bench.moonshine_layers import hidden_states

        count = -(-len(audio) // self.hop)
        padded = np.zeros((count - 1) * self.hop + self.reach, dtype=np.float32)
        room = padded[self.before : self.before + len(audio)]
        room[:] = audio[: len(room)]
        return hidden_states(padded, self._device)


def pieces(audio: Samples, hop: int) -> list[Samples]:
    """`audio` itself up to 30 s, else pieces of 10 to 20 s cut at whole frames near where it is
    quietest (`bench.moonshine.split`)."""
    from bench.moonshine import split

    lengths = [len(piece) for piece in split(audio)]
    cuts = [round(int(at) / hop) * hop for at in np.cumsum(lengths)[:-1]]
    return [audio[a:b] for a, b in zip([0, *cuts], [*cuts, len(audio)], strict=True)]


def load_encoder(
    name: str,
    *,
    model: str | None = None,
    layer: int | None = None,
    device: str = "cpu",
    threads: int | None = None,
) -> Encoder:
    """The encoder `name`; UserError where its options are not possible or its weights are wrong.

    model: folder or hub id, else the usual one; layer: index into the hidden states, else 4
    (moonshine) or 6;
    threads: utterances at a time where the encoder takes them singly.
    """
    if name not in NAMES:
        raise UserError(f"unknown encoder '{name}': choose {', '.join(NAMES)}")
    if name != "moonshine":
        from bench.ssl_models import load_model

        return load_model(name, model, layer, device)
    if model is not None:
        raise UserError(
            f"encoder=moonshine has no option model={model}: its weights come with the package "
            "moonshine-voice; leave it out"
        )
    return MoonshineEncoder(layer, device, threads)
