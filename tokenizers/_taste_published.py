"""TASTE from its published weights, by its own package `taste_speech` (it pins transformers 4.51).

github.com/mtkresearch/TASTE-SpokenLM, Apache-2.0. Whisper's text ids, four codebooks of 512 for
each of them, and the speaker vector of the utterance, which its detokenizer needs, as one
stream of 192 ids of 8 bits. Its recogniser wants a GPU, so
Moonshine writes the text here. One utterance at a time; its sampling is seeded by the ids.
"""

from __future__ import annotations

import hashlib
import json
import re
import zlib
from pathlib import Path
from typing import Any

import numpy as np

from bench.contracts import AudioBatch, Ids, Samples, Stream, TokenizerInfo, Tokens
from bench.errors import ItemFailure, UserError, WeightsUnavailable
from bench.moonshine import Moonshine
from bench.weights import home

REPOSITORY = "MediaTek-Research/Llama-1B-TASTE-V0"
RATE, BOOKS, ENTRIES, WORDS = 16_000, 4, 512, 51_866
SPEAKER, LEVELS = 192, 127
"""Size of the speaker vector; ids are 1 to 255, 128 for zero."""
SILENCE_SECONDS = 0.5
_HUB_ID = re.compile(r"[\w-][\w.-]*/[\w-][\w.-]*")


def is_published(weights: str) -> bool:
    """`weights` is a hub id, or a folder with a transformers configuration of type `taste`."""
    folder = Path(weights).expanduser()
    if not folder.is_dir():
        return _HUB_ID.fullmatch(weights) is not None
    try:
        config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return False
    return isinstance(config, dict) and config.get("model_type") == "taste"


class PublishedTaste:
    """Streams: `text`, `q1` to `q4` of its length, and `speaker` (192 ids an utterance)."""

    def __init__(self, model: Any, processor: Any, generator: Any, text: str, revision: str,
                 device: str) -> None:  # fmt: skip
        self._model, self._processor, self._generator = model, processor, generator
        self._text, self._device = text, device
        self._recogniser = Moonshine(threads=1) if text == "asr" else None
        heard = f";{self._recogniser.revision}" if self._recogniser else ""
        self.info = TokenizerInfo(
            name="taste",
            family="text-aligned",
            sample_rate=RATE,
            streams=(Stream("text", WORDS), *(Stream(f"q{k + 1}", ENTRIES) for k in range(BOOKS)),
                     Stream("speaker", 256)),
            parameters=sum(p.numel() for p in model.parameters()),
            licence="Apache-2.0 (code)",
            source="Tseng et al. 2025, TASTE, arXiv:2504.07053; github.com/mtkresearch/"
            "TASTE-SpokenLM",
            training_data="see the model's card",
            revision=f"{revision}{heard}",
            batching="any",
        )  # fmt: skip

    def encode(self, batch: AudioBatch) -> list[Tokens]:
        """int64 [N] for text and codebooks, int64 [192] for the speaker, of each utterance."""
        return [self._encode(*item) for item in zip(batch.items(), batch.texts, strict=True)]

    def _encode(self, audio: Samples, text: str | None) -> Tokens:
        import torch

        written = self._written(audio, text)
        ids = self._processor.process_text(text=written)[1] if written.split() else {}
        if not ids or not int(ids["asr_token_lengths"][0]):
            return Tokens((*(np.zeros(0, dtype=np.int64),) * (1 + BOOKS), self._speaker(audio)))
        features, lengths = self._processor.whisper_feature_extractor(
            torch.from_numpy(audio)[None], [len(audio)]
        )
        heard = {"audio_features": torch.as_tensor(features, dtype=torch.float32),
                 "audio_feature_lengths": torch.as_tensor(lengths, dtype=torch.int32)}  # fmt: skip
        with torch.inference_mode():
            indices, _ = self._model.extract_vq(
                **{name: value.to(self._device) for name, value in (ids | heard).items()}
            )
        books = indices[0].cpu().numpy().astype(np.int64).T
        return Tokens((ids["asr_token_ids"][0].numpy().astype(np.int64), *books,
                       self._speaker(audio)))  # fmt: skip

    def _written(self, audio: Samples, text: str | None) -> str:
        if self._recogniser is not None:
            return self._recogniser.detokenize(self._recogniser.transcribe_ids([audio])[0])
        if text is None:
            raise ItemFailure("text=reference, but the manifest has no transcript of it")
        return text

    def _speaker(self, audio: Samples) -> Ids:
        session = self._processor.speaker_embed_onnx_session
        return speaker_ids(self._processor._get_speaker_embed(session, [audio]))

    def decode(self, tokens: list[Tokens]) -> list[Samples]:
        """float32 [L] of each item at 16 kHz (made at 22.05 kHz); the same ids, the same audio."""
        return [self._decode(item) for item in tokens]

    def _decode(self, item: Tokens) -> Samples:
        import soxr
        import torch

        written, *books, speaker = item.streams
        if not len(written):
            return np.zeros(int(SILENCE_SECONDS * RATE), dtype=np.float32)
        if any(len(book) != len(written) for book in books) or len(speaker) != SPEAKER:
            raise ItemFailure("the streams do not fit each other")
        device = self._device
        text = {
            "asr_token_ids": torch.from_numpy(written)[None].to(device),
            "asr_token_lengths": torch.tensor([len(written)], dtype=torch.int32, device=device),
            "asr_word_ids": torch.tensor([self._words(written)], dtype=torch.int32, device=device),
        }
        voice = torch.from_numpy(speaker_vector(speaker))[None].to(device)
        with torch.inference_mode(), torch.random.fork_rng():
            torch.manual_seed(zlib.crc32(b"".join(ids.tobytes() for ids in item.streams)))
            units, lengths = self._model.spoken_lm.get_audio_embeds_from_taste(
                vq_module=self._model.audio_tower.vq.rvq,
                asr_token_lengths=text["asr_token_lengths"],
                asr_word_ids=text["asr_word_ids"],
                asr_taste_indices=torch.from_numpy(np.stack(books, axis=1))[None].to(device),
            )
            said = self._model.inference_reconstruction(
                speaker_embeds=voice, audio_unit_embeds=units, audio_unit_lengths=lengths, **text
            )
            sound, rate = self._generator.inference(
                speech_token_ids=said["speech_token_ids"],
                speech_token_lengths=said["speech_token_lengths"],
                flow_embedding=voice,
            )
        made = sound.reshape(-1).float().cpu().numpy()
        return np.clip(soxr.resample(made, rate, RATE, quality="VHQ"), -1, 1).astype(np.float32)

    def _words(self, written: Ids) -> list[int]:
        """Number of the word of each text id; a word begins with a space, as the package has it."""
        pieces = self._processor.audio_tokenizer.convert_ids_to_tokens(written.tolist())
        starts = np.array([str(piece).startswith(("Ġ", " ")) for piece in pieces])
        starts[0] = True
        numbers: list[int] = (np.cumsum(starts) - 1).tolist()
        return numbers


