"""Published codecs on random weights of the real architectures: contract, exactness, streaming.

The weights that their authors publish are not tested here; `tests/published.py` says what is.
"""

from __future__ import annotations

import itertools
import math
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bench.batching import batches
from bench.checks import check_audio, check_info, check_tokens
from bench.contracts import AudioBatch, Samples, StreamingSession, Tokenizer, Tokens
from bench.errors import ItemFailure, UserError
from bench.options import variant_name
from tests import published
from tests.conftest import lyra_weights
from tests.published import installed, open_tokenizer, sound

pytest.importorskip("transformers", reason="the extra `codecs` is not installed")
torch = pytest.importorskip("torch")

Open = Callable[..., Tokenizer]
LABELS = list(published.MAKERS)
FRAMES = [label for label in LABELS if label not in ("encodec-48khz", "snac-24khz")]
HOPS = {"mimi": 1920}
every = pytest.mark.parametrize("label", LABELS)
framed = pytest.mark.parametrize("label", FRAMES)


@pytest.fixture(scope="module")
def shelf(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[str], Path]]:
    """label → folder of weights, made when first asked for, and deleted at the end."""
    root = tmp_path_factory.mktemp("published")

    def folder(label: str) -> Path:
        if label.startswith(("snac", "speech")):
            installed(label.partition("-")[0])
        place = root / label
        return place if place.exists() else published.save(label, published.MAKERS[label], place)

    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield folder
    torch.set_num_threads(threads)
    shutil.rmtree(root)


@pytest.fixture(scope="module")
def codec(shelf: Callable[[str], Path]) -> Open:
    """A loaded tokenizer, kept for the module."""
    kept: dict[Any, Tokenizer] = {}

    def make(label: str, **chosen: str) -> Tokenizer:
        key = (label, *chosen.items())
        if key not in kept:
            kept[key] = open_tokenizer(label, shelf(label), **chosen)
        return kept[key]

    return make


def encode(tokenizer: Tokenizer, *clips: Samples) -> list[Tokens]:
    return tokenizer.encode(AudioBatch.of(clips, tokenizer.info.sample_rate))


def ids_of(tokens: Tokens) -> np.ndarray:
    return np.stack(tokens.streams)


def same(one: Tokens, other: Tokens) -> bool:
    return len(one.streams) == len(other.streams) and all(
        np.array_equal(a, b) for a, b in zip(one.streams, other.streams, strict=True)
    )


def inner(tokenizer: Tokenizer) -> Any:
    """The model inside."""
    return tokenizer._model  # type: ignore[attr-defined]


def row(clip: Samples, channels: int = 1) -> Any:
    """[1, channels, L]"""
    return torch.from_numpy(clip.copy()).expand(1, channels, -1)


def to_frames(clip: Samples, hop: int) -> Samples:
    return np.pad(clip, (0, -len(clip) % hop))


# ------------------------------------------------------------------------------- the contract
@every
def test_a_batch_gives_each_utterance_the_ids_and_the_sound_it_gets_alone(
    label: str, codec: Open
) -> None:
    tokenizer = codec(label)
    rate = tokenizer.info.sample_rate
    clips = [sound(rate, s) for s in (0.31, 0.02, 0.5)] + [sound(rate, 0.31, start=9.0)]
    alone = [encode(tokenizer, clip)[0] for clip in clips]
    for together in (
        encode(tokenizer, *clips),  # whoever ignores `batching` still gets the same
        _as_the_engine_does(tokenizer, clips),
    ):
        assert all(same(a, b) for a, b in zip(alone, together, strict=True))
    for tokens, audio in zip(alone, tokenizer.decode(alone), strict=True):
        np.testing.assert_allclose(audio, tokenizer.decode([tokens])[0], atol=1e-5)


def _as_the_engine_does(tokenizer: Tokenizer, clips: list[Samples]) -> list[Tokens]:
    made: dict[int, Tokens] = {}
    for part in batches([len(c) for c in clips], tokenizer.info.batching, 10**9):
        made.update(zip(part, encode(tokenizer, *(clips[i] for i in part)), strict=True))
    return [made[i] for i in range(len(clips))]


