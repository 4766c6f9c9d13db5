"""Equal error rate of speaker verification: trials, the rate, and its interval.

A trial compares an enrolment (the original audio of one utterance) with a test (the original or
the resynthesis of another) by the cosine of their embeddings. The equal error rate (EER, 0 to 1,
lower is better) is the error at the threshold where the shares of rejected targets and of
accepted impostors are equal.
"""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from bench.contracts import Utterance

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Trial:
    """One comparison, of utterance ids; `target` where one person speaks in both."""

    enrol: str
    test: str
    target: bool


def _rank(*ids: str) -> bytes:
    return hashlib.sha256("\0".join(ids).encode()).digest()


def trials(utterances: Sequence[Utterance], same: int = 3, other: int = 6) -> list[Trial]:
    """Up to `same` targets and `other` impostors for each test utterance, in order of its id.

    They depend on the utterances only, not on their order. Targets are other utterances of the
    speaker in the same corpus (so that one label in two corpora is never taken for one person).
    Impostors have another speaker label; they take turns over speakers, first those of the same
    language and corpus, then of the same language, then the rest, ordered by a hash of the ids.
    """
    voices: dict[tuple[str, str, str], list[str]] = defaultdict(list)
    for item in sorted(utterances, key=lambda u: u.id):
        voices[item.corpus, item.language, item.speaker].append(item.id)
    found: list[Trial] = []
    for item in sorted(utterances, key=lambda u: u.id):
        own = [
            name
            for (corpus, _, speaker), names in voices.items()
            if (corpus, speaker) == (item.corpus, item.speaker)
            for name in names
            if name != item.id
        ]
        own.sort(key=lambda name: _rank(item.id, name))
        found += [Trial(name, item.id, True) for name in own[:same]]
        found += [Trial(name, item.id, False) for name in _impostors(item, voices, other)]
    return found


def _impostors(
    item: Utterance, voices: dict[tuple[str, str, str], list[str]], count: int
) -> list[str]:
    tiers: list[list[tuple[str, str, str]]] = [[], [], []]
    for voice in voices:
        corpus, language, speaker = voice
        if speaker != item.speaker:
            near = language == item.language
            tiers[0 if near and corpus == item.corpus else 1 if near else 2].append(voice)
    chosen: list[str] = []
    for tier in tiers:
        tier.sort(key=lambda voice: _rank(item.id, *voice))
        queues = [voices[voice] for voice in tier]
        turn = 0
        while len(chosen) < count and any(turn < len(queue) for queue in queues):
            for voice, queue in zip(tier, queues, strict=True):
                if turn < len(queue) and len(chosen) < count:
                    start = int.from_bytes(_rank(item.id, *voice, "start")[:8], "big")
                    chosen.append(queue[(start + turn) % len(queue)])
            turn += 1
    return chosen


def eer(
    scores: npt.ArrayLike, is_target: npt.ArrayLike, weights: npt.ArrayLike | None = None
) -> float:
    """Equal error rate in [0, 1] of scores [n] (higher: more alike) with labels [n].

    Misses and false alarms are computed at every distinct score (equal scores are accepted or
    rejected together), joined by straight lines, and the rate is read where the two cross:
    interpolated, not the convex hull. `weights` [n] counts a trial more than once. ValueError
    where there is no target or no impostor.
    """
    values = np.asarray(scores, dtype=np.float64)
    order = np.argsort(-values, kind="stable")
    counts = np.ones(len(values)) if weights is None else np.asarray(weights, dtype=np.float64)
    return _crossing(values[order], np.asarray(is_target, dtype=bool)[order], counts[order])


def _crossing(values: Floats, target: npt.NDArray[np.bool_], weights: Floats) -> float:
    """EER of trials sorted by falling score."""
    if not np.isfinite(values).all():
        raise ValueError("a score is not finite")
    hits = np.cumsum(np.where(target, weights, 0.0))
    alarms = np.cumsum(np.where(target, 0.0, weights))
    if len(values) == 0 or hits[-1] <= 0 or alarms[-1] <= 0:
        raise ValueError("an equal error rate needs targets and impostors")
    last = np.append(np.flatnonzero(np.diff(values)), len(values) - 1)
    miss = np.concatenate([[1.0], 1.0 - hits[last] / hits[-1]])
    alarm = np.concatenate([[0.0], alarms[last] / alarms[-1]])
    gap = alarm - miss  # rises from -1 to 1
    i = int(np.searchsorted(gap, 0.0))
    share = -gap[i - 1] / (gap[i] - gap[i - 1])
    return float(alarm[i - 1] + share * (alarm[i] - alarm[i - 1]))


@dataclass(frozen=True)
class EerInterval:
    """EER of the resynthesis, of the original, and resynthesis minus original, with 95 % limits.

    trials, speakers: how many of each there were. All rates in [0, 1].
    """

    value: float
    ci95: tuple[float, float]
    reference: float
    reference_ci95: tuple[float, float]
    difference: float
    difference_ci95: tuple[float, float]
    trials: int
    speakers: int


def eer_interval(
    original: npt.ArrayLike,
    resynthesis: npt.ArrayLike,
    is_target: npt.ArrayLike,
    enrol_speakers: Sequence[str],
    test_speakers: Sequence[str],
    seed: int = 0,
    resamples: int = 1000,
) -> EerInterval:
    """Paired speaker bootstrap of the EER, from the scores [n] of the same trials.

    Speakers are drawn with replacement, the same draw for original and resynthesis. A target
    trial counts as often as its speaker was drawn, an impostor trial as the product of its two
    speakers' counts. Limits are the 2.5 % and 97.5 % quantiles over the draws that hold targets
    and impostors. ValueError with fewer than two speakers, or no such draw.
    """
    target = np.asarray(is_target, dtype=bool)
    names, index = np.unique([*enrol_speakers, *test_speakers], return_inverse=True)
    enrol, test = index[: len(target)], index[len(target) :]
    if len(names) < 2 or not len(enrol) == len(test) == len(target):
        raise ValueError("the interval needs two speakers or more, and one pair a trial")
    sides = []
    for scores in (original, resynthesis):
        values = np.asarray(scores, dtype=np.float64)
        order = np.argsort(-values, kind="stable")
        sides.append((values[order], target[order], order))
    rng = np.random.default_rng(seed)
    draws: list[tuple[float, float]] = []
    for _ in range(resamples):
        times = np.bincount(rng.integers(len(names), size=len(names)), minlength=len(names))
        weights = np.where(target, times[test], times[enrol] * times[test]).astype(np.float64)
        if weights[target].any() and weights[~target].any():
            before, after = (_crossing(v, t, weights[order]) for v, t, order in sides)
            draws.append((before, after))
    if not draws:
        raise ValueError("no draw of speakers holds targets and impostors")
    table = np.array(draws)
    reference, value = eer(original, target), eer(resynthesis, target)

    def limits(column: Floats) -> tuple[float, float]:
        low, high = np.quantile(column, [0.025, 0.975])
        return float(low), float(high)

    return EerInterval(
        value=value,
        ci95=limits(table[:, 1]),
        reference=reference,
        reference_ci95=limits(table[:, 0]),
        difference=value - reference,
        difference_ci95=limits(table[:, 1] - table[:, 0]),
        trials=len(target),
        speakers=len(names),
    )
