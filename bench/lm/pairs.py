"""Likelihood tests on pairs: is the real utterance likelier than the one that was spoiled?

The spoiled ones are made of real ids: no other data are needed, and every id of them was spoken.
In the manner of sWUGGY and sBLIMP (Nguyen et al., 2020), StoryCloze (Mostafazadeh et al., 2016;
spoken: Hassid et al., 2023) and SALMon (Maimon et al., 2024), whose pairs `listed` reads.
"""

from __future__ import annotations

import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from bench.contracts import Ids
from bench.errors import UserError
from bench.lm.laid import Item, Predictor
from bench.lm.ngram import Floats
from bench.stats import Interval, interval

SEGMENT_SECONDS = 0.5
MIDDLE = (1 / 3, 2 / 3)
TIE = 1e-6  # relative; likelihoods as near as this differ by rounding only


@dataclass(frozen=True)
class Clip:
    """One utterance with its ids.

    streams: K arrays int64 [N_k]; words: (word, start, end), seconds, in order, None where there
    is no alignment; group: only clips of one group (a language) are mixed with each other.
    """

    id: str
    streams: tuple[Ids, ...]
    seconds: float
    speaker: str
    words: tuple[tuple[str, float, float], ...] | None = None
    group: str = ""

    def between(self, start: float, end: float) -> tuple[Ids, ...]:
        """The ids of each stream from `start` to `end` (s), as if each stream ran evenly."""
        return tuple(
            ids[self._at(start, len(ids)) : self._at(end, len(ids))] for ids in self.streams
        )

    def _at(self, time: float, count: int) -> int:
        return min(count, max(0, round(time / self.seconds * count)))


# ------------------------------------------------------------------------------ three ways to spoil
def shuffled(clip: Clip, seed: int = 0, segment: float = SEGMENT_SECONDS) -> Item | None:
    """Its segments of about `segment` seconds in another order; None for less than two."""
    count = round(clip.seconds / segment)
    if count < 2:
        return None
    rng = _rng(clip, seed, "shuffled")
    order = rng.permutation(count)
    while (order == np.arange(count)).all():
        order = rng.permutation(count)
    edges = np.linspace(0, clip.seconds, count + 1)
    return _joined([clip.between(edges[i], edges[i + 1]) for i in order])


def other_middle(clip: Clip, others: Sequence[Clip], seed: int = 0) -> Item | None:
    """Its middle third replaced by as many ids of another speaker of its group.

    None where nobody else in the group speaks long enough.
    """
    start, end = (share * clip.seconds for share in MIDDLE)
    middle = clip.between(start, end)
    fit = [
        other
        for other in others
        if other.speaker != clip.speaker
        and other.group == clip.group
        and len(other.streams) == len(clip.streams)
        and all(len(o) >= len(m) for o, m in zip(other.streams, middle, strict=True))
    ]
    if not fit:
        return None
    other = fit[int(_rng(clip, seed, "middle").integers(len(fit)))]
    taken = []
    for ids, part in zip(other.streams, middle, strict=True):
        first = (len(ids) - len(part)) // 2
        taken.append(ids[first : first + len(part)])
    return _joined([clip.between(0, start), tuple(taken), clip.between(end, clip.seconds)])


def swapped_words(clip: Clip, seed: int = 0) -> Item | None:
    """Two different words of it in each other's place; None without an alignment or two words."""
    words = [w for w in clip.words or () if w[2] > w[1]]
    choices = [
        (a, b) for i, a in enumerate(words) for b in words[i + 1 :] if a[0] != b[0] and a[2] <= b[1]
    ]
    if not choices:
        return None
    one, two = choices[int(_rng(clip, seed, "words").integers(len(choices)))]
    return _joined(
        [
            clip.between(0, one[1]),
            clip.between(two[1], two[2]),
            clip.between(one[2], two[1]),
            clip.between(one[1], one[2]),
            clip.between(two[2], clip.seconds),
        ]
    )


def spoiled(clips: Sequence[Clip], seed: int = 0) -> dict[str, list[tuple[int, Item]]]:
    """Kind of test → (index of the real clip, the spoiled one), for every clip that allows it."""
    made: dict[str, list[tuple[int, Item]]] = {"shuffled": [], "middle": [], "words": []}
    for i, clip in enumerate(clips):
        for kind, item in (
            ("shuffled", shuffled(clip, seed)),
            ("middle", other_middle(clip, clips, seed)),
            ("words", swapped_words(clip, seed)),
        ):
            if item is not None:
                made[kind].append((i, item))
    return made


# -------------------------------------------------------------------------------------- judging
def preferred(good: Floats, bad: Floats) -> Floats:
    """1 where the good one of a pair needs fewer bits, ½ where both need the same, else 0: [P]."""
    same = np.isclose(good, bad, rtol=TIE, atol=0)
    return np.where(same, 0.5, (good < bad).astype(np.float64))


def judged(predictor: Predictor, good: Sequence[Item], bad: Sequence[Item]) -> Floats:
    """`preferred` for each pair [P], by bits an id (items may differ in length)."""
    return preferred(bits_an_id(predictor, good), bits_an_id(predictor, bad))


def share(preferences: Floats, speakers: Sequence[str]) -> Interval:
    """Share of pairs whose good one is likelier, with its interval; chance is ½."""
    return interval(preferences, np.ones(len(preferences)), speakers)


def bits_an_id(predictor: Predictor, items: Sequence[Item]) -> Floats:
    """Bits of all streams over the number of ids [items]; 0 for an item without ids."""
    counts = np.array([sum(len(ids) for ids in item) for item in items], dtype=np.float64)
    made: Floats = predictor.bits(items).sum(axis=1) / np.maximum(counts, 1)
    return made


# ----------------------------------------------------------------------------- pairs of a suite
def listed(rows: Sequence[Mapping[str, Any]]) -> list[tuple[str, str, str]]:
    """(pair, utterance of the good one, of the bad one), sorted by pair.

    rows: of a manifest, with `utterance`, `pair` (a name, empty for utterances in no pair) and
    `good` (true or false; 1, 0, yes and no do as well). Raises UserError unless each pair has one
    good and one bad utterance.
    """
    found: dict[str, dict[bool, list[str]]] = {}
    for row in rows:
        pair = row.get("pair")
        if pair is None or pair != pair or str(pair) == "":
            continue
        sides = found.setdefault(str(pair), {True: [], False: []})
        sides[_truth(row.get("good"), str(row["utterance"]))].append(str(row["utterance"]))
    for pair, sides in found.items():
        if (len(sides[True]), len(sides[False])) != (1, 1):
            raise UserError(
                f"pair '{pair}' has {len(sides[True])} good and {len(sides[False])} bad "
                "utterances; give one of each"
            )
    return [(p, found[p][True][0], found[p][False][0]) for p in sorted(found)]


def _truth(value: Any, utterance: str) -> bool:
    told = str(value).strip().lower()
    if told in {"true", "1", "1.0", "yes"}:
        return True
    if told in {"false", "0", "0.0", "no"}:
        return False
    raise UserError(f"utterance {utterance}: good is '{value}'; write true or false")


def _rng(clip: Clip, seed: int, kind: str) -> np.random.Generator:
    """Random numbers that depend on the clip and not on those beside it."""
    return np.random.default_rng([seed, zlib.crc32(f"{kind}:{clip.id}".encode())])


def _joined(parts: Sequence[tuple[Ids, ...]]) -> Item:
    return [np.concatenate(stream) for stream in zip(*parts, strict=True)]