@every
def test_ids_vary_and_lie_inside_their_vocabulary(label: str, codec: Open) -> None:
    tokenizer = codec(label)
    info = check_info(tokenizer.info)
    tokens = check_tokens(encode(tokenizer, sound(info.sample_rate, 0.5))[0], info)
    for stream, ids in zip(info.streams, tokens.streams, strict=True):
        assert ids.dtype == np.int64
        if stream.name != "scale":
            assert len(np.unique(ids)) >= min(2, len(ids)), stream.name


@every
def test_sound_is_finite_of_the_right_length_and_depends_on_the_ids(
    label: str, codec: Open
) -> None:
    tokenizer = codec(label)
    info = tokenizer.info
    clip = sound(info.sample_rate, 0.5)
    tokens = encode(tokenizer, clip)[0]
    audio = tokenizer.decode([tokens])[0]
    assert audio.dtype == np.float32
    np.testing.assert_array_equal(audio, check_audio(audio, info, 0.5))
    assert len(audio) >= len(clip)
    assert 0.01 < audio.std() < 0.5
    vocabulary = info.streams[-1].vocabulary
    other = Tokens((*tokens.streams[:-1], (tokens.streams[-1] + 1) % vocabulary))
    assert np.abs(tokenizer.decode([other])[0] - audio).max() > 1e-4


@framed
def test_there_is_a_frame_for_every_hop_begun(label: str, codec: Open) -> None:
    tokenizer = codec(label)
    info = tokenizer.info
    hop = HOPS.get(label, 320)
    for length in (1, hop - 1, hop, hop + 1, 7 * hop + 3):
        tokens = encode(tokenizer, sound(info.sample_rate, 0.7)[:length])[0]
        frames = math.ceil(length / hop)
        assert [len(ids) for ids in tokens.streams] == [frames] * len(info.streams), length
        assert len(tokenizer.decode([tokens])[0]) == hop * frames
    assert info.streams[0].rate == info.sample_rate / hop


@framed
def test_padding_to_a_whole_frame_is_silence(label: str, codec: Open) -> None:
    """An utterance that ends within a frame has the ids of one that goes on in silence."""
    tokenizer = codec(label)
    hop = HOPS.get(label, 320)
    clip = sound(tokenizer.info.sample_rate, 0.5)[: 4 * hop + 77]
    assert same(encode(tokenizer, clip)[0], encode(tokenizer, to_frames(clip, hop))[0])


@pytest.mark.parametrize(
    ("label", "few", "many"),
    [
        ("encodec-24khz", {"bandwidth": "1.5"}, {}),
        ("encodec-48khz", {"bandwidth": "3"}, {}),
        ("dac-16khz", {"codebooks": "3"}, {}),
        ("mimi", {"codebooks": "1"}, {}),
        ("mimi", {"codebooks": "8"}, {"codebooks": "32"}),
        ("xcodec", {"bandwidth": "0.5"}, {}),
        ("speechtokenizer", {"codebooks": "2"}, {}),
    ],
)
def test_fewer_codebooks_are_a_prefix_and_decode_as_one(
    label: str, few: dict[str, str], many: dict[str, str], codec: Open
) -> None:
    small, large = codec(label, **few), codec(label, **many)
    count = len(small.info.streams)
    assert large.info.nested and count < len(large.info.streams)
    assert small.info.streams == large.info.streams[:count]
    clip = sound(small.info.sample_rate, 0.4)
    short, whole = encode(small, clip)[0], encode(large, clip)[0]
    assert same(short, Tokens(whole.streams[:count]))
    np.testing.assert_array_equal(
        large.decode([Tokens(whole.streams[:count])])[0], small.decode([short])[0]
    )


@pytest.mark.parametrize("label", ["encodec-24khz", "mimi"])
def test_causal_codecs_do_not_know_the_future(label: str, codec: Open) -> None:
    tokenizer = codec(label)
    assert tokenizer.info.causal
    hop = HOPS.get(label, 320)
    clip = sound(tokenizer.info.sample_rate, 20 * hop / tokenizer.info.sample_rate)
    changed = clip.copy()
    changed[10 * hop :] *= -0.5
    before, after = (ids_of(t) for t in encode(tokenizer, clip, changed))
    np.testing.assert_array_equal(after[:, :10], before[:, :10])
    assert np.any(after[:, 10:12] != before[:, 10:12])
    mixed = np.where(np.arange(20) < 10, before, before[:, ::-1])
    one, other = tokenizer.decode([Tokens(tuple(before)), Tokens(tuple(mixed))])
    np.testing.assert_allclose(other[: 10 * hop], one[: 10 * hop], atol=1e-6)
    assert np.abs(other[10 * hop :] - one[10 * hop :]).max() > 1e-3


