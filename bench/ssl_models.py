"""HuBERT, wav2vec2, WavLM and Whisper as encoders: any hidden state, through transformers."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import accumulate
from typing import TYPE_CHECKING, Any

import numpy as np

from bench.contracts import Batching, Samples
from bench.errors import UserError
from bench.ssl_encoders import RATE, Frames, pieces
from bench.ssl_weights import KINDS, depth, loaded, normalised

if TYPE_CHECKING:
    import torch

    from bench.tokenizers._hub import Weights

SECONDS = 120
"""Audio in one pass, padding included."""


class HiddenStates:
    """What both kinds of model share: pieces of at most 30 s, passes, one hidden state.

    `layer` indexes `hidden_states` as transformers gives them: 0 is what goes into the first
    transformer block, N what comes out of block N (the last one after the final norm).
    """

    batching: Batching
    dimension: int

    def __init__(
        self,
        name: str,
        weights: Weights,
        net: Any,
        layer: int,
        hop: int,
        device: str,
        prepared: str = "",
    ) -> None:
        """net: gives `hidden_states`, its weights are those that are used; prepared: what is done
        to the audio before it."""
        import transformers

        usual = KINDS[name]
        given = weights.folder.name != usual.repository.rpartition("/")[2]
        self.name, self.hop = name, hop
        self.layer: int | None = layer
        self.parameters = sum(p.numel() for p in net.parameters())
        self.model = weights.folder.name if given else usual.repository
        self.licence = "that of the weights given" if given else usual.licence
        self.source, self.training_data = usual.source, "" if given else usual.training_data
        self.weights = weights.revision() + prepared
        self.revision = f"{self.weights}+transformers-{transformers.__version__}"
        self._net, self._state, self._device = net, layer, device

    def frames(self, audio: Sequence[Samples]) -> list[Frames]:
        """float32 [ceil(L / hop), dimension] of each utterance."""
        import torch

        parts = [(row, part) for row, item in enumerate(audio) for part in self._prepared(item)]
        made: dict[int, Frames] = {}
        with torch.inference_mode():
            for chosen in self._passes([len(part) for _, part in parts]):
                clips = [parts[i][1] for i in chosen]
                states = self._states(clips)
                for i, clip, found in zip(chosen, clips, states.float().cpu(), strict=True):
                    made[i] = found[: -(-len(clip) // self.hop)].numpy().copy()
        joined: list[list[Frames]] = [[] for _ in audio]
        for i, (row, _) in enumerate(parts):
            joined[row].append(made[i])
        return [np.concatenate(rows) for rows in joined]

    def _passes(self, lengths: Sequence[int]) -> list[list[int]]:
        """Indices of the pieces that share a pass: of one length, unless any may."""
        order = sorted(range(len(lengths)), key=lambda i: lengths[i])
        passes: list[list[int]] = []
        for i in order:
            fits = passes and (len(passes[-1]) + 1) * lengths[i] <= SECONDS * RATE
            if fits and (self.batching == "any" or lengths[passes[-1][0]] == lengths[i]):
                passes[-1].append(i)
            else:
                passes.append([i])
        return passes

    def _prepared(self, audio: Samples) -> list[Samples]:
        """Pieces of an utterance, at its own level or normalised."""
        return pieces(audio, self.hop)

    def _states(self, clips: Sequence[Samples]) -> torch.Tensor:
        """[B, T, D], the frames of each clip first."""
        raise NotImplementedError


class Wave(HiddenStates):
    """HuBERT, wav2vec2 and WavLM.

    A clip is zero-padded on both sides by half of what a frame's convolutions reach beyond it
    (40 + 40 samples), which gives L/320 frames exactly. Models with a group norm over time (base)
    see only clips of one length at a time; those with layer norms (large) get an attention mask.
    """

    def __init__(self, name: str, weights: Weights, model: Any, layer: int, normalise: bool,
                 device: str) -> None:  # fmt: skip
        config = model.config
        hop = math.prod(config.conv_stride)
        before = accumulate([1, *config.conv_stride[:-1]], lambda a, b: a * b)
        reach = 1 + sum((k - 1) * s for k, s in zip(config.conv_kernel, before, strict=True))
        # What comes after the hidden state that is wanted is not computed; the block after it
        # stays, as the last one's output is normalised where there is a final norm.
        model.encoder.layers = model.encoder.layers[: layer + 1]
        prepared = "+normalised" if normalise else ""
        super().__init__(name, weights, model, layer, hop, device, prepared)
        self.dimension, self._around, self._normalise = config.hidden_size, reach - hop, normalise
        self.batching = "equal-length" if config.feat_extract_norm == "group" else "any"

    def _prepared(self, audio: Samples) -> list[Samples]:
        if self._normalise:  # as Wav2Vec2FeatureExtractor does
            audio = (audio - audio.mean()) / np.sqrt(audio.var() + 1e-7)
        return pieces(audio, self.hop)

    def _states(self, clips: Sequence[Samples]) -> torch.Tensor:
        import torch

        sizes = [-(-len(clip) // self.hop) * self.hop + self._around for clip in clips]
        audio = np.zeros((len(clips), max(sizes)), dtype=np.float32)
        mask = np.zeros(audio.shape, dtype=np.int64)
        left = self._around // 2
        for row, clip in enumerate(clips):
            audio[row, left : left + len(clip)] = clip
            mask[row, : sizes[row]] = 1
        masked = {"attention_mask": mask} if self.batching == "any" else {}
        given = {name: torch.from_numpy(a).to(self._device)
                 for name, a in {"input_values": audio, **masked}.items()}  # fmt: skip
        found = self._net(**given, output_hidden_states=True).hidden_states
        states: torch.Tensor = found[self._state]
        return states


class Whisper(HiddenStates):
    """Whisper's encoder on log-mels of WhisperFeatureExtractor, padded to 30 s; 50 Hz."""

    batching: Batching = "any"

    def __init__(self, name: str, weights: Weights, model: Any, layer: int, device: str) -> None:
        from transformers import WhisperFeatureExtractor

        net, config = model.get_encoder(), model.config
        if config.max_source_positions != 1500:
            raise UserError(
                f"encoder=whisper: {weights.folder} is a model of {config.max_source_positions} "
                "frames, not of 1500 (30 s): name another one"
            )
        net.layers = net.layers[: layer + 1]
        super().__init__(name, weights, net, layer, 320, device)
        self.dimension = config.d_model
        self._mels = WhisperFeatureExtractor(feature_size=config.num_mel_bins)

    def _states(self, clips: Sequence[Samples]) -> torch.Tensor:
        mels = self._mels(list(clips), sampling_rate=RATE, return_tensors="pt").input_features
        found = self._net(mels.to(self._device), output_hidden_states=True).hidden_states
        states: torch.Tensor = found[self._state]
        return states


def load_model(name: str, model: str | None, layer: int | None, device: str) -> HiddenStates:
    """The encoder `name` at `layer` (6 where None), its weights from the folder or hub id `model`.

    Raises UserError for a layer that the model has not, a configuration of another kind and
    weights that are no safetensors or tensors, cut short or another model's; WeightsUnavailable
    where they are not here and cannot be fetched.
    """
    from bench.tokenizers._hub import Published, find

    kind = KINDS[name]
    found = find(
        Published(f"encoder={name}", kind.repository, kind.file, tensors_in_pickle=True), model
    )
    wanted, most = 6 if layer is None else layer, depth(name, found)
    if not 0 <= wanted <= most:
        raise UserError(
            f"layer={wanted} is not possible with encoder={name} in {found.folder}: choose 0 to "
            f"{most}"
        )
    net = loaded(kind, found, device)
    if name == "whisper":
        return Whisper(name, found, net, wanted, device)
    large = net.config.feat_extract_norm == "layer"
    normalise = normalised(found, model or kind.repository, large)
    return Wave(name, found, net, wanted, normalise, device)
