"""HuBERT, wav2vec2, WavLM and Whisper as encoders: any hidden state, through transformers."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from bench.contracts import Batching, Samples
from bench.errors import UserError, WeightsUnavailable
from bench.ssl_encoders import RATE, Frames, pieces

if TYPE_CHECKING:
    import torch

    from bench.tokenizers._hub import Weights

SECONDS = 120
"""Audio in one pass, padding included."""
BIN = "pytorch_model.bin"
PREPROCESSOR = "preprocessor_config.json"


@dataclass(frozen=True)
class Kind:
    """architecture: of transformers. repository: hub id of the usual weights. heads: first parts
    of names of weights that published files hold for other uses. The rest is of the usual ones."""

    architecture: str
    repository: str
    licence: str
    source: str
    training_data: str
    heads: tuple[str, ...] = ()
    file: str = BIN


KINDS = {
    "hubert": Kind(
        "HubertModel", "facebook/hubert-base-ls960", "Apache-2.0",
        "HuBERT (Hsu et al., 2021, arXiv:2106.07447)", "LibriSpeech, 960 h",
        ("lm_head", "projector", "classifier"),
    ),
    "wav2vec2": Kind(
        "Wav2Vec2Model", "facebook/wav2vec2-base", "Apache-2.0",
        "wav2vec 2.0 (Baevski et al., 2020, arXiv:2006.11477)", "LibriSpeech, 960 h",
        ("lm_head", "quantizer", "project_q", "project_hid", "projector", "classifier"),
    ),
    "wavlm": Kind(
        "WavLMModel", "microsoft/wavlm-base", "CC-BY-SA-3.0",
        "WavLM (Chen et al., 2022, arXiv:2110.13900)", "LibriSpeech, 960 h",
        ("lm_head", "projector", "classifier"),
    ),
    "whisper": Kind(
        "WhisperModel", "openai/whisper-base", "Apache-2.0",
        "Whisper (Radford et al., 2022, arXiv:2212.04356)", "680,000 h with transcripts",
        ("proj_out",), "model.safetensors",
    ),
}  # fmt: skip


class HiddenStates:
    """What both kinds of model share: pieces of at most 30 s, passes, one hidden state.

    `layer` indexes `hidden_states` as transformers gives them: 0 is what goes into the first
    transformer block, N what comes out of block N (the last one after the final norm).
    """

    batching: Batching

    def __init__(self, name: str, weights: Weights, net: Any, layer: int, hop: int, size: int,
                 device: str) -> None:  # fmt: skip
        """net: gives `hidden_states`; size: number of trained weights that are used."""
        usual = KINDS[name]
        given = weights.folder.name != usual.repository.rpartition("/")[2]
        self.name, self.layer, self.hop, self.parameters = name, layer, hop, size
        self.model = weights.folder.name if given else usual.repository
        self.licence = "that of the weights given" if given else usual.licence
        self.source, self.training_data = usual.source, "" if given else usual.training_data
        self.weights = weights.revision()
        self._net, self._device = net, device

    @property
    def revision(self) -> str:
        import transformers

        return f"{self.weights}+transformers-{transformers.__version__}"

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
        size = sum(p.numel() for p in model.parameters())
        super().__init__(name, weights, model, layer, hop, size, device)
        self.dimension, self._around, self._normalise = config.hidden_size, reach - hop, normalise
        self.weights += "+normalised" if normalise else ""
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
        states: torch.Tensor = self._net(**given, output_hidden_states=True).hidden_states[
            self.layer
        ]
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
        size = sum(p.numel() for p in net.parameters())
        super().__init__(name, weights, net, layer, 320, size, device)
        self.dimension = config.d_model
        self._mels = WhisperFeatureExtractor(feature_size=config.num_mel_bins)

    def _states(self, clips: Sequence[Samples]) -> torch.Tensor:
        mels = self._mels(list(clips), sampling_rate=RATE, return_tensors="pt").input_features
        found = self._net(mels.to(self._device), output_hidden_states=True).hidden_states
        states: torch.Tensor = found[self.layer]
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
    wanted, most = 6 if layer is None else layer, _depth(name, found)
    if not 0 <= wanted <= most:
        raise UserError(
            f"layer={wanted} is not possible with encoder={name} in {found.folder}: choose 0 to "
            f"{most}"
        )
    net = _loaded(kind, found, device)
    if name == "whisper":
        return Whisper(name, found, net, wanted, device)
    large = net.config.feat_extract_norm == "layer"
    normalise = _normalised(found, model or kind.repository, large)
    return Wave(name, found, net, wanted, normalise, device)


def _depth(name: str, weights: Weights) -> int:
    """Transformer blocks of the encoder."""
    key = "encoder_layers" if name == "whisper" else "num_hidden_layers"
    return int(weights.config.get(key, 0))


def _loaded(kind: Kind, weights: Weights, device: str) -> Any:
    """The transformers model with every weight it needs; what the file holds for `kind.heads`
    stays unread."""
    from bench.compat import ensure_torchaudio
    from bench.tokenizers._hub import _quiet, _tensors, package

    ensure_torchaudio()
    model = getattr(package("transformers"), kind.architecture)
    found, wanted = weights.config.get("model_type"), model.config_class.model_type
    if found != wanted:
        raise UserError(
            f"{weights.name}: {weights.folder} holds a model of type '{found}', not '{wanted}'; "
            "name the folder or hub id of the right one"
        )
    state = _tensors(weights)
    try:
        with _quiet():
            made, told = model.from_pretrained(
                None,
                config=model.config_class.from_dict(dict(weights.config)),
                state_dict=state,
                output_loading_info=True,
                dtype="float32",
            )
    except (OSError, ValueError, TypeError, RuntimeError, AttributeError) as error:
        reason = " ".join(str(error).split())[:200]
        raise UserError(
            f"{weights.name}: {weights.folder} does not fit its own configuration ({reason})"
        ) from error
    left = [key for key in told["unexpected_keys"] if key.partition(".")[0] not in kind.heads]
    lacking = set(told["missing_keys"]) - {"masked_spec_embed"}  # used in training only
    for keys, what in ((lacking, "lacks"), (left, "has more than the model:")):
        if keys:
            raise UserError(
                f"{weights.name}: {weights.file} {what} {len(keys)} weights, such as {min(keys)}; "
                "it belongs to another model, fetch the right one"
            )
    return made.to(device).eval().requires_grad_(False)


def _normalised(weights: Weights, model: str, large: bool) -> bool:
    """Whether audio is brought to mean 0 and variance 1, as `preprocessor_config.json` says;
    without one, as the models were trained: the large ones are, the base ones are not."""
    path = weights.folder / PREPROCESSOR
    if not path.is_file() and not Path(model).expanduser().is_dir():
        path = _fetched(weights, model) or path
    if not path.is_file():
        return large
    try:
        told = json.loads(path.read_text(encoding="utf-8"))["do_normalize"]
    except (ValueError, OSError, KeyError, TypeError) as error:
        raise UserError(
            f"{weights.name}: {path} cannot be read ({error}); fetch it again"
        ) from error
    return bool(told)


def _fetched(weights: Weights, repository: str) -> Path | None:
    """The hub's file in its cache; None where the repository has none."""
    from huggingface_hub import hf_hub_download
    from huggingface_hub.errors import EntryNotFoundError, HfHubHTTPError, LocalEntryNotFoundError

    try:
        return Path(hf_hub_download(repository, PREPROCESSOR))
    except LocalEntryNotFoundError as error:
        raise WeightsUnavailable(
            f"{weights.name}: the file {PREPROCESSOR} of {repository}, which says how its audio is "
            "prepared",
            f"hf download {repository} {PREPROCESSOR} --local-dir {weights.folder}",
        ) from error
    except (EntryNotFoundError, HfHubHTTPError):
        return None