# -------------------------------------------------------------- against the packages' own models
def _direct(label: str, model: Any, clip: Samples) -> tuple[np.ndarray, np.ndarray]:
    """Ids [K, T] and audio [L] of the package's model, called as its documentation says."""
    heard = row(clip)
    with torch.no_grad():
        if label == "encodec-24khz":
            ids = model.encode(heard, bandwidth=6.0).audio_codes
            return ids[0, 0].numpy(), model.decode(ids, [None]).audio_values[0, 0].numpy()
        if label == "speechtokenizer":
            ids = model.encode(heard)
            return ids[:, 0].numpy(), model.decode(ids)[0, 0].numpy()
        if label == "mimi":
            ids = model.encode(heard, num_quantizers=8).audio_codes
            return ids[0].numpy(), model.decode(ids).audio_values[0, 0].numpy()
        if label == "xcodec":
            ids = model.encode(heard, bandwidth=4).audio_codes
            return ids[0].numpy(), model.decode(ids).audio_values[0, 0].numpy()
        ids = model.encode(heard).audio_codes
        return ids[0].numpy(), model.decode(audio_codes=ids).audio_values[0].numpy()


@framed
def test_whole_frames_are_coded_as_by_the_package_itself(label: str, codec: Open) -> None:
    tokenizer = codec(label)
    hop = HOPS.get(label, 320)
    clip = to_frames(sound(tokenizer.info.sample_rate, 0.5), hop)
    ids, audio = _direct(label, inner(tokenizer), clip)
    tokens = encode(tokenizer, clip)[0]
    np.testing.assert_array_equal(ids_of(tokens), ids)
    made = tokenizer.decode([tokens])[0]
    early = len(made) - len(audio)
    assert early == (8 if label == "dac-16khz" else 0)
    np.testing.assert_allclose(made[early:], audio.clip(-1, 1), atol=1e-6)
    assert not np.any(made[:early])


def test_snac_codes_as_its_package_does(codec: Open) -> None:
    tokenizer = codec("snac-24khz")
    model = inner(tokenizer)
    for length in (1, 2048, 2049, 9000):
        clip = sound(24_000, 0.5)[:length]
        tokens = encode(tokenizer, clip)[0]
        blocks = math.ceil(length / 2048)
        assert [len(ids) for ids in tokens.streams] == [blocks, 2 * blocks, 4 * blocks]
        with torch.no_grad():
            for ids, expected in zip(tokens.streams, model.encode(row(clip)), strict=True):
                np.testing.assert_array_equal(ids, expected[0].numpy())
    torch.manual_seed(0)
    with torch.no_grad():
        expected = model.decode([torch.from_numpy(ids)[None] for ids in tokens.streams])[0, 0]
    np.testing.assert_array_equal(tokenizer.decode([tokens])[0], expected.numpy())


def test_snac_s_noise_is_its_own(codec: Open) -> None:
    """The decoder draws noise: equal ids sound equal, and nobody else's numbers change."""
    tokenizer = codec("snac-24khz")
    tokens = encode(tokenizer, sound(24_000, 0.2))[0]
    torch.manual_seed(7)
    state = torch.get_rng_state()
    first, second = tokenizer.decode([tokens, tokens])
    np.testing.assert_array_equal(first, second)
    assert torch.equal(torch.get_rng_state(), state)


def test_snac_refuses_streams_that_do_not_fit(codec: Open) -> None:
    ids = [np.zeros(n, dtype=np.int64) for n in (1, 2, 3)]
    with pytest.raises(ItemFailure, match=r"streams of \[1, 2, 3\] ids fit no audio"):
        codec("snac-24khz").decode([Tokens(tuple(ids))])


# ------------------------------------------------------------------------- features and codebooks
@every
def test_features_have_a_row_for_each_frame(label: str, codec: Open) -> None:
    tokenizer: Any = codec(label)
    rate = tokenizer.info.sample_rate
    clips = [sound(rate, 0.3), sound(rate, 0.1)]
    books = tokenizer.codebooks()
    assert [len(b) for b in books] == [s.vocabulary for s in tokenizer.info.streams]
    made = tokenizer.features(AudioBatch.of(clips, rate))
    for features, tokens in zip(made, encode(tokenizer, *clips), strict=True):
        assert features.dtype == books[-1].dtype == np.float32
        assert features.shape == (len(tokens.streams[-1]), books[-1].shape[1])


