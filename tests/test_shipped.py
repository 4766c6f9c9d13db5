"""The checkpoints that ship, on the whole test split of `mini`."""

from __future__ import annotations

import io
from functools import cache

import numpy as np
import pytest
import soundfile

from bench import checkpoint, registry
from bench.contracts import AudioBatch, Ids, Samples, Tokenizer, Tokens
from bench.dedup import deduplicated, duration_ids, durations_of
from bench.kmeans import load_kmeans
from bench.nn.vocoder import load_vocoder
from bench.options import resolve
from bench.ssl_encoders import load_encoder
from bench.suites.load import load_suite
from bench.unit_bpe import load_bpe
from tests.conftest import speech

BOOKS = 8


@cache
def recordings() -> tuple[Samples, ...]:
    """Every recording of the test split, float32 at 16 kHz."""
    return tuple(
        soundfile.read(io.BytesIO(item.read_bytes()), dtype="float32")[0]
        for item in load_suite("mini").items
    )


@cache
def tokenizer(name: str, **chosen: str) -> Tokenizer:
    plugin = registry.plugin("tokenizers", name)
    made: Tokenizer = plugin.module.load(device="cpu", **resolve(plugin, chosen))
    return made


@cache
def ids(name: str, **chosen: str) -> tuple[Tokens, ...]:
    """Tokens of the whole split."""
    made = tokenizer(name, **chosen)
    return tuple(made.encode(AudioBatch.of([clip], 16_000))[0] for clip in recordings())


@cache
def resynthesis(codebooks: int) -> tuple[tuple[Samples, Samples], ...]:
    """Original and resynthesis of a dozen English prompts with the first codebooks."""
    made = tokenizer("soundstream")
    pairs = []
    for _, clip in speech(12):
        tokens = made.encode(AudioBatch.of([clip], 16_000))[0]
        sound = made.decode([Tokens(tokens.streams[:codebooks])])[0]
        pairs.append((clip, sound[: len(clip)]))
    return tuple(pairs)


def test_every_codebook_of_soundstream_is_used() -> None:
    for book in range(BOOKS):
        seen = np.unique(np.concatenate([t.streams[book] for t in ids("soundstream")]))
        entries = tokenizer("soundstream").info.streams[book].vocabulary
        assert len(seen) >= 0.6 * entries, f"codebook {book + 1}: {len(seen)} of {entries}"


@cache
def units(k: int) -> tuple[Ids, ...]:
    """Units of the whole split."""
    kmeans = load_kmeans(checkpoint.SHIPPED / f"moonshine-k{k}" / "kmeans")
    encoder = load_encoder("moonshine", layer=kmeans.config["layer"], threads=2)
    return tuple(kmeans.ids(frames) for frames in encoder.frames(recordings()))


@pytest.mark.parametrize("k", [100, 500])
def test_no_unit_is_unused(k: int) -> None:
    seen = np.unique(np.concatenate(units(k)))
    assert len(seen) >= (k if k == 100 else 0.95 * k)


@pytest.mark.parametrize("folder", ["moonshine-k100/bpe-500", "moonshine-k500/bpe-500",
                                    "moonshine-k500/bpe-2000"])  # fmt: skip
def test_runs_and_merges_are_undone_on_every_recording(folder: str) -> None:
    bpe = load_bpe(checkpoint.SHIPPED / folder)
    for original in units(int(folder.split("-k")[1].split("/")[0])):
        runs, lengths = deduplicated(original)
        merged = bpe.encode(runs)
        assert len(merged) <= len(runs) <= len(original)
        np.testing.assert_array_equal(bpe.decode(merged), runs)
        back = np.repeat(bpe.decode(merged), durations_of(duration_ids(lengths)))
        np.testing.assert_array_equal(back, original)


def stoi(codebooks: int) -> float:
    from pystoi import stoi as measure

    return float(np.mean([measure(a, b, 16_000) for a, b in resynthesis(codebooks)]))


def test_more_codebooks_are_more_intelligible() -> None:
    found = [stoi(count) for count in (1, 2, 4, 8)]
    assert found == sorted(found)
    assert found[-1] > 0.9


def test_the_vocoders_are_of_the_units_beside_them() -> None:
    folders = sorted(checkpoint.SHIPPED.glob("*/vocoder"))
    assert folders
    for folder in folders:
        kmeans = load_kmeans(folder.parent / "kmeans")
        assert load_vocoder(folder, "cpu").config.kmeans == kmeans.revision


@pytest.mark.parametrize("chosen", [{}, {"dedup": "true"}])
def test_units_speak_as_long_as_was_spoken(chosen: dict[str, str]) -> None:
    """Without dedup to the frame; with predicted durations within a quarter on the whole."""
    made = tokenizer("units", **chosen)
    clips = [clip for _, clip in speech(8)]
    said = made.decode([made.encode(AudioBatch.of([clip], 16_000))[0] for clip in clips])
    if "dedup" in chosen:
        assert sum(map(len, said)) == pytest.approx(sum(map(len, clips)), rel=0.25)
    else:
        assert all(0 <= len(b) - len(a) < 384 for a, b in zip(clips, said, strict=True))


def test_the_speech_ids_of_taste_hold_durations_that_its_text_does_not() -> None:
    from bench.nn.taste_align import aligner

    made = tokenizer("taste")
    kept: dict[int, list[bool]] = {1: [], 5: []}  # by streams: the text alone, all
    for row, clip in speech(10):
        tokens, text = made.encode(AudioBatch.of([clip], 16_000))[0], str(row["text"])
        before = aligner().words(clip, text)
        for count, near in kept.items():
            after = aligner().words(made.decode([Tokens(tokens.streams[:count])])[0], text)
            pairs = zip(before, after, strict=True)
            near += [abs(a.seconds - b.seconds) <= 0.05 for a, b in pairs]
    alone, whole = (float(np.mean(near)) for near in kept.values())
    assert whole > 0.6
    assert whole > alone + 0.1
