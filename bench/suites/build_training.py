"""More speech of the kind of the suite `mini`, to train on: what `mini` does not test with.

    python -m bench.suites.build_training --work DIR --out DIR

Every recording of the packages of `mini` and the dialogues of `fillets-ng-data-cs` and `-nl`,
except: the test and validation recordings of `mini` and any prompt whose sentence is like one of
theirs, the acted voices of the test and of the validation, all Italian (so that one language and
its speaker are never heard), and the small read corpora. Needs apt-get, dpkg-deb and ffmpeg.
DIR of --out receives 16 kHz FLAC and manifest.parquet, and 1 % of the dialogues as validation.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import pandas as pd
import soundfile as sf

from bench.suites.mini_select import (
    ALIKE,
    TEST_VOICES,
    VALIDATION_VOICES,
    normalise,
    rank,
)
from bench.suites.mini_sources import (
    LICENCES,
    RATE,
    SHA256,
    Candidate,
    candidates,
    decode,
    fetch,
)

UNHEARD_LANGUAGES = ("it",)
FILLETS = {
    "fillets-ng-data-cs": "3ecef99b9456f1c80c9625c6f2418642b52d58e7167a46bad7a412db17991b14",
    "fillets-ng-data-nl": "afb4443fda9ab507dee578b75be857d121718a1cd6017a474f30e0eb13dc9d10",
}
FILLETS_LICENCE = "GPL-2.0-or-later"
SECONDS = (0.5, 30.0)
MINI = Path(__file__).parent / "mini"


def fillets(root: Path) -> list[Candidate]:
    """Dialogues: the two fish by the letter in the file's name, everybody else as one group."""
    found = []
    for language in ("cs", "nl"):
        sounds = root / f"fillets-ng-data-{language}/usr/share/games/fillets-ng/sound"
        for file in sorted(sounds.glob(f"*/{language}/*.ogg")):
            part = file.stem.split("-")[1:2]
            who = part[0] if part and part[0] in ("m", "v") else "others"
            name = f"fillets-{language}/{file.parent.parent.name}/{file.stem}"
            found.append(Candidate(name, f"fillets-{language}", language,
                                   f"fillets-{language}-{who}", file,
                                   sf.info(str(file)).duration))  # fmt: skip
    return found


def allowed(found: list[Candidate], held: pd.DataFrame) -> list[Candidate]:
    """What of `found` is not held out; `held`: the rows of mini's test and validation."""
    names = set(held["utterance"])
    spoken = {
        corpus: [frozenset(str(t).split()) for t in rows["normalised_text"].dropna()]
        for corpus, rows in held.groupby("corpus")
    }
    silent = {f"hedgewars-{voice}" for voice in (*TEST_VOICES, *VALIDATION_VOICES)}

    def passes(c: Candidate) -> bool:
        if (c.utterance in names or c.speaker in silent or c.language in UNHEARD_LANGUAGES
                or c.corpus in ("librivox", "pocketsphinx")):  # fmt: skip
            return False
        words = frozenset((normalise(c.text, c.language) or "").split())
        alike = any(len(words & w) >= ALIKE * len(words | w) for w in spoken.get(c.corpus, ()) if w)
        return SECONDS[0] <= c.seconds <= SECONDS[1] and not (words and alike)

    return [c for c in found if passes(c)]


def build(work: Path, out: Path) -> pd.DataFrame:
    """Write the audio and the manifest; returns the manifest."""
    work.mkdir(parents=True, exist_ok=True)
    fetch(work, SHA256 | FILLETS)
    mini = pd.read_parquet(MINI / "manifest.parquet")
    found = candidates(work, MINI / "corrections.csv") + fillets(work / "x")
    rows: list[dict[str, Any]] = []
    for c in allowed(found, mini[mini["split"] != "train"]):
        path = out / "audio" / f"{c.utterance}.flac"
        if not path.is_file():
            path.parent.mkdir(parents=True, exist_ok=True)
            sf.write(path, decode(c.source), RATE, format="FLAC", subtype="PCM_16")
        held = c.corpus.startswith("fillets") and int(rank(c.utterance)[:4], 16) % 100 == 0
        rows.append({"utterance": c.utterance, "file": str(path.relative_to(out)),
                     "corpus": c.corpus, "language": c.language, "speaker": c.speaker,
                     "split": "validation" if held else "train", "seconds": c.seconds,
                     "text": c.text, "normalised_text": normalise(c.text, c.language),
                     "licence": LICENCES.get(c.corpus, FILLETS_LICENCE)})  # fmt: skip
    table = pd.DataFrame(rows)
    table.to_parquet(out / "manifest.parquet")
    return table


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--work", type=Path, required=True, help="folder of the packages")
    parser.add_argument("--out", type=Path, required=True, help="folder of the speech")
    args = parser.parse_args()
    table = build(args.work.resolve(), args.out)
    summed = table.groupby(["corpus", "split"])["seconds"].agg(["size", "sum"])
    print(summed.round(0).to_string())


if __name__ == "__main__":
    main()