@pytest.mark.parametrize("label", ["encodec-24khz", "encodec-48khz", "xcodec", "speechtokenizer"])
def test_ids_are_the_nearest_entries_to_what_is_left_of_the_features(
    label: str, codec: Open
) -> None:
    tokenizer: Any = codec(label)
    clip = sound(tokenizer.info.sample_rate, 0.5)
    tokens = encode(tokenizer, clip)[0]
    skip = int(tokenizer.info.streams[0].name == "scale")
    left = tokenizer.features(AudioBatch.of([clip], tokenizer.info.sample_rate))[0]
    left = left.astype(np.float64)
    for book, ids in zip(tokenizer.codebooks()[skip:], tokens.streams[skip:], strict=True):
        far = ((left[:, None] - book[None].astype(np.float64)) ** 2).sum(axis=-1)
        chosen = far[np.arange(len(ids)), ids]
        np.testing.assert_allclose(chosen, far.min(axis=1), rtol=1e-4, atol=1e-6)
        left = left - book[ids]


@pytest.mark.parametrize("label", ["dac-16khz", "mimi", "snac-24khz"])
def test_projected_codebooks_add_up_to_what_the_decoder_gets(label: str, codec: Open) -> None:
    tokenizer: Any = codec(label)
    model = inner(tokenizer)
    tokens = encode(tokenizer, sound(tokenizer.info.sample_rate, 0.4))[0]
    longest = max(len(ids) for ids in tokens.streams)
    added = sum(
        np.repeat(book[ids], longest // len(ids), axis=0)
        for book, ids in zip(tokenizer.codebooks(), tokens.streams, strict=True)
    )
    codes = [torch.from_numpy(ids)[None] for ids in tokens.streams]
    with torch.no_grad():
        if label == "snac-24khz":
            latents = model.quantizer.from_codes(codes)
        elif label == "mimi":
            latents = model.quantizer.decode(torch.stack(codes, dim=1))
        else:
            latents = model.quantizer.from_codes(torch.stack(codes, dim=1))[0]
    np.testing.assert_allclose(added, latents[0].T.numpy(), atol=2e-5 * np.abs(added).max())


# ------------------------------------------------------------------------------ EnCodec in chunks
def test_chunks_of_encodec_48khz_are_those_of_transformers(codec: Open) -> None:
    tokenizer = codec("encodec-48khz")
    model = inner(tokenizer)
    clip = sound(48_000, 1.3)
    levels, *books = encode(tokenizer, clip)[0].streams
    assert len(levels) == 2
    with torch.no_grad():
        direct = model.encode(row(clip, 2), bandwidth=6.0)
        expected = direct.audio_codes[:, 0]  # [chunks, K, 150]
        last = 150 - direct.last_frame_pad_length
        np.testing.assert_array_equal(np.stack(books)[:, :150], expected[0].numpy())
        np.testing.assert_array_equal(np.stack(books)[:, 150:], expected[1, :, :last].numpy())
        audio = model.decode(
            direct.audio_codes, direct.audio_scales, last_frame_pad_length=150 - last
        ).audio_values
    made = tokenizer.decode([Tokens((levels, *books))])[0]
    np.testing.assert_allclose(made, audio.mean(dim=1)[0].clamp(-1, 1).numpy(), atol=2e-4)
    seconds = len(made) / 48_000
    assert tokenizer.info.streams[1].rate * seconds == pytest.approx(len(books[0]), abs=3)
    assert tokenizer.info.streams[0].rate == pytest.approx(1 / 0.99)


@pytest.mark.parametrize("length", [1, 47_520, 47_700, 47_840, 48_000, 48_001, 95_200])
def test_every_length_of_encodec_48khz_comes_back(length: int, codec: Open) -> None:
    """At 47,700 and 47,840 samples transformers' own decoder fails on a chunk too short."""
    tokenizer = codec("encodec-48khz", bandwidth="3")
    tokens = encode(tokenizer, sound(48_000, 2.0)[:length])[0]
    assert len(tokens.streams[0]) == max(1, math.ceil((length - 480) / 47_520))
    audio = tokenizer.decode([tokens])[0]
    assert length <= len(audio) < length + 320


def test_the_level_of_a_chunk_is_kept_to_a_thousandth_of_a_decibel(codec: Open) -> None:
    tokenizer: Any = codec("encodec-48khz")
    levels = tokenizer.codebooks()[0][:, 0].astype(np.float64)
    assert levels[0] == pytest.approx(1e-8) and levels[-1] == pytest.approx(1.0)
    clip = sound(48_000, 0.4)
    for gain in (1.0, 0.37, 1e-3, 0.0):
        tokens = encode(tokenizer, clip * np.float32(gain))[0]
        level = math.sqrt(np.mean((clip * gain).astype(np.float64) ** 2)) + 1e-8
        assert abs(20 * math.log10(levels[tokens.streams[0][0]] / level)) < 0.00125
    loud = np.ones(48_000, dtype=np.float32)
    assert encode(tokenizer, loud)[0].streams[0][0] == 65_535


def test_encodec_48khz_refuses_ids_that_do_not_fit_its_chunks(codec: Open) -> None:
    levels, ids = np.zeros(2, dtype=np.int64), np.zeros(150, dtype=np.int64)
    with pytest.raises(ItemFailure, match="150 ids a stream do not fit 2 chunks"):
        codec("encodec-48khz").decode([Tokens((levels, ids))])
    silence = codec("encodec-48khz").decode([Tokens((levels,))])[0]
    assert silence.shape == (95_040,) and not np.any(silence)


# -------------------------------------------------------------------------------------- streaming
def in_pieces(count: int, largest: int, seed: int) -> list[tuple[int, int]]:
    """Bounds of pieces of 0 to `largest` that make up `count`."""
    rng = np.random.default_rng(seed)
    cuts = [0]
    while cuts[-1] < count:
        cuts.append(min(count, cuts[-1] + int(rng.integers(0, largest + 1))))
    return list(itertools.pairwise(cuts))


def streamed(session: StreamingSession, clip: Samples, largest: int, seed: int) -> Tokens:
    made = [
        session.encode(clip[a:b], last=b == len(clip))
        for a, b in in_pieces(len(clip), largest, seed)
    ]
    return Tokens(tuple(np.concatenate([ids_of(t) for t in made], axis=1)))


def heard(session: StreamingSession, tokens: Tokens, largest: int, seed: int) -> Samples:
    count = len(tokens.streams[0])
    return np.concatenate(
        [
            session.decode(Tokens(tuple(ids[a:b] for ids in tokens.streams)), last=b == count)
            for a, b in in_pieces(count, largest, seed)
        ]
    )


@pytest.mark.parametrize(("seed", "samples", "frames"), [(1, 1919, 1), (2, 9000, 4)])
def test_mimi_streams_what_it_codes_at_once(
    seed: int, samples: int, frames: int, codec: Open
) -> None:
    tokenizer: Any = codec("mimi")
    clip = sound(24_000, 1.3)
    whole = encode(tokenizer, clip)[0]
    session, other = tokenizer.stream(), tokenizer.stream()
    assert same(streamed(session, clip, samples, seed), whole)
    offline = tokenizer.decode([whole])[0]
    np.testing.assert_allclose(heard(session, whole, frames, seed), offline, atol=1e-5)
    assert same(streamed(other, clip, samples, seed), whole)  # sessions share no state


def test_mimi_s_stream_gives_each_frame_when_it_is_whole(codec: Open) -> None:
    session = codec("mimi").stream()  # type: ignore[attr-defined]
    clip = sound(24_000, 0.3)
    counts = [len(session.encode(clip[a : a + 960]).streams[0]) for a in range(0, 3840, 960)]
    assert counts == [0, 1, 0, 1]
    last = session.encode(clip[3840:3841], last=True)
    assert [len(ids) for ids in last.streams] == [1] * 8


@pytest.mark.slow
def test_mimi_streams_beyond_the_window_of_its_attention(codec: Open) -> None:
    """The transformers see 10 s back; 12 s of sound pass it in both directions."""
    tokenizer: Any = codec("mimi")
    clip = sound(24_000, 12.0)
    whole = encode(tokenizer, clip)[0]
    session = tokenizer.stream()
    assert same(streamed(session, clip, 48_000, 3), whole)
    offline = tokenizer.decode([whole])[0]
    np.testing.assert_allclose(heard(session, whole, 25, 3), offline, atol=1e-5)


@pytest.mark.parametrize(("seed", "samples", "frames"), [(1, 500, 1), (2, 4000, 9)])
def test_lyra_streams_what_it_codes_at_once(
    seed: int, samples: int, frames: int, data_dir: Path
) -> None:
    pytest.importorskip("ai_edge_litert", reason="pip install -e '.[lyra]'")
    weights = lyra_weights(data_dir)
    tokenizer: Any = open_tokenizer("lyra", weights, quantizers="30")
    clip = sound(16_000, 0.9)[:14_001]
    whole = encode(tokenizer, clip)[0]
    assert len(whole.streams[0]) == 44
    session = tokenizer.stream()
    assert same(streamed(session, clip, samples, seed), whole)
    np.testing.assert_array_equal(heard(session, whole, frames, seed), tokenizer.decode([whole])[0])
    assert same(streamed(tokenizer.stream(), clip, samples, seed), whole)


# ---------------------------------------------------------------------------------------- options
@pytest.mark.parametrize(
    ("label", "chosen", "sentence"),
    [
        ("encodec-24khz", {"bandwidth": "5"}, r"choose 1\.5, 3, 6, 12, 24"),
        ("encodec-48khz", {"bandwidth": "1.5"}, r"not possible with model=48khz; choose 3, 6"),
        ("encodec-24khz", {"model": "48khz"}, "is for 24000 Hz, and model=48khz means 48000 Hz"),
        ("dac-16khz", {"codebooks": "13"}, "codebooks=13 is not possible; choose 1 to 12"),
        ("dac-16khz", {"codebooks": "0"}, "choose 1 to 12"),
        ("dac-16khz", {"model": "8khz"}, "choose 16khz, 24khz, 44khz"),
        ("mimi", {"codebooks": "33"}, "choose 1 to 32"),
        ("xcodec", {"bandwidth": "3"}, r"choose 0\.5, 1, 1\.5, 2, 4"),
        ("speechtokenizer", {"codebooks": "9"}, "choose 1 to 8"),
        ("snac-24khz", {"model": "32khz"}, "is for 24000 Hz, and model=32khz means 32000 Hz"),
    ],
)
def test_wrong_options_are_told(
    label: str, chosen: dict[str, str], sentence: str, shelf: Callable[[str], Path]
) -> None:
    with pytest.raises(UserError, match=sentence):
        open_tokenizer(label, shelf(label), **chosen)


def test_the_place_of_the_weights_is_no_part_of_the_variant() -> None:
    assert variant_name("mimi", {"codebooks": 8, "weights": "/x"}) == "mimi@codebooks=8"


def test_the_revision_is_that_of_the_weights(shelf: Callable[[str], Path], tmp_path: Path) -> None:
    source = shelf("snac-24khz")
    copy = shutil.copytree(source, tmp_path / "copy")
    first = open_tokenizer("snac-24khz", source).info.revision
    assert len(first) == 12 and int(first, 16) >= 0
    assert open_tokenizer("snac-24khz", copy).info.revision == first
    state = torch.load(copy / "pytorch_model.bin", weights_only=True)
    next(iter(state.values())).view(-1)[0] += 1e-3
    torch.save(state, copy / "pytorch_model.bin")
    assert open_tokenizer("snac-24khz", copy).info.revision != first


# ----------------------------------------------------------------------- the real sizes of the rest
@pytest.mark.slow
@pytest.mark.parametrize("label", list(published.FULL))
def test_real_sizes_keep_the_contract(label: str, tmp_path: Path) -> None:
    tokenizer = open_tokenizer(label, published.save(label, published.FULL[label], tmp_path / "x"))
    shutil.rmtree(tmp_path / "x")
    info = check_info(tokenizer.info)
    clip = sound(info.sample_rate, 0.6)
    tokens = check_tokens(encode(tokenizer, clip)[0], info)
    audio = tokenizer.decode([tokens])[0]
    np.testing.assert_array_equal(audio, check_audio(audio, info, 0.6))
    for stream, ids in zip(info.streams, tokens.streams, strict=True):
        assert stream.rate == pytest.approx(len(ids) / len(audio) * info.sample_rate)
    assert same(encode(tokenizer, clip, clip)[1], tokens)
