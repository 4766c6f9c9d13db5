"""Weights of the encoders that transformers runs: where they are published, loaded and checked."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bench.errors import UserError, WeightsUnavailable

if TYPE_CHECKING:
    from bench.tokenizers._hub import Weights

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


def depth(name: str, weights: Weights) -> int:
    """Transformer blocks of the encoder."""
    key = "encoder_layers" if name == "whisper" else "num_hidden_layers"
    return int(weights.config.get(key, 0))


def loaded(kind: Kind, weights: Weights, device: str) -> Any:
    """The transformers model with every weight it needs; what the file holds for `kind.heads`
    stays unread."""
    from bench.compat import ensure_torchaudio
    from bench.tokenizers._hub import package, quiet, tensors_of

    ensure_torchaudio()
    model = getattr(package("transformers"), kind.architecture)
    found, wanted = weights.config.get("model_type"), model.config_class.model_type
    if found != wanted:
        raise UserError(
            f"{weights.name}: {weights.folder} holds a model of type '{found}', not '{wanted}'; "
            "name the folder or hub id of the right one"
        )
    state = tensors_of(weights)
    try:
        with quiet():
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


def normalised(weights: Weights, model: str, large: bool) -> bool:
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
