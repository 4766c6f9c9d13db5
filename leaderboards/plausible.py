"""Checks of what can be computed and still cannot be: figures too even, too good, or borrowed.

A card may explain a figure that one of these refuses (`explanations`, by the row's name). The
entry is then accepted, shown with its explanation, and unranked until somebody has verified it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence

import numpy as np
import pandas as pd

from bench.leaderboards.board import RESYNTHESIS, Board
from bench.leaderboards.entry import HASHES, RESULT, SCORES, Entry
from bench.leaderboards.identity import Found
from bench.leaderboards.scoring import groups

MIN_UTTERANCES = 5
SHARED = 0.5  # share of utterances with another tokenizer's ids
REPEATED = 0.1  # share of utterances with one and the same ids
DEVIATING = 0.05  # share of originals that another machine may judge a little differently
SURE = 2.0  # half-widths of its interval by which a resynthesis may not beat the original
_EMPTY = 0


def check_plausible(entry: Entry, board: Board) -> Found:
    """What one entry tells against itself; rows that the card explains are left out."""
    explained = entry.card.explanations
    for name, reason, file in (*_even(entry, board), *_too_good(entry), *_contradictions(entry)):
        if name not in explained:
            yield file, f"{name}: {reason}"
    yield from _repeated(entry)


def _even(entry: Entry, board: Board) -> Iterator[tuple[str, str, str]]:
    """A metric that is one and the same for every utterance, though the originals differ."""
    if entry.result.tokenizer.family == "reference":
        return  # `identity` is a perfect copy, and says so
    for (track, name), part in groups(entry).items():
        known = board.rows.get((track, name))
        if track != RESYNTHESIS or known is None or not known.row.shown:
            continue
        if len(part) < MIN_UTTERANCES or len(_ratios(part, "")) < MIN_UTTERANCES:
            continue
        even = len(np.unique(_ratios(part, "").round(9))) == 1
        base = _ratios(part, "reference_")
        if even and (known.row.identity is not None or len(np.unique(base.round(9))) > 1):
            value = _ratios(part, "")[0]
            yield name, f"it is {value:g} for each of {len(part)} utterances", SCORES


def _ratios(part: pd.DataFrame, side: str) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    top = part[f"{side}numerator"].to_numpy(dtype=float)
    bottom = part[f"{side}denominator"].to_numpy(dtype=float)
    return top[bottom > 0] / bottom[bottom > 0]


def _too_good(entry: Entry) -> Iterator[tuple[str, str, str]]:
    """A resynthesis that beats its original by twice the half-width of the paired interval.

    Once would be too little: of twenty rows, one such interval errs by chance.
    """
    for name, row in entry.result.tracks.get(RESYNTHESIS, {}).items():
        if row.difference is None or row.difference_ci95 is None:
            continue
        gain = row.difference if row.higher_is_better else -row.difference
        half = (row.difference_ci95[1] - row.difference_ci95[0]) / 2
        if gain > max(SURE * half, 1e-9):
            yield name, f"the resynthesis beats the original by {gain:g} ± {half:g}", RESULT


def _contradictions(entry: Entry) -> Iterator[tuple[str, str, str]]:
    rows = entry.result.tracks.get(RESYNTHESIS, {})
    values = {name: row.value for name, row in rows.items() if row.value is not None}
    if values.get("wer", 1.0) == 0.0 and values.get("speaker_similarity", 1.0) <= 0.05:
        reason = f"no word is wrong, and no voice is kept ({values['speaker_similarity']:g})"
        yield "wer", reason, RESULT


def _repeated(entry: Entry) -> Found:
    hashes = [r["sha256"] for r in entry.hashes.to_pylist() if sum(r["counts"] or []) > _EMPTY]
    if len(hashes) >= MIN_UTTERANCES:
        _, count = Counter(hashes).most_common(1)[0]
        if count > max(1, REPEATED * len(hashes)):
            yield HASHES, f"{count} of {len(hashes)} utterances have one and the same ids"


def check_neighbours(entries: Sequence[Entry], old: frozenset[str]) -> Found:
    """What entries of one board tell against each other: borrowed ids, other originals.

    Yields (place/file, reason), always of the newer entry of a pair.
    """
    ordered = sorted(entries, key=lambda e: (e.place not in old, e.place))
    hashes = {e.place: _hashes(e) for e in ordered}
    for at, entry in enumerate(ordered):
        own = hashes[entry.place]
        for other in ordered[:at]:
            if other.result.tokenizer.name == entry.result.tokenizer.name:
                continue  # variants of one tokenizer may differ in their decoder alone
            theirs = hashes[other.place]
            shared = sum(theirs.get(name) == digest for name, digest in own.items())
            if own and shared > max(1, SHARED * len(own)):
                yield (
                    f"{entry.place}/{HASHES}",
                    (f"{shared} of {len(own)} utterances have the very ids of {other.place}"),
                )
                break
    yield from _originals(ordered)


def _hashes(entry: Entry) -> dict[str, str]:
    return {
        r["utterance"]: r["sha256"]
        for r in entry.hashes.to_pylist()
        if sum(r["counts"] or []) > _EMPTY
    }


def _originals(ordered: Sequence[Entry]) -> Found:
    """The originals are the suite's: every entry judged them with the same models.

    An entry is held against the first one with the same judges.
    """
    first: dict[str, pd.DataFrame] = {}
    for entry in ordered:
        key = str(sorted(entry.result.environment.get("judges", {}).items()))
        own = _base(entry)
        if key not in first:
            first[key] = own
            continue
        both = own.join(first[key], how="inner", lsuffix="_own", rsuffix="_other")
        if both.empty:
            continue
        apart = (both["ratio_own"] - both["ratio_other"]).abs() > 1e-3 * (
            1 + both["ratio_other"].abs()
        )
        share = apart.groupby(level=0).mean()
        for name in share.index[share > DEVIATING]:
            count = int(apart.loc[name].sum())
            yield (
                f"{entry.place}/{SCORES}",
                (
                    f"{name}: {count} originals have other scores than in earlier entries with the "
                    "same judges"
                ),
            )


def _base(entry: Entry) -> pd.DataFrame:
    """(row, utterance) → the original's score; trials are left out."""
    scores = entry.scores.to_pandas()
    part = scores[scores["reference_denominator"].gt(0) & scores["target"].isna()]
    part = part.drop_duplicates(["metric", "utterance"])
    made = part.assign(ratio=part["reference_numerator"] / part["reference_denominator"])
    return made.set_index(["metric", "utterance"])[["ratio"]]
