"""Models of the published codecs' architectures with random weights, saved as folders.

Real sizes but for DAC, SNAC and SpeechTokenizer (a quarter of the width) and X-Codec (the same, and
2 of HuBERT's 12 layers); `FULL` holds the real sizes of these and of the larger variants, and what
is called small is for tests of files alone. The codebooks are drawn from the latents that speech
gives, so that ids vary; decoders in which the biases would drown the ids get louder latents, and
the last layer is scaled to the level of speech.
"""

from __future__ import annotations

import importlib.util
import json
from collections.abc import Callable, Iterable
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bench import audio, registry
from bench.compat import ensure_torchaudio
from bench.contracts import Samples, Tokenizer
from bench.options import resolve
from tests.conftest import speech

LEVEL = 0.1  # standard deviation of the decoded audio


@cache
def spoken() -> Samples:
    """Half a minute of real speech of several voices, 16 kHz."""
    return np.concatenate([x for _, x in speech(8)])


@cache
def sound(rate: int, seconds: float, start: float = 3.0) -> Samples:
    """Speech at `rate` Hz."""
    piece = spoken()[int(start * 16_000) :][: int((seconds + 1) * 16_000)]
    return audio.resample(piece, 16_000, rate)[: int(seconds * rate)].copy()


# ------------------------------------------------------------------------------------ the models
def _transformers() -> Any:
    ensure_torchaudio()
    import transformers

    return transformers


def encodec(model: str = "24khz") -> Any:
    t = _transformers()
    wide: dict[str, Any] = {
        "sampling_rate": 48_000,
        "audio_channels": 2,
        "normalize": True,
        "chunk_length_s": 1.0,
        "overlap": 0.01,
        "target_bandwidths": [3.0, 6.0, 12.0, 24.0],
        "norm_type": "time_group_norm",
        "use_causal_conv": False,
    }
    made = t.EncodecModel(t.EncodecConfig(**(wide if model == "48khz" else {})))
    return _vary(made, lambda m: [q.codebook.embed for q in m.quantizer.layers])


def small_encodec() -> Any:
    t = _transformers()
    return t.EncodecModel(t.EncodecConfig(num_filters=4, hidden_size=16))


def dac(model: str = "16khz", full: bool = False) -> Any:
    t = _transformers()
    chosen = {
        "16khz": ([2, 4, 5, 8], 12, 16_000),
        "24khz": ([2, 4, 5, 8], 32, 24_000),
        "44khz": ([2, 4, 8, 8], 9, 44_100),
    }[model]
    ratios, books, rate = chosen
    small = {} if full else {"encoder_hidden_size": 16, "decoder_hidden_size": 384}
    made = t.DacModel(
        t.DacConfig(downsampling_ratios=ratios, n_codebooks=books, sampling_rate=rate, **small)
    ).eval()
    with _no_grad():
        _level(made.decoder.conv2, made(_heard(rate, 1)).audio_values)
    return made


def mimi(**changed: Any) -> Any:
    t = _transformers()
    made = t.MimiModel(t.MimiConfig(**changed))
    with _no_grad():
        latents = made.encoder(_heard(made.config.sampling_rate, 1, 5.0)).latents
        for part in (
            made.quantizer.semantic_residual_vector_quantizer,
            made.quantizer.acoustic_residual_vector_quantizer,
        ):
            _draw((q.codebook.embed_sum for q in part.layers), part.input_proj(latents))
        _level(made.decoder.decoder_seanet.layers[-1].conv, made(_heard(24_000, 1)).audio_values)
    for module in made.modules():
        if hasattr(module, "_embed"):
            module._embed = None  # computed from what was there before
    return made


def xcodec(full: bool = False) -> Any:
    t = _transformers()
    small = {
        "acoustic_model_config": {"encoder_hidden_size": 16, "decoder_hidden_size": 256},
        "semantic_model_config": {"num_hidden_layers": 2},
    }
    made = t.XcodecModel(t.XcodecConfig(**({} if full else small))).eval()
    seen: list[Any] = []
    hook = made.fc.register_forward_hook(lambda _m, _i, out: seen.append(out.transpose(1, 2)))
    with _no_grad():
        made.encode(_heard(16_000, 1))
        hook.remove()
        _draw((q.codebook.embed for q in made.quantizer.quantizers), seen[0])
        _level(made.acoustic_decoder.conv2, made(_heard(16_000, 1)).audio_values)
    return made


def speechtokenizer(width: int = 16, dimension: int = 256) -> tuple[Any, dict[str, Any]]:
    from bench.tokenizers.speechtokenizer import architecture

    config = {
        "n_filters": width,
        "strides": [8, 5, 4, 2],
        "dimension": dimension,
        "semantic_dimension": 768,
        "bidirectional": True,
        "dilation_base": 2,
        "residual_kernel_size": 3,
        "n_residual_layers": 1,
        "lstm_layers": 2,
        "activation": "ELU",
        "codebook_size": 1024,
        "n_q": 8,
        "sample_rate": 16_000,
    }
    made = architecture()(config).eval()
    with _no_grad():
        latents = made.encoder(_heard(16_000, 1))
        _draw((q._codebook.embed for q in made.quantizer.vq.layers), latents)
        made.decoder.model[0].conv.conv.weight_g.div_(latents.std())
        _level(made.decoder.model[-1].conv.conv, made.decode(made.encode(_heard(16_000, 1))))
    return made, config


