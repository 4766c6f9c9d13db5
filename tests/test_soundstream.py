"""SoundStream: what its layers promise, streaming, and the checkpoint that ships."""

from __future__ import annotations

import itertools
import json
import shutil
from functools import cache
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from bench import checkpoint, registry
from bench.contracts import AudioBatch, Samples, Tokens
from bench.errors import UserError
from bench.nn.causal import CausalConv, CausalConvTranspose, ConvNeXt
from bench.nn.rvq import ResidualQuantizer
from bench.nn.soundstream import HOP, SoundStream, SoundStreamConfig
from bench.nn.spectra import MelDistance, SpectrumHead
from bench.options import resolve
from tests.conftest import speech

SMALL = SoundStreamConfig(
    books=4, entries=16, dimension=8, encoder_width=16, encoder_depth=2, decoder_width=16,
    decoder_depth=2, channels=4,
)  # fmt: skip
ARCHITECTURES = pytest.mark.parametrize("architecture", ["frames", "paper"])


@cache
def small(architecture: str) -> SoundStream:
    """An untrained codec whose ids vary: the codebooks are frames of real speech."""
    torch.manual_seed(1)
    config = SoundStreamConfig(**{**SMALL.to_dict(), "architecture": architecture})
    model = SoundStream(config).double().eval()
    with torch.no_grad():
        left = model.latents(torch.from_numpy(clip()[None]).double())[0]
        for book in range(config.books):
            model.quantizer.vectors[book] = left[torch.randperm(len(left))[: config.entries]]
            left = left - model.quantizer.vectors[book][model.quantizer.nearest(left, book)]
    return model


@cache
def clip() -> Samples:
    """One real utterance, its length a multiple of nothing."""
    return speech(1)[0][1][:40_123]


