"""What the recogniser heard, and how it differs from the text, word by word."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from bench import registry
from bench.contracts import Samples
from bench.errors import UserError
from bench.judging import Judging
from bench.metrics import _edits
from bench.progress import Reporter
from bench.report.runs import Run

JUDGE, OUTPUT = "moonshine", "text"


@dataclass(frozen=True)
class Piece:
    """Words next to each other that are alike ("same"), "missing", "added" or "changed".

    before: words of the reference; after: words heard.
    """

    kind: str
    before: str
    after: str


def difference(reference: str, heard: str, language: str) -> list[Piece]:
    """The alignment that the word error rate counts, after the same normalisation (jiwer)."""
    import jiwer

    before, after = (_edits.normalise(text, language) for text in (reference, heard))
    if not before:
        return [Piece("added", "", after)] if after else []
    (chunks,) = jiwer.process_words(before, after).alignments
    kinds = {"equal": "same", "delete": "missing", "insert": "added", "substitute": "changed"}
    one, two = before.split(), after.split()
    return [
        Piece(
            kinds[chunk.type],
            " ".join(one[chunk.ref_start_idx : chunk.ref_end_idx]),
            " ".join(two[chunk.hyp_start_idx : chunk.hyp_end_idx]),
        )
        for chunk in chunks
    ]


def transcripts(
    run: Run,
    sounds: Mapping[str, Mapping[int, Samples]],
    cache: Path | None,
    reporter: Reporter,
    device: str,
) -> tuple[dict[str, dict[int, str]], str | None]:
    """Side → index → text heard in `sounds[side][index]` (float32 [L], 16 kHz); and why none.

    From the run's cache where the same samples were judged, else by the same judge now.
    """
    version = run.result.environment.get("judges", {}).get(JUDGE)
    if version is None:
        return {}, f"no transcripts: the run had no judge {JUDGE}"
    try:
        judge = registry.plugin("judges", JUDGE).load(device=device, threads=1)
    except (UserError, ImportError) as error:
        return {}, f"no transcripts: judge {JUDGE} cannot be loaded: {error}"
    if judge.info.version != version:
        return {}, f"no transcripts: judge {JUDGE} is {judge.info.version}, in the run {version}"
    with tempfile.TemporaryDirectory() as scratch:
        where = run.result.environment.get("device", "cpu")
        judging = Judging(judge, cache or Path(scratch), reporter, where)
        try:
            for side, clips in sounds.items():
                judging.process(side, sorted(clips), clips.__getitem__)
        finally:
            judging.close()
    heard: dict[str, dict[int, str]] = {side: {} for side in sounds}
    for (side, index), outcome in judging.outcomes.items():
        if isinstance(outcome, dict):
            heard[side][index] = str(outcome[OUTPUT])
    return heard, None