def snac(model: str = "24khz", full: bool = False) -> tuple[Any, dict[str, Any]]:
    from snac import SNAC

    shared = {"codebook_size": 4096, "codebook_dim": 8, "noise": True, "depthwise": True}
    small = {
        "sampling_rate": 24_000,
        "encoder_dim": 48,
        "encoder_rates": [2, 4, 8, 8],
        "decoder_dim": 1024,
        "decoder_rates": [8, 8, 4, 2],
        "attn_window_size": None,
        "vq_strides": [4, 2, 1],
    }
    large = {
        "sampling_rate": 32_000,
        "encoder_dim": 64,
        "encoder_rates": [2, 3, 8, 8],
        "decoder_dim": 1536,
        "decoder_rates": [8, 8, 3, 2],
        "attn_window_size": 32,
        "vq_strides": [8, 4, 2, 1],
    }
    config = {**shared, **(large if model == "32khz" else small)}
    if model != "32khz" and not full:
        config |= {"encoder_dim": 12, "decoder_dim": 256}
    made = SNAC(**config).eval()
    with _no_grad():
        residual = made.encoder(made.preprocess(_heard(config["sampling_rate"], 1)))
        for quantizer in made.quantizer.quantizers:  # centred, so that the cosine tells them apart
            quantizer.in_proj.bias.sub_(quantizer.in_proj(residual).mean(dim=(0, 2)))
            residual = residual - quantizer(residual)[0]
    return made, config


def small_speechtokenizer() -> tuple[Any, dict[str, Any]]:
    return speechtokenizer(2, 16)


# --------------------------------------------------------------------------- weights worth testing
def _no_grad() -> Any:
    import torch

    return torch.no_grad()


def _heard(rate: int, channels: int, seconds: float = 2.0) -> Any:
    """Speech [1, channels, L], in whole frames of every codec."""
    import torch

    piece = sound(rate, seconds)
    return torch.from_numpy(piece[: len(piece) // 1920 * 1920].copy()).expand(1, channels, -1)


def _vary(model: Any, books: Callable[[Any], Iterable[Any]]) -> Any:
    model.eval()
    config = model.config
    audio = _heard(config.sampling_rate, config.audio_channels)[..., :48_000]
    with _no_grad():
        scaled = audio / audio.pow(2).mean().sqrt() if config.normalize else audio
        latents = model.encoder(scaled)
        _draw(books(model), latents)
        if config.norm_type == "weight_norm":
            first = model.decoder.layers[0].conv
            first.parametrizations.weight.original0.div_(latents.std())
            made = model.decode(model.encode(audio, bandwidth=6.0).audio_codes, [None])
            _level(model.decoder.layers[-1].conv, made.audio_values)
    return model


def _draw(books: Iterable[Any], latents: Any) -> None:
    """Fill codebooks [V, D] with what is left of `latents` [1, D, T] after those before.

    Entry t lies by frame t, the rest far away, so that the nearest entry is seldom nearly equalled
    by another; what is left of a frame is left by the nearest entry of another frame.
    """
    import torch

    left = latents[0].T
    for book in books:
        near, scale = min(len(left), len(book)), left.std()
        book[:near] = left[:near] + 0.1 * scale * torch.randn_like(book[:near])
        far = torch.randint(len(left), (len(book) - near,))
        book[near:] = left[far] + 3 * scale * torch.randn_like(book[near:])
        distance = torch.cdist(left, book).fill_diagonal_(float("inf"))
        left = left - book[distance.argmin(dim=1)]


def _level(conv: Any, made: Any) -> None:
    """Scale and centre the last layer `conv`, whose output was `made`."""
    factor = LEVEL / float(made.std())
    normed = getattr(conv, "parametrizations", None)
    gain = normed.weight.original0 if normed else getattr(conv, "weight_g", conv.weight)
    gain.mul_(factor)
    conv.bias.sub_(made.mean()).mul_(factor)


# -------------------------------------------------------------------------------------- the folders
MAKERS: dict[str, Callable[[], Any]] = {
    "encodec-24khz": encodec,
    "encodec-48khz": lambda: encodec("48khz"),
    "dac-16khz": dac,
    "mimi": mimi,
    "xcodec": xcodec,
    "speechtokenizer": speechtokenizer,
    "snac-24khz": snac,
}
FULL: dict[str, Callable[[], Any]] = {
    "dac-16khz": lambda: dac(full=True),
    "dac-24khz": lambda: dac("24khz", full=True),
    "dac-44khz": lambda: dac("44khz", full=True),
    "xcodec": lambda: xcodec(full=True),
    "speechtokenizer": lambda: speechtokenizer(64, 1024),
    "snac-24khz": lambda: snac(full=True),
    "snac-32khz": lambda: snac("32khz"),
}
FILES = {"speechtokenizer": "SpeechTokenizer.pt", "snac": "pytorch_model.bin"}


def installed(package: str) -> None:
    """Skip where an optional package is not installed; it is not imported."""
    if importlib.util.find_spec(package) is None:
        pytest.skip("the extra `codecs` is not installed: pip install -e '.[codecs]'")


def save(label: str, make: Callable[[], Any], folder: Path) -> Path:
    """`folder` with a model as its authors publish it; the same at every call."""
    import torch

    torch.manual_seed(0)
    made = make()
    if isinstance(made, tuple):
        model, config = made
        folder.mkdir(parents=True)
        (folder / "config.json").write_text(json.dumps(config))
        torch.save(model.state_dict(), folder / FILES[label.partition("-")[0]])
    else:
        made.save_pretrained(folder)
    return folder


def open_tokenizer(label: str, folder: Path, **chosen: str) -> Tokenizer:
    """The tokenizer of a label (`name` or `name-model`), as the command line loads it."""
    name, _, model = label.partition("-")
    plugin = registry.plugin("tokenizers", name)
    options = resolve(
        plugin, {**({"model": model} if model else {}), **chosen, "weights": str(folder)}
    )
    made: Tokenizer = plugin.load(device="cpu", **options)
    return made
