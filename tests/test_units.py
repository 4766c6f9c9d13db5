"""Deduplication and BPE lose nothing; the tokenizer `units` keeps the contract on real speech."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bench import checkpoint, registry
from bench.checks import check_audio, check_info, check_tokens
from bench.contracts import AudioBatch, Samples, Tokens
from bench.dedup import DURATIONS, deduplicated, duration_ids, durations_of, repeated
from bench.errors import ItemFailure, UserError
from bench.kmeans import features_of, load_kmeans, nearest
from bench.moonshine import Moonshine
from bench.options import resolve
from bench.rates import bits
from bench.ssl_encoders import Encoder, MoonshineEncoder, load_encoder, pieces
from bench.unit_bpe import FIRST, MOST, UnitBpe, folder_of, learn, load_bpe, save
from tests.conftest import ROOT, speech

K, MERGES, HOP = 8, 6, 384
quick = settings(deadline=None, max_examples=200, derandomize=True)


def ids(*values: int) -> np.ndarray:
    return np.array(values, dtype=np.int64)


# ---------------------------------------------------------------------------------------- dedup
def test_runs_of_a_known_sequence() -> None:
    units, runs = deduplicated(ids(7, 7, 7, 2, 7, 7, 0))
    np.testing.assert_array_equal(units, [7, 2, 7, 0])
    np.testing.assert_array_equal(runs, [3, 1, 2, 1])


def test_long_runs_take_several_ids_of_a_small_vocabulary() -> None:
    np.testing.assert_array_equal(
        duration_ids(ids(1, 3, 4, 7, 8), 4), [0, 2, 3, 0, 3, 3, 0, 3, 3, 1]
    )
    np.testing.assert_array_equal(duration_ids(ids(31, 32)), [30, 31, 0])


@quick
@given(st.lists(st.integers(0, 3), max_size=80), st.integers(2, 6))
def test_deduplication_with_durations_loses_nothing(values: list[int], vocabulary: int) -> None:
    sequence = ids(*values)
    units, runs = deduplicated(sequence)
    assert not np.any(units[1:] == units[:-1])
    coded = duration_ids(runs, vocabulary)
    assert np.all((coded >= 0) & (coded < vocabulary))
    np.testing.assert_array_equal(durations_of(coded, vocabulary), runs)
    np.testing.assert_array_equal(repeated(units, durations_of(coded, vocabulary)), sequence)


def test_durations_that_break_off_are_a_failure() -> None:
    with pytest.raises(ItemFailure, match="break off"):
        durations_of(ids(4, DURATIONS - 1))


# ------------------------------------------------------------------------------------------ BPE
def walk(seed: int, length: int) -> np.ndarray:
    """Units of which some pairs are common, as in speech."""
    random = np.random.default_rng(seed)
    likely = np.random.default_rng(99).dirichlet(np.full(K, 0.2), size=K)
    units = [int(random.integers(K))]
    while len(units) < length:
        units.append(int(random.choice(K, p=likely[units[-1]])))
    return ids(*units)


@pytest.fixture(scope="module")
def bpe() -> UnitBpe:
    made = learn([walk(seed, 400) for seed in range(5)], K, MERGES)
    return UnitBpe(made, {"k": K, "merges": MERGES}, "test")


@quick
@given(st.lists(st.integers(0, K - 1), max_size=60))
def test_bpe_gives_back_any_units(bpe: UnitBpe, values: list[int]) -> None:
    tokens = bpe.encode(ids(*values))
    assert np.all((tokens >= 0) & (tokens < bpe.vocabulary)) and len(tokens) <= len(values)
    np.testing.assert_array_equal(bpe.decode(tokens), values)


@quick
@given(st.lists(st.integers(0, K + MERGES - 1), max_size=60))
def test_any_tokens_of_bpe_are_units(bpe: UnitBpe, values: list[int]) -> None:
    units = bpe.decode(ids(*values))
    assert units.dtype == np.int64 and len(units) >= len(values)
    assert np.all((units >= 0) & (units < K))


def test_bpe_shortens_what_is_like_its_speech_and_keeps_single_units(bpe: UnitBpe) -> None:
    unseen = walk(77, 2000)
    assert len(bpe.encode(unseen)) < 0.8 * len(unseen)
    assert bpe.vocabulary == K + MERGES
    np.testing.assert_array_equal(bpe.decode(np.arange(K)), np.arange(K))


def test_bpe_merges_the_commonest_pair_first() -> None:
    made = UnitBpe(learn([ids(*[1, 2] * 9, 3, 4, 3, 4)], 5, 1), {"k": 5, "merges": 1}, "")
    np.testing.assert_array_equal(made.decode(ids(5)), [1, 2])
    np.testing.assert_array_equal(made.encode(ids(3, 4, 1, 2, 2)), [3, 4, 5, 2])


@pytest.mark.parametrize(
    ("k", "merges", "sentence"),
    [(MOST + 1, 5, "choose at most"), (K, 0, "choose 1 or more"), (K, 10**6, "that occur twice")],
)
def test_bpe_that_cannot_be(k: int, merges: int, sentence: str) -> None:
    with pytest.raises(UserError, match=sentence):
        learn([walk(0, 100)], k, merges)


def test_units_beyond_the_basic_ideographs_have_characters_too() -> None:
    high = ids(0, MOST - 1, MOST - 2, 0, MOST - 1, MOST - 2)
    made = UnitBpe(learn([high], MOST, 1), {"k": MOST, "merges": 1}, "")
    np.testing.assert_array_equal(made.decode(made.encode(high)), high)


# ------------------------------------------------------------------------------- the tokenizer
@pytest.fixture(scope="module")
def sounds() -> list[Samples]:
    """Three real utterances of different lengths, 2 to 6 s."""
    return [x for _, x in speech(3)]


@pytest.fixture(scope="module")
def encoder() -> Encoder:
    return load_encoder("moonshine", threads=1)


@pytest.fixture(scope="module")
def weights(
    tmp_path_factory: pytest.TempPathFactory, encoder: Encoder, sounds: list[Samples]
) -> Path:
    """A folder as `bench train` makes it: real centroids and merges, a small untrained vocoder."""
    import torch

    from bench.nn.vocoder import KIND, UnitVocoder, VocoderConfig

    folder = tmp_path_factory.mktemp("units")
    frames = encoder.frames(sounds)
    table = np.concatenate(frames)[:: sum(map(len, frames)) // K][:K]
    config = {**features_of(encoder), "k": K}
    checkpoint.save(folder / "kmeans", "kmeans", config, {"centroids": torch.from_numpy(table)})
    kmeans = load_kmeans(folder / "kmeans")
    units = [kmeans.ids(f) for f in frames]
    for dedup in (True, False):
        merges = {"k": K, "merges": MERGES, "dedup": dedup, "kmeans": kmeans.revision}
        made = learn([deduplicated(u)[0] for u in units] if dedup else units, K, MERGES)
        save(folder / folder_of(MERGES, dedup), made, merges, "")
    torch.manual_seed(0)
    small = VocoderConfig(
        K, 16_000 / HOP, kmeans.revision, width=16, depth=1, decoder_width=32, decoder_depth=1
    )
    checkpoint.save(
        folder / "vocoder", KIND, small.to_dict(), UnitVocoder(small).state_dict(), half=True
    )
    return folder


Load = Callable[..., Any]


@pytest.fixture(scope="module")
def load(weights: Path) -> Load:
    """Loads `units` as the command line does, once for each variant."""
    plugin = registry.plugin("tokenizers", "units")
    made: dict[str, Any] = {}

    def loaded(**chosen: str) -> Any:
        given = {"k": str(K), "weights": str(weights), **chosen}
        if (label := str(sorted(given.items()))) not in made:
            made[label] = plugin.module.load(device="cpu", **resolve(plugin, given))
        return made[label]

    return loaded


VARIANTS: list[dict[str, str]] = [
    {},
    {"bpe": str(MERGES)},
    {"dedup": "true"},
    {"dedup": "true", "durations": "true"},
    {"dedup": "true", "durations": "true", "bpe": str(MERGES)},
]
every = pytest.mark.parametrize("options", VARIANTS, ids=lambda o: "-".join(o) or "plain")


def encode(tokenizer: Any, sounds: list[Samples]) -> list[Tokens]:
    return tokenizer.encode(AudioBatch.of(sounds, 16_000))


@every
def test_contract(options: dict[str, str], load: Load, sounds: list[Samples]) -> None:
    tokenizer = load(**options)
    info = check_info(tokenizer.info)
    together = encode(tokenizer, sounds)
    assert [len(t.streams) for t in together] == [len(info.streams)] * len(sounds)
    for sound, tokens in zip(sounds, together, strict=True):
        check_tokens(tokens, info)
        alone = encode(tokenizer, [sound])[0]
        for a, b in zip(tokens.streams, alone.streams, strict=True):
            np.testing.assert_array_equal(a, b)
    forth, back = tokenizer.decode(together), tokenizer.decode(together[::-1])[::-1]
    for sound, a, b in zip(sounds, forth, back, strict=True):
        np.testing.assert_array_equal(a, b)
        assert a.dtype == np.float32 and np.abs(a).max() <= 1
        if "durations" in options or "dedup" not in options:
            assert len(a) == -(-len(sound) // HOP) * HOP
            check_audio(a, info, len(sound) / 16_000)


def test_units_are_the_nearest_centroids_of_the_features(
    load: Load, weights: Path, sounds: list[Samples]
) -> None:
    tokenizer = load()
    table = tokenizer.codebooks()[0].astype(np.float64)
    assert table.shape == (K, 288)
    frames = tokenizer.features(AudioBatch.of(sounds, 16_000))
    for found, tokens in zip(frames, encode(tokenizer, sounds), strict=True):
        distances = np.square(found[:, None].astype(np.float64) - table).sum(axis=2)
        np.testing.assert_array_equal(tokens.streams[0], distances.argmin(axis=1))


@every
def test_variants_are_one_another_s_units(
    options: dict[str, str], load: Load, sounds: list[Samples]
) -> None:
    tokenizer = load(**options)
    pairs = zip(encode(load(), sounds), encode(tokenizer, sounds), strict=True)
    for plain, tokens in pairs:
        units, runs = tokenizer.units(tokens)
        wanted = plain.streams[0]
        if runs is None:
            wanted, runs = deduplicated(wanted)[0], np.ones(len(units), dtype=np.int64)
        np.testing.assert_array_equal(repeated(units, runs), wanted)


def test_true_durations_sound_as_without_deduplication(load: Load, sounds: list[Samples]) -> None:
    plain, lossless = load(), load(dedup="true", durations="true", bpe=str(MERGES))
    for a, b in zip(
        plain.decode(encode(plain, sounds)), lossless.decode(encode(lossless, sounds)), strict=True
    ):
        np.testing.assert_array_equal(a, b)


def test_rates_are_those_of_the_tokens(load: Load, sounds: list[Samples]) -> None:
    def spent(**options: str) -> float:
        tokenizer = load(**options)
        return sum(bits(t, tokenizer.info) for t in encode(tokenizer, sounds))

    frames = sum(-(-len(x) // HOP) for x in sounds)
    assert spent() == pytest.approx(frames * np.log2(K))
    kept = sum(len(t.streams[0]) for t in encode(load(dedup="true"), sounds))
    assert spent(dedup="true") == pytest.approx(kept * np.log2(K)) and kept < frames
    # every run here is shorter than 32 frames or takes one more id of 5 bits for 31 of them
    assert spent(dedup="true", durations="true") >= kept * (np.log2(K) + 5)
    assert load().info.streams[0].rate == pytest.approx(41.667, abs=0.01)
    assert load(dedup="true").info.streams[0].rate is None
    assert load(bpe=str(MERGES)).info.streams[0].vocabulary == K + MERGES


def test_streams_that_do_not_fit_each_other_are_a_failure(load: Load) -> None:
    with pytest.raises(ItemFailure, match="3 units have 2 durations"):
        load(dedup="true", durations="true").decode([Tokens((ids(1, 2, 3), ids(0, 0)))])
    assert len(load(dedup="true").decode([Tokens((ids(),))])[0]) == 0


def test_too_short_and_long_utterances(encoder: Encoder) -> None:
    with pytest.raises(ItemFailure, match=r"shorter than 0\.1 s"):
        encoder.frames([np.zeros(1599, np.float32)])
    for length in (1600, 1919, 1920, 1921, 16_000):
        sound = speech(1)[0][1][:length]
        assert len(encoder.frames([sound])[0]) == -(-length // HOP)
    long = np.tile(speech(1)[0][1], 16)[: 31 * 16_000]
    parts = pieces(long, HOP)
    assert len(parts) > 1 and all(len(p) % HOP == 0 and len(p) <= 480_000 for p in parts[:-1])
    np.testing.assert_array_equal(np.concatenate(parts), long)
    frames = encoder.frames([long])[0]
    assert frames.shape == (-(-len(long) // HOP), 288)
    np.testing.assert_array_equal(frames[: len(parts[0]) // HOP], encoder.frames([parts[0]])[0])


def test_moonshine_s_frames_reach_over_what_is_padded_around_them() -> None:
    """n frames need exactly 384·(n − 1) + 895 samples: half of the rest goes on each side."""
    model = Moonshine(threads=1)
    least = HOP * 5 + MoonshineEncoder.reach
    sound = speech(1)[0][1][:least]
    assert [len(model.encode(sound[:n])) for n in (least, least - 1)] == [6, 5]
    assert MoonshineEncoder.before == round((MoonshineEncoder.reach - HOP) / 2)


def test_nearest_takes_the_first_of_equals_and_knows_the_distance() -> None:
    table = np.array([[0, 0], [2, 0], [2, 0]], dtype=np.float32)
    found, distances = nearest(np.array([[1, 0], [2, 1], [0, 0]], dtype=np.float32), table)
    np.testing.assert_array_equal(found, [0, 1, 0])
    np.testing.assert_array_equal(distances, [1, 1, 0])


@pytest.mark.slow
def test_every_test_utterance_of_mini_comes_back(load: Load, tmp_path: Path) -> None:
    import pyarrow.parquet as pq
    import soundfile

    folder = ROOT / "bench" / "suites" / "mini"
    rows = pq.read_table(folder / "manifest.parquet").to_pylist()
    plain, coded = load(), load(dedup="true", durations="true", bpe=str(MERGES))
    for row in (r for r in rows if r["split"] == "test"):
        sound, rate = soundfile.read(folder / row["file"], dtype="float32")
        assert rate == 16_000
        units, runs = coded.units(encode(coded, [sound])[0])
        np.testing.assert_array_equal(repeated(units, runs), encode(plain, [sound])[0].streams[0])


# ---------------------------------------------------------------------------- mistakes of a person
@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"durations": "true"}, "durations=true needs dedup=true"),
        ({"bpe": "-1"}, "bpe=-1 is not possible"),
        ({"bpe": "77"}, r"bpe=77 with dedup=false is not at hand .*bpe=6 with dedup=true.* "
         r"`bench train bpe --kmeans .* --merges 77 --every-frame .*/bpe-77-frames"),
        ({"k": "100"}, r"is of encoder=moonshine, k=8, not of .*k=100; .*kmeans .*--k 100"),
        ({"encoder": "hubert"}, "is of encoder=moonshine, k=8, not of encoder=hubert"),
        ({"layer": "7"}, "layer=7 is not possible with encoder=moonshine; choose 0 to 6"),
        ({"layer": "2"}, r"is of layer 4 .*not of 2"),
        ({"model": "x/y"}, "encoder=moonshine has no option model=x/y"),
        ({"encoder": "mfcc"}, "choose moonshine, hubert"),
        ({"layer": "last"}, "layer wants int, not 'last'"),
        ({"weights": "/nowhere"}, "the folder weights=/nowhere does not exist"),
    ],
)  # fmt: skip
def test_wrong_options(load: Load, options: dict[str, str], sentence: str) -> None:
    with pytest.raises(UserError, match=sentence):
        load(**options)


def test_k_that_does_not_ship_is_told_with_what_does(monkeypatch: pytest.MonkeyPatch) -> None:
    plugin = registry.plugin("tokenizers", "units")
    with pytest.raises(UserError, match=r"no k-means for encoder=wavlm with k=77 ships.*--layer 9"):
        plugin.module.load(encoder="wavlm", k=77, layer=9)


def rewrite(folder: Path, change: Callable[[dict[str, Any]], None]) -> None:
    about = json.loads((folder / "config.json").read_text())
    change(about["config"])
    (folder / "config.json").write_text(json.dumps(about))


def drop(name: str) -> Callable[[Path], None]:
    return lambda folder: shutil.rmtree(folder / name)


def pickled(folder: Path) -> None:
    file = folder / "kmeans" / "model.safetensors"
    file.rename(file.with_name("kmeans.pkl"))


def cut(name: str) -> Callable[[Path], None]:
    def damage(folder: Path) -> None:
        data = (folder / name).read_bytes()
        (folder / name).write_bytes(data[: len(data) // 2])

    return damage


def other(part: str, **changed: Any) -> Callable[[Path], None]:
    return lambda folder: rewrite(folder / part, lambda config: config.update(changed))


@pytest.mark.parametrize(
    ("damage", "sentence"),
    [
        (drop("kmeans"), "has no folder kmeans; train one there with `bench train kmeans"),
        (drop("vocoder"), "has no folder vocoder; train one with `bench train vocoder"),
        (pickled, r"lacks model\.safetensors \(kmeans\.pkl is a pickle"),
        (cut("kmeans/model.safetensors"), "damaged or no safetensors"),
        (cut("kmeans/config.json"), "no configuration of a checkpoint"),
        (cut("vocoder/model.safetensors"), "damaged or no safetensors"),
        (cut(f"bpe-{MERGES}/tokenizer.json"), "is damaged or of another version"),
        (cut(f"bpe-{MERGES}/config.json"), "is damaged or of another version"),
        (other("kmeans", dimension=3), "does not fit its own config.json"),
        (other("kmeans", layer=6), "was made of other units than those of the k-means"),
        (other("kmeans", weights="older"), r"is of weights older \(model .*bench train kmeans"),
        (other("vocoder", kmeans="feedbeef0000"), "trained on the units of another k-means"),
        (other(f"bpe-{MERGES}", kmeans="feedbeef0000"), "was made of other units"),
        (other(f"bpe-{MERGES}", merges=3), "is damaged or of another version .its vocabulary"),
    ],
)  # fmt: skip
def test_wrong_weights(
    weights: Path, tmp_path: Path, damage: Callable[[Path], None], sentence: str
) -> None:
    folder = tmp_path / "units"
    shutil.copytree(weights, folder)
    damage(folder)
    if sentence.startswith("is of"):  # the parts trained for these centroids go along
        revision = load_kmeans(folder / "kmeans").revision
        for part in ("vocoder", f"bpe-{MERGES}"):
            rewrite(folder / part, lambda config: config.update(kmeans=revision))
    plugin = registry.plugin("tokenizers", "units")
    with pytest.raises(UserError, match=sentence):
        plugin.module.load(k=K, dedup=True, bpe=MERGES, weights=str(folder))


def test_weights_change_the_revision(load: Load, weights: Path, tmp_path: Path) -> None:
    folder = tmp_path / "units"
    shutil.copytree(weights, folder)
    rewrite(folder / f"bpe-{MERGES}", lambda config: None)
    same = load(weights=str(folder), dedup="true", bpe=str(MERGES)).info.revision
    assert same == load(dedup="true", bpe=str(MERGES)).info.revision
    assert same != load(bpe=str(MERGES)).info.revision != load().info.revision
    assert load_bpe(folder / folder_of(MERGES, True)).decode(ids(0)).tolist() == [0]
    assert chr(FIRST) in (folder / folder_of(MERGES, True) / "tokenizer.json").read_text("utf-8")
