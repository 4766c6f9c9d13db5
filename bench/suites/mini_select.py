"""Which recordings enter the suite `mini`, in which split, for which tasks.

Nothing here looks at what a recogniser makes of a recording: order is that of a hash of the name.
"""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Callable
from typing import Any

from whisper_normalizer.basic import BasicTextNormalizer
from whisper_normalizer.english import EnglishTextNormalizer

from bench.suites.mini_sources import Candidate

TEST_VOICES = ("HillBilly", "Default_es", "Default_ru", "Default_uk")
VALIDATION_VOICES = ("Mobster",)
ENGLISH_TEST, ENGLISH_VALIDATION = 75, 20  # prompts
OTHER_TEST, OTHER_VALIDATION, OTHER_TRAIN = 12, 6, 30  # prompts a language
ENGLISH_TEST_SECONDS = (2.0, 8.0)
OTHER_TEST_SECONDS = (3.0, 4.8)
ENGLISH_SECONDS, OTHER_SECONDS = (1.7, 15.0), (2.0, 6.0)  # of any split
TRANSCRIPTION_SECONDS = (2.0, 15.0)
ACTED_TEST_SECONDS, ACTED_SECONDS = 0.4, 0.25  # at least; the second outside the test
ALIKE = 0.75  # Jaccard index of the sets of words from which two sentences share a split
QUALITY_OTHER, QUALITY_ACTED = 10, 2  # a language, an acted test voice

Row = dict[str, Any]
_english: Callable[[str], str] = EnglishTextNormalizer()
_basic: Callable[[str], str] = BasicTextNormalizer()


def normalise(text: str | None, language: str) -> str | None:
    """Whisper's normaliser: the English one for English, the basic one for others."""
    if text is None:
        return None
    return " ".join((_english if language == "en" else _basic)(text).split())


def rank(name: str) -> str:
    """A fixed arbitrary order."""
    return hashlib.sha256(f"mini-1/{name}".encode()).hexdigest()


def groups(found: list[Candidate]) -> list[list[Candidate]]:
    """Prompts whose sentences are alike, together; groups and members in order of rank."""
    found = sorted(found, key=lambda c: rank(c.utterance))
    sets = [frozenset((normalise(c.text, c.language) or "").split()) for c in found]
    parent = list(range(len(found)))

    def root(i: int) -> int:
        while parent[i] != i:
            i = parent[i]
        return i

    for i, a in enumerate(sets):
        for j in range(i):
            if len(a & sets[j]) >= ALIKE * len(a | sets[j]):
                first, second = sorted((root(i), root(j)))
                parent[second] = first
    by_root: dict[int, list[Candidate]] = defaultdict(list)
    for i, c in enumerate(found):
        by_root[root(i)].append(c)
    return [by_root[r] for r in sorted(by_root)]


def select(found: list[Candidate], affects: dict[str, str | None]) -> list[Row]:
    """The rows of the manifest, without audio and alignment."""
    rows: list[Row] = []
    for lang in ("en", "es", "fr", "it", "ru"):
        rows += _prompts([c for c in found if c.corpus == f"asterisk-{lang}"], lang)
    rows += [_row(c, "test") for c in found if c.corpus in ("librivox", "pocketsphinx")]
    rows += [row for c in found if c.corpus == "hedgewars" for row in _acted(c, affects)]
    _tasks(rows)
    return sorted(rows, key=lambda r: r["utterance"])


def _acted(c: Candidate, affects: dict[str, str | None]) -> list[Row]:
    """The row of an acted line, or none: too short, or without a class."""
    voice = c.speaker.removeprefix("hedgewars-")
    split = ("test" if voice in TEST_VOICES else
             "validation" if voice in VALIDATION_VOICES else "train")  # fmt: skip
    affect = affects[c.line or ""]
    least = ACTED_TEST_SECONDS if split == "test" else ACTED_SECONDS
    return [_row(c, split) | {"affect": affect}] if affect and c.seconds >= least else []


def _prompts(found: list[Candidate], lang: str) -> list[Row]:
    english = lang == "en"
    low, high = ENGLISH_TEST_SECONDS if english else OTHER_TEST_SECONDS
    least, most = ENGLISH_SECONDS if english else OTHER_SECONDS
    wanted = {"test": ENGLISH_TEST if english else OTHER_TEST,
              "validation": ENGLISH_VALIDATION if english else OTHER_VALIDATION,
              "train": 10_000 if english else OTHER_TRAIN}  # fmt: skip
    taken: dict[str, list[Row]] = {split: [] for split in wanted}
    usable = [c for c in found if least <= c.seconds <= most and normalise(c.text, lang)]
    for group in groups(usable):
        fitting = [c for c in group if low <= c.seconds <= high]
        # A whole group goes to one split; of a held-out group only fitting prompts are used.
        for split in ("test", "validation"):
            if fitting and len(taken[split]) + len(fitting) <= wanted[split]:
                taken[split] += [_row(c, split) for c in fitting]
                break
        else:
            room = wanted["train"] - len(taken["train"])
            taken["train"] += [_row(c, "train") for c in group[:room]]
    return [row for rows in taken.values() for row in rows]


def _row(c: Candidate, split: str) -> Row:
    return {"utterance": c.utterance, "corpus": c.corpus, "language": c.language,
            "speaker": c.speaker, "split": split, "text": c.text, "affect": None,
            "normalised_text": normalise(c.text, c.language), "source": c.source,
            "seconds": c.seconds}  # fmt: skip


def _tasks(rows: list[Row]) -> None:
    """One rule for every split; see docs/suite-mini.md."""
    enough: dict[tuple[str, str], int] = defaultdict(int)
    for row in rows:
        enough[row["split"], row["speaker"]] += row["seconds"] >= 1.0
    low, high = TRANSCRIPTION_SECONDS
    for row in rows:
        tasks = set()
        if row["seconds"] >= 0.5:
            tasks.add("signal")
        if row["language"] == "en" and row["text"] and low <= row["seconds"] <= high:
            tasks |= {"transcription", "quality"}
        if row["affect"]:
            tasks.add("emotion")
        if row["seconds"] >= 1.0 and enough[row["split"], row["speaker"]] >= 3:
            tasks.add("speaker")
        row["tasks"] = tasks
    sets: dict[tuple[str, str, str], list[Row]] = defaultdict(list)
    for row in rows:
        if row["seconds"] >= 2.0 and "quality" not in row["tasks"]:
            kind = row["speaker"] if row["corpus"] == "hedgewars" else row["corpus"]
            sets[row["split"], row["corpus"], kind].append(row)
    for (_, corpus, _), members in sets.items():
        if corpus == "hedgewars":
            chosen = sorted(members, key=lambda r: (-r["seconds"], r["utterance"]))[:QUALITY_ACTED]
        elif corpus.startswith("asterisk"):
            chosen = sorted(members, key=lambda r: rank(r["utterance"]))[:QUALITY_OTHER]
        else:
            chosen = []
        for row in chosen:
            row["tasks"].add("quality")
    for row in rows:
        row["tasks"] = sorted(row["tasks"])
