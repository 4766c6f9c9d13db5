"""The utterances that a report lets one hear, with transcripts, scores and spectrograms."""

from __future__ import annotations

import base64
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from bench import audio
from bench.contracts import MetricRow, Samples
from bench.errors import UserError
from bench.originals import Originals
from bench.progress import Reporter
from bench.report import choose
from bench.report.figures import Plot
from bench.report.plots import spectrograms
from bench.report.runs import Run
from bench.report.sound import cache_of, find_suite, originals_of, resyntheses
from bench.report.tables import score_lines
from bench.report.words import Piece, difference, transcripts

ORIGINAL = "original"
MOST_SECONDS = 20.0  # of an utterance in the page; a longer one is cut, and the page says so


@dataclass(frozen=True)
class Player:
    """One recording. source: a data address with FLAC of 16 bits, 16 kHz, without loss."""

    label: str
    source: str
    seconds: float
    cut: bool


@dataclass(frozen=True)
class Heard:
    """What the recogniser heard in a recording, against the reference text."""

    label: str
    pieces: tuple[Piece, ...]


@dataclass(frozen=True)
class Clip:
    """One utterance. why: "worst" or "drawn"; about: who speaks, where from, how long; language: as
    the suite names it; lines: its scores, see `score_lines`."""

    utterance: str
    why: str
    about: str
    language: str
    text: str
    players: tuple[Player, ...]
    heard: tuple[Heard, ...]
    lines: tuple[tuple[str, tuple[str, ...]], ...]
    plot: Plot


@dataclass(frozen=True)
class Listening:
    """Everything to be heard. order: the metrics that say what is worst; notes: what is missing."""

    clips: tuple[Clip, ...]
    order: tuple[str, ...]
    notes: tuple[str, ...]


def player(label: str, samples: Samples) -> Player:
    """Embed float32 [L] at 16 kHz as FLAC, which is lossless and which every browser plays."""
    import soundfile

    kept = samples[: int(MOST_SECONDS * audio.RATE)]
    buffer = io.BytesIO()
    soundfile.write(buffer, kept, audio.RATE, format="FLAC", subtype="PCM_16")
    coded = base64.b64encode(buffer.getvalue()).decode()
    source = f"data:audio/flac;base64,{coded}"
    return Player(label, source, len(kept) / audio.RATE, len(kept) < len(samples))


def listening(
    runs: Sequence[Run],
    *,
    count: int,
    names: Sequence[str],
    known: Mapping[str, MetricRow],
    suite: str | None,
    device: str,
    reporter: Reporter,
) -> Listening:
    """At most `count` utterances; without recordings where the suite or a tokenizer is not here.

    suite: as given by the person; a wrong one is a UserError, a missing one a note.
    """
    rows = dict(known)
    scores = [choose.by_utterance(run, rows) for run in runs]
    order = choose.ranking(names, scores[0])
    chosen = choose.choose(runs[0], count, order, scores[0], rows) if count else []
    if not chosen:
        return Listening((), tuple(order), ())
    try:
        found = find_suite(runs[0].result.suite, suite)
    except UserError as error:
        if suite is not None:
            raise
        return Listening((), tuple(order), (f"nothing to be heard: {error}",))
    originals = originals_of(found, [c.utterance for c in chosen])
    sounds: dict[str, dict[int, Samples]] = {
        ORIGINAL: {i: originals.at(i, audio.RATE) for i in originals.good}
    }
    notes = [
        f"{originals.items[i].utterance.id} cannot be heard: {reason}"
        for i, reason in originals.failures.items()
    ]
    for run in runs:
        sounds[run.label], note = resyntheses(run, originals, reporter, device)
        notes += [note] if note else []
    spoken = [i for i in originals.good if _has_words(originals, i)]
    words, note = transcripts(
        runs[0],
        {side: {i: x for i, x in clips.items() if i in spoken} for side, clips in sounds.items()},
        cache_of(runs[0]),
        reporter,
        device,
    )
    notes += [note] if note else []
    why = {c.utterance: c.why for c in chosen}
    clips = []
    for number, i in enumerate(originals.good, 1):
        lines = score_lines(runs, scores, names, originals.items[i].utterance.id)
        clips.append(_clip(number, i, originals, why, sounds, words, lines))
    return Listening(tuple(clips), tuple(order), tuple(notes))


def _has_words(originals: Originals, index: int) -> bool:
    item = originals.items[index]
    return "transcription" in item.tasks and item.utterance.text is not None


def _clip(
    number: int,
    index: int,
    originals: Originals,
    why: Mapping[str, str],
    sounds: Mapping[str, Mapping[int, Samples]],
    words: Mapping[str, Mapping[int, str]],
    lines: list[tuple[str, tuple[str, ...]]],
) -> Clip:
    spoken = originals.items[index].utterance
    clips = {side: found[index] for side, found in sounds.items() if index in found}
    heard = [
        Heard(side, tuple(difference(spoken.text or "", found[index], spoken.language)))
        for side, found in words.items()
        if index in found
    ]
    cut = int(MOST_SECONDS * audio.RATE)
    shown = {side: clip[:cut] for side, clip in list(clips.items())[:2]}
    affect = f", {spoken.affect}" if spoken.affect else ""
    return Clip(
        spoken.id,
        why[spoken.id],
        f"{spoken.language}, speaker {spoken.speaker}, {spoken.corpus}{affect}, "
        f"{originals.seconds(index):.1f} s",
        spoken.language,
        spoken.text or "",
        tuple(player(side, clip) for side, clip in clips.items()),
        tuple(heard),
        tuple(lines),
        spectrograms(f"spectrogram_{number:02d}", spoken.id, shown),
    )