@pytest.fixture(scope="session")
def made(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Checkpoint folders of both architectures."""
    folders = {}
    for architecture in ("frames", "paper"):
        folders[architecture] = tmp_path_factory.mktemp(architecture)
        model = small(architecture)
        checkpoint.save(
            folders[architecture], "soundstream", model.config.to_dict(), model.float().state_dict()
        )
        model.double()
    return folders


def load(folder: Path | None, **options: str) -> object:
    plugin = registry.plugin("tokenizers", "soundstream")
    chosen = {**options, **({"weights": str(folder)} if folder else {})}
    return plugin.module.load(device="cpu", **resolve(plugin, chosen))


# ---------------------------------------------------------------------------------- the layers
@pytest.mark.parametrize(
    "layer",
    [
        CausalConv(3, 5, 7),
        CausalConv(3, 5, 7, dilation=9),
        CausalConv(3, 5, 10, stride=5),
        CausalConvTranspose(3, 5, 4),
        ConvNeXt(3),
    ],
    ids=["plain", "dilated", "strided", "transposed", "convnext"],
)
def test_layers_look_back_only_and_chunk_alike(layer: torch.nn.Module) -> None:
    torch.manual_seed(0)
    layer.double()
    x = torch.randn(2, 3, 60, dtype=torch.float64)
    with torch.no_grad():
        whole = layer(x)
        later = x.clone()
        later[..., 40:] += 1
        per_frame = whole.shape[-1] / 60
        assert torch.equal(layer(later)[..., : int(40 * per_frame)],
                           whole[..., : int(40 * per_frame)])  # fmt: skip
        state: dict[torch.nn.Module, torch.Tensor] = {}
        parts = [layer(part, state) for part in x.split([5, 20, 10, 25], dim=-1)]
    torch.testing.assert_close(torch.cat(parts, -1), whole, rtol=0, atol=1e-12)


def test_a_strided_layer_is_torch_s_with_zeros_before() -> None:
    layer = CausalConv(2, 3, 8, stride=4).double()
    x = torch.randn(1, 2, 40, dtype=torch.float64)
    wanted = torch.nn.functional.conv1d(
        torch.nn.functional.pad(x, (4, 0)), layer.weight, layer.bias, stride=4
    )
    torch.testing.assert_close(layer(x), wanted)


def test_the_head_is_torch_s_inverse_stft() -> None:
    """Where all four windows are there, overlap-add equals torch.istft of the same spectrum."""
    torch.manual_seed(0)
    head = SpectrumHead(6, HOP, 2).double()
    x = torch.randn(1, 6, 20, dtype=torch.float64)
    with torch.no_grad():
        sound = head(x)[0]
        out = head.out(x.transpose(1, 2)).reshape(1, 40, 2, head.bins)
        size = out[:, :, 0].clamp(max=5.0).exp()
        spectrum = torch.polar(size, out[:, :, 1]).transpose(1, 2)
        wanted = torch.istft(
            spectrum, head.window_size, head.step, window=torch.hann_window(640).double()
        )[0]
    half = head.window_size // 2  # what istft cuts at the start
    torch.testing.assert_close(sound[640:6080], wanted[640 - half : 6080 - half])


def test_mel_distance_of_a_known_gain() -> None:
    """Twice the amplitude: log 2 in every band, all far above the floor."""
    distance = MelDistance(((512, 40), (1024, 80)))
    sound = torch.randn(1, 16_000, generator=torch.Generator().manual_seed(0))
    assert float(distance(sound, sound)) == 0.0
    assert float(distance(2 * sound, sound)) == pytest.approx(np.log(2), abs=1e-3)


# ------------------------------------------------------------------------------- the quantizer
def test_a_quantizer_of_known_entries() -> None:
    quantizer = ResidualQuantizer(2, 2, 1)
    quantizer.vectors = torch.tensor([[[-4.0], [4.0]], [[-1.0], [1.0]]])
    ids = quantizer.encode(torch.tensor([[3.2], [-4.9], [5.5]]))
    assert ids.tolist() == [[1, 0, 1], [0, 0, 1]]
    assert quantizer.decode(ids).tolist() == [[3.0], [-5.0], [5.0]]
    assert quantizer.decode(ids[:1]).tolist() == [[4.0], [-4.0], [4.0]]


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 2**16), books=st.integers(1, 4))
def test_a_prefix_of_the_ids_is_the_ids_of_a_prefix(seed: int, books: int) -> None:
    torch.manual_seed(seed)
    quantizer = ResidualQuantizer(4, 8, 3)
    quantizer.vectors = torch.randn(4, 8, 3)
    x = torch.randn(20, 3)
    assert torch.equal(quantizer.encode(x)[:books], quantizer.encode(x, books))
    left = x - quantizer.decode(quantizer.encode(x, books))
    nearest = torch.cdist(x[None], quantizer.vectors[:1])[0].argmin(1)
    assert torch.equal(quantizer.encode(x)[0], nearest)
    assert torch.isfinite(left).all()


def test_training_moves_entries_to_the_mean_of_their_frames() -> None:
    torch.manual_seed(0)
    quantizer = ResidualQuantizer(1, 4, 2, decay=0.5)
    centres = torch.tensor([[0.0, 0], [0, 10], [10, 0], [10, 10]])
    quantizer.start(centres.repeat(40, 1) + 0.01 * torch.randn(160, 2), seed=0)
    generator = torch.Generator().manual_seed(0)
    for _ in range(30):
        x = (centres + 1).repeat(8, 1)[None] + 0.01 * torch.randn(1, 32, 2)
        quantizer(x, torch.tensor([1]), generator)
    found = quantizer.vectors[0][quantizer.nearest(centres + 1, 0)]
    torch.testing.assert_close(found, centres + 1, atol=0.05, rtol=0)


def test_an_entry_out_of_use_is_replaced_by_a_frame() -> None:
    quantizer = ResidualQuantizer(1, 2, 1, decay=0.5)
    quantizer.vectors = torch.tensor([[[0.0], [1000.0]]])
    generator = torch.Generator().manual_seed(0)
    x = torch.linspace(-1, 1, 16).reshape(1, 16, 1)
    for _ in range(8):
        quantizer(x, torch.tensor([1]), generator)
    assert float(quantizer.vectors.abs().max()) <= 1.0
    assert len(set(quantizer.nearest(x[0], 0).tolist())) == 2


def test_quantizer_dropout_uses_as_many_codebooks_as_told() -> None:
    torch.manual_seed(0)
    quantizer = ResidualQuantizer(3, 8, 2, decay=1.0)  # decay 1: entries stay
    quantizer.vectors = torch.randn(3, 8, 2)
    quantizer.sums = quantizer.vectors.clone()
    x = torch.randn(3, 5, 2)
    frames = [
        quantizer.decode(quantizer.encode(row, n)) for n, row in zip((1, 2, 3), x, strict=True)
    ]
    made, loss = quantizer(x, torch.tensor([1, 2, 3]), torch.Generator())
    torch.testing.assert_close(made, torch.stack(frames))
    assert float(loss) > 0


# ------------------------------------------------------------------------------- the tokenizer
@ARCHITECTURES
@pytest.mark.parametrize("seed", [0, 1])
def test_streaming_equals_offline(architecture: str, seed: int, made: dict[str, Path]) -> None:
    tokenizer = load(made[architecture], codebooks="3")
    sound = clip()
    offline = tokenizer.encode(AudioBatch.of([sound], 16_000))[0]
    said = tokenizer.decode([offline])[0]
    random = np.random.default_rng(seed)
    session, at, ids = tokenizer.stream(), 0, []
    while at < len(sound):
        size = int(random.choice([1, 100, 320, 333, 5000]))
        ids.append(session.encode(sound[at : at + size], last=at + size >= len(sound)))
        at += size
    for k, stream in enumerate(offline.streams):
        np.testing.assert_array_equal(np.concatenate([t.streams[k] for t in ids]), stream)
    pieces, at, frames = [], 0, len(offline.streams[0])
    while at < frames:
        size = int(random.integers(1, 9))
        part = Tokens(tuple(s[at : at + size] for s in offline.streams))
        pieces.append(session.decode(part, last=at + size >= frames))
        at += size
    np.testing.assert_allclose(np.concatenate(pieces), said, atol=1e-6)


@ARCHITECTURES
def test_no_id_knows_a_later_frame(architecture: str, made: dict[str, Path]) -> None:
    tokenizer = load(made[architecture], codebooks="4")
    sound = clip().copy()
    before = tokenizer.encode(AudioBatch.of([sound], 16_000))[0]
    sound[50 * HOP :] = 0.3 * np.sin(np.arange(len(sound) - 50 * HOP))
    after = tokenizer.encode(AudioBatch.of([sound], 16_000))[0]
    for a, b in zip(before.streams, after.streams, strict=True):
        np.testing.assert_array_equal(a[:50], b[:50])
    assert not np.array_equal(before.streams[0][50:], after.streams[0][50:])


@ARCHITECTURES
def test_features_are_quantized_to_the_ids(architecture: str, made: dict[str, Path]) -> None:
    tokenizer = load(made[architecture], codebooks="2")
    batch = AudioBatch.of([clip(), clip()[:7000]], 16_000)
    for tokens, frames in zip(tokenizer.encode(batch), tokenizer.features(batch), strict=True):
        first, second = tokenizer.codebooks()
        found = np.square(frames[:, None] - first).sum(-1).argmin(1)
        assert (found == tokens.streams[0]).mean() > 0.99  # float32 here, float64 there
        left = frames - first[tokens.streams[0]]
        found = np.square(left[:, None] - second).sum(-1).argmin(1)
        assert (found == tokens.streams[1]).mean() > 0.99


def test_a_checkpoint_of_fewer_codebooks(made: dict[str, Path]) -> None:
    with pytest.raises(UserError, match=r"codebooks=8, but the checkpoint .* has 4"):
        load(made["frames"], codebooks="8")


# ------------------------------------------------------------------------------ bad checkpoints
def _spoil(folder: Path, how: str) -> None:
    weights, config = folder / checkpoint.WEIGHTS, folder / checkpoint.CONFIG
    about = json.loads(config.read_text())
    if how == "truncated":
        weights.write_bytes(weights.read_bytes()[:-100])
    elif how == "empty":
        weights.write_bytes(b"")
    elif how == "pickle":
        weights.unlink()
        torch.save({}, folder / "model.pt")
    elif how == "renamed pickle":
        torch.save({"a": torch.zeros(3)}, weights)
    elif how == "no config":
        config.unlink()
    elif how == "not JSON":
        config.write_text("{")
    elif how == "other format":
        config.write_text(json.dumps({**about, "format": 99}))
    elif how == "other kind":
        config.write_text(json.dumps({**about, "kind": "kmeans"}))
    elif how == "other config":
        config.write_text(json.dumps({**about, "config": {"layers": 3}}))
    elif how == "other size":
        about["config"]["entries"] = 32
        config.write_text(json.dumps(about))
    elif how == "other architecture":
        about["config"]["architecture"] = "paper"
        config.write_text(json.dumps(about))


@pytest.mark.parametrize(
    ("how", "told"),
    [
        ("truncated", "is damaged or no safetensors file"),
        ("empty", "is damaged or no safetensors file"),
        ("pickle", "model.pt is a pickle, which can run code"),
        ("renamed pickle", "is damaged or no safetensors file"),
        ("no config", "lacks config.json"),
        ("not JSON", "is no configuration of a checkpoint"),
        ("other format", "has checkpoint format 99, this version reads 1"),
        ("other kind", "holds a checkpoint of 'kmeans', not of 'soundstream'"),
        ("other config", "its configuration is of another version"),
        ("other size", "has shape .*, not .*"),
        ("other architecture", "tensors are missing or not known"),
    ],
)
def test_a_bad_checkpoint_is_told(
    how: str, told: str, made: dict[str, Path], tmp_path: Path
) -> None:
    folder = tmp_path / "weights"
    shutil.copytree(made["frames"], folder)
    _spoil(folder, how)
    with pytest.raises(UserError, match=told):
        load(folder, codebooks="4")


def test_a_folder_that_is_not_there() -> None:
    with pytest.raises(UserError, match="the folder weights=/no/such does not exist"):
        load(Path("/no/such"))


@pytest.mark.parametrize("count", ["0", "9", "two"])
def test_a_wrong_codebook_count(count: str) -> None:
    with pytest.raises(UserError, match=f"codebooks={count} is not possible; choose 1, 2"):
        load(None, codebooks=count)


def test_half_precision_is_half_the_size(tmp_path: Path) -> None:
    tensors = {"a": torch.linspace(-1, 1, 100), "b": torch.arange(5)}
    checkpoint.save(tmp_path, "x", {"n": 1}, tensors, half=True)
    found = checkpoint.load(tmp_path, "x")
    assert found.tensors["a"].dtype == torch.float16 and found.tensors["b"].dtype == torch.int64
    torch.testing.assert_close(found.tensors["a"].float(), tensors["a"], atol=1e-3, rtol=0)
    assert list(itertools.chain(found.config.items())) == [("n", 1)]
