"""Where the suite `mini` comes from: pinned Debian packages, their audio and their transcripts."""

from __future__ import annotations

import csv
import gzip
import hashlib
import re
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import soundfile as sf
import soxr

Pcm = npt.NDArray[np.int16]
RATE = 16_000
VERSIONS = {"asterisk": "1.6.1-1", "fillets": "1.0.1-1.1", "hedgewars": "1.0.2-6",
            "pocketsphinx": "0.8+5prealpha+1-15"}  # fmt: skip
SHA256 = {  # of each package's .deb
    "asterisk-core-sounds-en": "973e797d28e37fa6ca3c0a9d6fa717e77cf1268ae916bf09fd3503113cdffa50",
    "asterisk-core-sounds-en-g722":
        "38c5261820b406dcb0ecb37675720da2b0864850690690352ca52707eb623806",
    "asterisk-core-sounds-es": "9afdab7f559f036649fb406e625899306ca1004df8ebe39c30bfbd5912d66f74",
    "asterisk-core-sounds-es-g722":
        "e4e3b4281057d3b81b779298fd6be705f57411513955c518eed1bcaabbd615b8",
    "asterisk-core-sounds-fr": "04c82c78c570c43a7136cbc5e2488d0c470b775468dff9fbce4a131b18cf1056",
    "asterisk-core-sounds-fr-g722":
        "7add61d5e42279ecff1bbdf842a5a946ac3644fac9a0fe44384731aa7270c8e0",
    "asterisk-core-sounds-it": "3884d9457e12f21caa018c18f0d587df5d53ebea14b673d8453a134c5941ab3b",
    "asterisk-core-sounds-it-g722":
        "46b4cf7afc508a5fcfc051b7ea233251c0d195dd4ef83cc4b7facb4c6429b016",
    "asterisk-core-sounds-ru": "28a61616bb0cd3345a7ea532dec4df9f071e5d0fa9f8c1a563ea9669002f39ab",
    "asterisk-core-sounds-ru-g722":
        "673b4238a6b8269960f055d868c6a11083f7a0d00979167cb01554046b48ed9b",
    "hedgewars-data": "722225903a72604403e6e0026e40e9a6953f47a74d94efc5f55504bc05bb4761",
    "pocketsphinx-testdata": "eaeb7a01d54f20b799d1a81ef110ec544b2cb47ea006614078220737a33019f0",
}  # fmt: skip
# The Spanish and the English prompts are by the same person: one speaker.
ASTERISK = {"en": "allison-smith", "es": "allison-smith", "fr": "june-wallack",
            "it": "carlo-flora", "ru": "ivrvoice-ru"}  # fmt: skip
LICENCES = {"asterisk-en": "CC-BY-SA-3.0", "asterisk-es": "CC-BY-SA-3.0",
            "asterisk-fr": "CC-BY-SA-3.0", "asterisk-it": "CC-BY-3.0", "asterisk-ru": "CC-BY-3.0",
            "hedgewars": "GFDL-1.3", "librivox": "public domain",
            "pocketsphinx": "BSD-2-Clause"}  # fmt: skip
VOICE_LANGUAGE = {"Default_es": "es", "Default_pl": "pl", "Russian_pl": "pl",
                  "Default_ru": "ru", "Default_uk": "uk"}  # fmt: skip  # all others: en
NOT_SPEECH = {"vm-intro"}  # ends with a tone; the rest is told by a transcript in brackets
# Recordings of the PocketSphinx tests whose words the tests or the file name give.
POCKETSPHINX = {
    "goforward": ("goforward.raw", "go forward ten meters"),
    "something": ("something.raw", "go somewhere and do something"),
    "dhd-2934z": ("tidigits/dhd.2934z.raw", "two nine three four zero"),
}


@dataclass
class Candidate:
    """One recording that may enter the suite."""

    utterance: str
    corpus: str
    language: str
    speaker: str
    source: Path
    seconds: float
    text: str | None = None
    line: str | None = None  # name of an acted line


def fetch(work: Path, packages: Mapping[str, str] = SHA256) -> None:
    """Download what `work` lacks of `packages` (name → sha256), check, unpack into `work`/x."""
    for package, expected in packages.items():
        version = VERSIONS[package.split("-")[0]]
        deb = work / f"{package}_{version}_all.deb"
        if not deb.is_file():
            subprocess.run(["apt-get", "download", f"{package}={version}"], cwd=work, check=True)
        found = hashlib.sha256(deb.read_bytes()).hexdigest()
        if found != expected:
            raise SystemExit(f"{deb.name} has sha256 {found}, not {expected}")
        if not (work / "x" / package).is_dir():
            subprocess.run(["dpkg-deb", "-x", deb, work / "x" / package], check=True)