def speaker_ids(vector: Any) -> Ids:
    """A speaker vector's direction, int64 [192]: its largest entry is ±127, shifted by 128."""
    found = np.asarray(vector, dtype=np.float64).reshape(-1)
    largest = float(np.abs(found).max(initial=0.0))
    if found.shape != (SPEAKER,) or not np.isfinite(largest) or largest == 0:
        raise ItemFailure("no speaker vector can be made of it")
    return np.round(found / largest * LEVELS).astype(np.int64) + LEVELS + 1


def speaker_vector(ids: Ids) -> Samples:
    """Float32 [192] of unit length."""
    found = ids.astype(np.float64) - (LEVELS + 1)
    made: Samples = (found / max(float(np.linalg.norm(found)), 1e-9)).astype(np.float32)
    return made


def load_published(weights: str, *, text: str, device: str) -> PublishedTaste:
    """weights: folder or hub id. UserError where the package is missing, or is not what it was;
    WeightsUnavailable where the weights are not here and cannot be fetched."""
    try:
        import taste_speech
    except ImportError as error:
        raise UserError(
            f"taste: weights={weights} are the published ones, which need the package "
            f"{error.name or 'taste_speech'}: pip install git+https://github.com/mtkresearch/"
            "TASTE-SpokenLM, in an environment with the transformers 4.51.1 that it is pinned to"
        ) from error
    place = str(_folder(weights))
    try:
        model = taste_speech.TasteForCausalLM.from_pretrained_stage1(
            place, attn_implementation="eager"
        )
        processor = taste_speech.TasteProcessor.from_pretrained(
            place, asr_on=False, extract_speech_token_on=False
        )
        generator = processor.get_generator(place, device=device)
    except (OSError, ValueError, TypeError, RuntimeError, AttributeError) as error:
        reason = " ".join(str(error).split())[:200]
        raise UserError(
            f"taste: {place} cannot be loaded by taste_speech ({reason}); fetch the whole "
            f"repository {REPOSITORY} again, with the versions it is pinned to"
        ) from error
    return PublishedTaste(model.to(device).eval(), processor, generator, text,
                          _revision(Path(place)), device)  # fmt: skip


def _folder(weights: str) -> Path:
    """The folder of the whole repository: the one named, `BENCH_WEIGHTS_DIR/<its name>`, or the
    Hugging Face cache, filled once."""
    given = Path(weights).expanduser()
    kept = home() / weights.rpartition("/")[2]
    for folder in (given, kept):
        if folder.is_dir():
            return folder
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HfHubHTTPError

    try:
        return Path(snapshot_download(weights, etag_timeout=10))
    except (OSError, ValueError, HfHubHTTPError) as error:
        reason = " ".join(str(error).split())[:200]
        raise WeightsUnavailable(
            f"the weights of taste (hub id {weights}, looked for in {kept} and in the Hugging Face "
            f"cache; download failed: {reason})",
            f"hf download {weights} --local-dir {kept}",
        ) from error


def _revision(folder: Path) -> str:
    """First 12 hex digits of the sha256 over the configuration and every file of weights."""
    digest = hashlib.sha256()
    for path in (folder / "config.json", *sorted(folder.rglob("*.safetensors"))):
        with path.open("rb") as file:
            while block := file.read(1 << 20):
                digest.update(block)
    return digest.hexdigest()[:12]
