"""`taste` on its published weights: a stand-in package with the calls that the real one has."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch

from bench.checks import check_audio, check_info, check_tokens
from bench.contracts import AudioBatch, Tokenizer, Tokens
from bench.errors import ItemFailure, UserError
from bench.tokenizers import _taste_published as published
from bench.tokenizers import taste

BOOKS = 4


class Model(torch.nn.Module):
    """Ids from the text and the features, sound ids from the vectors of these."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = torch.nn.Parameter(torch.arange(3.0))
        self.audio_tower = SimpleNamespace(vq=SimpleNamespace(rvq="the quantizer"))
        self.spoken_lm = SimpleNamespace(get_audio_embeds_from_taste=self.embeds)
        self.calls: list[dict[str, Any]] = []

    @classmethod
    def from_pretrained_stage1(cls, place: str, *, attn_implementation: str) -> Model:
        assert attn_implementation == "eager"
        if json.loads((Path(place) / "config.json").read_text()).get("broken"):
            raise RuntimeError("size mismatch")
        return cls()

    def extract_vq(self, **given: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        assert set(given) == {f"{k}_{part}" for k in ("asr", "llm") for part in
                              ("token_ids", "token_lengths", "word_ids")} | {
                                  "audio_features", "audio_feature_lengths"}  # fmt: skip
        words = given["asr_word_ids"][0][:, None]
        found = (words * 7 + torch.arange(BOOKS) + int(given["audio_features"].sum())) % 512
        return found[None], found[None]

    def embeds(self, *, vq_module: str, asr_token_lengths: Any, asr_word_ids: torch.Tensor,
               asr_taste_indices: torch.Tensor) -> tuple[torch.Tensor, Any]:  # fmt: skip
        assert vq_module == "the quantizer"
        assert asr_taste_indices.shape == (*asr_word_ids.shape, BOOKS)
        self.calls.append({"words": asr_word_ids[0].tolist()})
        return asr_taste_indices.float(), asr_token_lengths

    def inference_reconstruction(
        self, speaker_embeds: torch.Tensor, audio_unit_embeds: torch.Tensor,
        audio_unit_lengths: Any, **text: torch.Tensor,
    ) -> dict[str, Any]:  # fmt: skip
        assert set(text) == {"asr_token_ids", "asr_token_lengths", "asr_word_ids"}
        torch.testing.assert_close(speaker_embeds.norm(), torch.tensor(1.0))
        drawn = torch.randint(0, 4096, (1, 5 * audio_unit_embeds.shape[1]))  # it samples
        return {"speech_token_ids": drawn, "speech_token_lengths": audio_unit_lengths}


class Processor:
    """Words of letters, each with a leading space; one id a letter."""

    speaker_embed_onnx_session = "a session"

    def __init__(self) -> None:
        self.audio_tokenizer = SimpleNamespace(
            convert_ids_to_tokens=lambda ids: ["Ġ" if i == 32 else chr(i) for i in ids]
        )

    @classmethod
    def from_pretrained(
        cls, place: str, *, asr_on: bool, extract_speech_token_on: bool
    ) -> Processor:
        assert not asr_on and not extract_speech_token_on
        return cls()

    def process_text(self, text: str) -> tuple[None, dict[str, torch.Tensor]]:
        pairs = [(ord(c), n) for n, word in enumerate(text.split()) for c in f" {word}"]
        ids, words = (torch.tensor([list(p)]) for p in zip(*pairs, strict=True))
        return None, {f"{k}_{name}": value for k in ("asr", "llm") for name, value in (
            ("token_ids", ids), ("token_lengths", torch.tensor([ids.shape[1]])),
            ("word_ids", words))}  # fmt: skip

    def whisper_feature_extractor(self, audio: torch.Tensor, lengths: list[int]) -> tuple[Any, Any]:
        assert audio.shape == (1, lengths[0])
        return audio.abs().sum()[None, None], lengths

    def _get_speaker_embed(self, session: str, audio: list[np.ndarray]) -> np.ndarray:
        assert session == "a session"
        return np.cos(np.arange(192) * float(np.abs(audio[0]).mean() + 1))

    def get_generator(self, place: str, device: str) -> Any:
        def inference(*, speech_token_ids: torch.Tensor, speech_token_lengths: Any,
                      flow_embedding: torch.Tensor) -> tuple[torch.Tensor, int]:  # fmt: skip
            sound = torch.sin(speech_token_ids.float()).repeat_interleave(441, 1) * 0.5
            return sound, 22_050

        return SimpleNamespace(inference=inference)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The published repository and its package."""
    package: Any = ModuleType("taste_speech")
    package.TasteForCausalLM, package.TasteProcessor = Model, Processor
    monkeypatch.setitem(sys.modules, "taste_speech", package)
    place = tmp_path / "Llama-1B-TASTE-V0"
    place.mkdir()
    (place / "config.json").write_text(json.dumps({"model_type": "taste"}))
    (place / "model.safetensors").write_bytes(b"weights")
    return place


def load(folder: Path) -> Tokenizer:
    return taste.load(weights=str(folder), text="reference")


def sound(seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).uniform(-0.1, 0.1, 16_000).astype(np.float32)


def encode(tokenizer: Tokenizer, text: str | None) -> Tokens:
    return tokenizer.encode(AudioBatch.of([sound()], 16_000, [text]))[0]


def test_text_books_and_the_speaker_are_streams(folder: Path) -> None:
    tokenizer = load(folder)
    info = check_info(tokenizer.info)
    assert [s.vocabulary for s in info.streams] == [51_866, 512, 512, 512, 512, 256]
    item = check_tokens(encode(tokenizer, "ab cde"), info)
    assert [len(ids) for ids in item.streams] == [7, 7, 7, 7, 7, 192]
    words = [0, 0, 0, 1, 1, 1, 1]
    assert len({int(item.streams[1][n]) for n in range(7)}) == len(set(words))


def test_decoding_depends_on_the_ids_alone_though_the_model_samples(folder: Path) -> None:
    tokenizer = load(folder)
    item = encode(tokenizer, "ab cde")
    torch.manual_seed(1)
    one = tokenizer.decode([item])[0]
    drawn = torch.rand(1)
    torch.manual_seed(2)
    other = tokenizer.decode([encode(tokenizer, "x"), item])[1]
    np.testing.assert_array_equal(one, other)
    assert len(check_audio(one, tokenizer.info, 1.0)) == round(7 * 5 * 441 / 22_050 * 16_000)
    torch.manual_seed(1)
    assert torch.equal(torch.rand(1), drawn)  # the caller's random state is left as it was
    changed = Tokens((*item.streams[:-2], item.streams[-2] * 0, item.streams[-1]))
    assert not np.array_equal(one, tokenizer.decode([changed])[0])


def test_words_are_found_in_the_ids_again(folder: Path) -> None:
    tokenizer = load(folder)
    tokenizer.decode([encode(tokenizer, "ab cde f")])
    (call,) = tokenizer._model.calls  # type: ignore[attr-defined]
    assert call["words"] == [0, 0, 0, 1, 1, 1, 1, 2, 2]


def test_nothing_written_is_silence_and_no_transcript_a_failure(folder: Path) -> None:
    tokenizer = load(folder)
    item = encode(tokenizer, " ")
    assert [len(ids) for ids in item.streams] == [0] * 5 + [192]
    assert not tokenizer.decode([item])[0].any()
    with pytest.raises(ItemFailure, match="no transcript"):
        encode(tokenizer, None)
    with pytest.raises(ItemFailure, match="do not fit"):
        full = encode(tokenizer, "ab")
        tokenizer.decode([Tokens((full.streams[0][:1], *full.streams[1:]))])


def test_the_speaker_keeps_its_direction() -> None:
    vector = np.random.default_rng(0).normal(size=192)
    back = published.speaker_vector(published.speaker_ids(vector))
    assert np.dot(back, vector) / np.linalg.norm(vector) > 0.9999
    with pytest.raises(ItemFailure):
        published.speaker_ids(np.zeros(192))


# ----------------------------------------------------------------------------------- mistakes
def test_a_missing_package_is_told(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "taste_speech", None)
    with pytest.raises(UserError, match="need the package taste_speech: pip install") as told:
        load(folder)
    assert "\n" not in str(told.value)


def test_weights_that_do_not_load_are_told(folder: Path) -> None:
    before = load(folder).info.revision
    (folder / "model.safetensors").write_bytes(b"other weights")
    assert load(folder).info.revision != before
    (folder / "config.json").write_text(json.dumps({"model_type": "taste", "broken": True}))
    with pytest.raises(UserError, match=r"cannot be loaded by taste_speech \(size mismatch\)"):
        load(folder)


def test_a_hub_id_is_looked_for_among_the_weights_first(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BENCH_WEIGHTS_DIR", str(folder.parent))
    found = taste.load(weights="MediaTek-Research/Llama-1B-TASTE-V0", text="reference")
    assert found.info.revision == load(folder).info.revision


def test_which_weights_are_the_published_ones(folder: Path, tmp_path: Path) -> None:
    assert published.is_published("MediaTek-Research/Llama-1B-TASTE-V0")
    assert published.is_published(str(folder))
    (tmp_path / "config.json").write_text(json.dumps({"format": 1, "kind": "taste"}))
    assert not published.is_published(str(tmp_path))
    assert not published.is_published("/no/such/folder")