def candidates(work: Path, corrections: Path) -> list[Candidate]:
    """Everything usable in the unpacked packages, texts corrected."""
    fixed = _corrections(corrections)
    found = [c for lang in ASTERISK for c in _asterisk(work / "x", lang)]
    found += _hedgewars(work / "x") + _small(work / "x")
    for c in found:
        if c.utterance in fixed:
            published, spoken = fixed[c.utterance]
            if c.text != published:
                raise SystemExit(f"{c.utterance}: published text is {c.text!r}: not {published!r}")
            c.text = spoken
    return found


def _corrections(path: Path) -> dict[str, tuple[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return {r["utterance"]: (r["published"], r["spoken"]) for r in csv.DictReader(file)}


def _asterisk(root: Path, lang: str) -> list[Candidate]:
    package = f"asterisk-core-sounds-{lang}"
    listing = root / package / f"usr/share/doc/{package}/core-sounds-{lang}.txt.gz"
    texts: dict[str, str] = {}
    with gzip.open(listing, "rt", encoding="utf-8-sig") as lines:
        for line in lines:
            if ":" in line and not line.startswith(";"):
                name, published = line.split(":", 1)
                texts[name.strip()] = " ".join(published.split())
    (sounds,) = (root / f"{package}-g722/usr/share/asterisk/sounds").iterdir()
    result = []
    for file in sorted(sounds.rglob("*.g722")):
        name = file.relative_to(sounds).with_suffix("").as_posix()
        text = texts.get(name)
        if not text or re.match(r"[\[(<]", text) or name in NOT_SPEECH:
            continue
        # Other languages: no text with notes in brackets or with characters lost to "?".
        if lang != "en" and re.search(r"[\[(<{*#�]|\w\?\w|\w\? [a-zà-ÿ]", text):
            continue
        seconds = file.stat().st_size / 8000  # 64 kbit/s
        result.append(Candidate(f"asterisk-{lang}/{name}", f"asterisk-{lang}", lang,
                                ASTERISK[lang], file, seconds, text))  # fmt: skip
    return result


def _hedgewars(root: Path) -> list[Candidate]:
    """Each recording once: of packs that share one, the first by name keeps it."""
    voices = root / "hedgewars-data/usr/share/games/hedgewars/Data/Sounds/voices"
    seen: set[str] = set()
    result = []
    for file in sorted(voices.rglob("*.ogg")):
        voice, line = file.parent.name, file.stem
        digest = hashlib.sha256(decode(file).tobytes()).hexdigest()
        if digest in seen:
            continue
        seen.add(digest)
        result.append(Candidate(f"hedgewars/{voice}/{line}", "hedgewars",
                                VOICE_LANGUAGE.get(voice, "en"), f"hedgewars-{voice}", file,
                                sf.info(str(file)).duration, line=line))  # fmt: skip
    return result


def _small(root: Path) -> list[Candidate]:
    data = root / "pocketsphinx-testdata/usr/share/pocketsphinx/test/data"
    result = [Candidate(f"pocketsphinx/{name}", "pocketsphinx", "en", f"pocketsphinx-{name}",
                        data / file, (data / file).stat().st_size / 2 / RATE, text)
              for name, (file, text) in POCKETSPHINX.items()]  # fmt: skip
    for corpus, listing, speaker in (
        ("librivox", "librivox/transcription", "librivox-austen"),
        ("pocketsphinx", "cards/cards.transcription", "pocketsphinx-cards"),
    ):
        folder = (data / listing).parent
        for row in (data / listing).read_text().splitlines():
            match = re.fullmatch(r"<s> (.*?)\s*</s> \((.*)\)", row)
            assert match, row
            file = folder / f"{match[2]}.wav"
            short = match[2].rsplit("-", 1)[-1]
            name = short if corpus == "librivox" else f"cards-{short}"
            result.append(Candidate(f"{corpus}/{name}", corpus, "en", speaker, file,
                                    sf.info(str(file)).duration, match[1]))  # fmt: skip
    return result


def decode(file: Path) -> Pcm:
    """16 kHz, mono, 16 bits; nothing is trimmed, levelled or dithered."""
    if file.suffix == ".g722":
        command = ["ffmpeg", "-v", "error", "-f", "g722", "-i", str(file), "-f", "s16le", "-"]
        raw = subprocess.run(command, capture_output=True, check=True).stdout
        return np.frombuffer(raw, dtype="<i2").astype(np.int16)
    if file.suffix == ".raw":
        return np.fromfile(file, dtype="<i2").astype(np.int16)
    if file.suffix == ".wav":
        pcm, rate = sf.read(file, dtype="int16")
        assert rate == RATE and pcm.ndim == 1, file
        return np.asarray(pcm, dtype=np.int16)
    stereo, rate = sf.read(file, dtype="float64", always_2d=True)
    mono = np.asarray(soxr.resample(stereo.mean(axis=1), rate, RATE, quality="VHQ"))
    rounded: Pcm = np.clip(np.round(mono * 32768), -32768, 32767).astype(np.int16)
    return rounded
