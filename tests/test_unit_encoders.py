"""The encoders of transformers: random weights, real configurations with two or three blocks.

Everything but the number of blocks is that of hubert-base, wav2vec2-base, wavlm-base, whisper-base
and of the large models' kind (layer norms, attention masks): no published weights are needed.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bench.compat import ensure_torchaudio
from bench.contracts import Samples
from bench.errors import UserError
from bench.ssl_encoders import Encoder, load_encoder
from tests.conftest import speech

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")
ensure_torchaudio()  # some of its models import it

BLOCKS = 2
BASE = {"num_hidden_layers": BLOCKS}
LARGE = {**BASE, "feat_extract_norm": "layer", "do_stable_layer_norm": True, "conv_bias": True}
WHISPER = {
    "d_model": 512, "encoder_layers": BLOCKS, "decoder_layers": 1, "encoder_ffn_dim": 2048,
    "decoder_ffn_dim": 64, "encoder_attention_heads": 8, "decoder_attention_heads": 8,
}  # fmt: skip
KINDS: dict[str, tuple[str, str, str, dict[str, Any]]] = {
    "hubert": ("hubert", "HubertModel", "HubertConfig", BASE),
    "wav2vec2": ("wav2vec2", "Wav2Vec2ForPreTraining", "Wav2Vec2Config", BASE),
    "wavlm": ("wavlm", "WavLMModel", "WavLMConfig", BASE),
    "large": ("wavlm", "WavLMModel", "WavLMConfig", LARGE),
    "whisper": ("whisper", "WhisperForConditionalGeneration", "WhisperConfig", WHISPER),
}
every = pytest.mark.parametrize("kind", list(KINDS))
Saved = Callable[[str], tuple[Path, Any]]


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> Saved:
    """Folder with the weights of a kind, and the model itself as transformers made it."""
    made: dict[str, tuple[Path, Any]] = {}

    def of(kind: str) -> tuple[Path, Any]:
        if kind not in made:
            _, architecture, config, chosen = KINDS[kind]
            torch.manual_seed(1)
            model = getattr(transformers, architecture)(getattr(transformers, config)(**chosen))
            folder = tmp_path_factory.mktemp(kind)
            model.eval().save_pretrained(folder)
            made[kind] = folder, model
        return made[kind]

    return of


@pytest.fixture(scope="module")
def load(saved: Saved) -> Callable[..., Encoder]:
    def loaded(kind: str, layer: int | None = BLOCKS, folder: Path | None = None) -> Encoder:
        return load_encoder(KINDS[kind][0], model=str(folder or saved(kind)[0]), layer=layer)

    return loaded


@pytest.fixture(scope="module")
def sounds() -> list[Samples]:
    """Real speech: three lengths under 1.3 s, two of them equal, none of whole frames."""
    return [x[:n] for (_, x), n in zip(speech(4), (16_001, 20_479, 16_001, 9_000), strict=True)]


@pytest.mark.parametrize(
    "kind", [pytest.param(k, marks=pytest.mark.slow if k == "whisper" else ()) for k in KINDS]
)
def test_a_batch_gives_each_utterance_the_frames_it_gets_alone(
    kind: str, load: Callable[..., Encoder], sounds: list[Samples]
) -> None:
    encoder = load(kind)
    sounds = sounds[:2] if kind == "whisper" else sounds  # each costs it 30 s
    assert encoder.batching == ("any" if kind in ("large", "whisper") else "equal-length")
    table = np.random.default_rng(0).normal(size=(50, encoder.dimension))
    for sound, together in zip(sounds, encoder.frames(sounds), strict=True):
        alone = encoder.frames([sound])[0]
        assert together.dtype == np.float32
        assert together.shape == (-(-len(sound) // 320), encoder.dimension)
        np.testing.assert_allclose(together, alone, atol=2e-4)
        np.testing.assert_array_equal((together @ table.T).argmax(1), (alone @ table.T).argmax(1))


def direct(kind: str, model: Any, sound: Samples) -> list[np.ndarray]:
    """All hidden states as transformers gives them, called without this project's code."""
    frames = -(-len(sound) // 320)
    with torch.inference_mode():
        if kind == "whisper":
            extractor = transformers.WhisperFeatureExtractor()
            mels = extractor(sound, sampling_rate=16_000, return_tensors="pt").input_features
            states = model.model.encoder(mels, output_hidden_states=True).hidden_states
            return [s[0, :frames].numpy() for s in states]
        if kind == "large":
            extractor = transformers.Wav2Vec2FeatureExtractor(do_normalize=True)
            sound = extractor(sound, sampling_rate=16_000, return_tensors="np").input_values[0]
        padded = np.zeros((1, 320 * frames + 80), dtype=np.float32)
        padded[0, 40 : 40 + len(sound)] = sound
        base = getattr(model, "wav2vec2", model)
        found = base(torch.from_numpy(padded), output_hidden_states=True).hidden_states
        return [s[0].numpy() for s in found]


@every
def test_a_layer_is_the_hidden_state_of_transformers(
    kind: str, load: Callable[..., Encoder], saved: Saved, sounds: list[Samples]
) -> None:
    states = direct(kind, saved(kind)[1], sounds[1])
    assert len(states) == BLOCKS + 1
    for layer, wanted in enumerate(states):
        found = load(kind, layer).frames([sounds[1]])[0]
        np.testing.assert_allclose(found, wanted, atol=2e-4)
    spread = [float(np.abs(a - b).max()) for a, b in zip(states[1:], states, strict=False)]
    assert min(spread) > 0.01  # the layers do differ


@pytest.mark.parametrize("length", [1, 319, 320, 321, 400, 1600])
def test_there_is_a_frame_for_every_320_samples_begun(
    length: int, load: Callable[..., Encoder], sounds: list[Samples]
) -> None:
    frames = load("hubert", 0).frames([sounds[0][:length]])[0]
    assert frames.shape == (-(-length // 320), 768)
    assert np.isfinite(frames).all()


def copied(saved: Saved, kind: str, to: Path) -> Path:
    shutil.copytree(saved(kind)[0], to / "model")
    return to / "model"


def test_the_preprocessor_s_word_on_normalisation_counts(
    load: Callable[..., Encoder], saved: Saved, sounds: list[Samples], tmp_path: Path
) -> None:
    folder = copied(saved, "hubert", tmp_path)
    plain = load("hubert", 1, folder)
    (folder / "preprocessor_config.json").write_text('{"do_normalize": true}')
    normalised = load("hubert", 1, folder)
    assert normalised.weights != plain.weights and normalised.weights.endswith("+normalised")
    x = sounds[0]
    by_hand = ((x - x.mean()) / np.sqrt(x.var() + 1e-7)).astype(np.float32)
    np.testing.assert_allclose(normalised.frames([x])[0], plain.frames([by_hand])[0], atol=1e-5)
    louder, quieter = normalised.frames([0.9 * x])[0], normalised.frames([0.3 * x])[0]
    np.testing.assert_allclose(louder, quieter, atol=1e-3)
    assert np.abs(plain.frames([0.9 * x])[0] - plain.frames([0.3 * x])[0]).max() > 0.01
    (folder / "preprocessor_config.json").write_text("{}")
    with pytest.raises(UserError, match=r"preprocessor_config\.json cannot be read"):
        load("hubert", 1, folder)


@pytest.mark.slow
def test_long_utterances_go_in_pieces(load: Callable[..., Encoder], sounds: list[Samples]) -> None:
    long = np.tile(sounds[0], 32)[: 31 * 16_000 + 7]
    frames = load("whisper", 0).frames([long, sounds[0]])
    assert [len(f) for f in frames] == [-(-len(long) // 320), -(-len(sounds[0]) // 320)]


def test_tensors_in_a_pickle_are_read_and_code_is_not(
    load: Callable[..., Encoder], saved: Saved, sounds: list[Samples], tmp_path: Path
) -> None:
    folder = copied(saved, "hubert", tmp_path)
    (folder / "model.safetensors").unlink()
    torch.save(saved("hubert")[1].state_dict(), folder / "pytorch_model.bin")
    np.testing.assert_array_equal(
        load("hubert", 1, folder).frames(sounds[:1])[0], load("hubert", 1).frames(sounds[:1])[0]
    )
    torch.save({"weight": Path("code")}, folder / "pytorch_model.bin")
    with pytest.raises(UserError, match="holds more than tensors, which is not opened"):
        load("hubert", 1, folder)


def rewritten(folder: Path, **changed: Any) -> None:
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | changed))


def foreign(folder: Path) -> None:
    rewritten(folder, model_type="wavlm")


def shorter(folder: Path) -> None:
    data = (folder / "model.safetensors").read_bytes()
    (folder / "model.safetensors").write_bytes(data[:-100])


def lacking(folder: Path) -> None:
    from safetensors.torch import load_file, save_file

    state = load_file(folder / "model.safetensors")
    save_file({k: v for k, v in state.items() if "layers.1." not in k},
              folder / "model.safetensors", metadata={"format": "pt"})  # fmt: skip


@pytest.mark.parametrize(
    ("damage", "sentence"),
    [
        (foreign, "holds a model of type 'wavlm', not 'hubert'"),
        (shorter, "is not a whole safetensors file"),
        (lacking, "lacks .* weights, such as encoder"),
        (lambda f: rewritten(f, hidden_size=384), "does not fit its own configuration"),
        (lambda f: rewritten(f, num_hidden_layers=1), "has more than the model"),
        (lambda f: (f / "config.json").write_text("{"), "is not JSON"),
        (lambda f: (f / "config.json").unlink(), r"lacks config\.json"),
        (lambda f: (f / "model.safetensors").unlink(), "lacks the weights"),
    ],
)
def test_wrong_weights(
    damage: Callable[[Path], None], sentence: str, load: Callable[..., Encoder], saved: Saved,
    tmp_path: Path,
) -> None:  # fmt: skip
    folder = copied(saved, "hubert", tmp_path)
    damage(folder)
    with pytest.raises(UserError, match=sentence):
        load("hubert", 1, folder)


@pytest.mark.parametrize("layer", [-1, BLOCKS + 1, None])
@pytest.mark.parametrize("kind", ["hubert", "whisper"])
def test_a_layer_that_is_not_there(
    kind: str, layer: int | None, load: Callable[..., Encoder]
) -> None:
    with pytest.raises(UserError, match=rf"layer={6 if layer is None else layer} is not possible "
                                        rf".*choose 0 to {BLOCKS}"):  # fmt: skip
        load(kind, layer)


def test_a_folder_that_is_not_there() -> None:
    with pytest.raises(UserError, match="does not exist"):
        load_encoder("hubert", model="/no/where/at/all")
