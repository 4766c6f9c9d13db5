"""Which figures lead, and which utterances are to be heard: the worst, and some drawn blindly."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Sequence
from dataclasses import dataclass

import pandas as pd

from bench.breakdown import rows_of_tracks
from bench.contracts import MetricRow
from bench.report.runs import Run

LEADS = (
    "wer",
    "distillmos",
    "utmos",
    "speaker_similarity",
    "emotion_accuracy",
    "pesq",
    "stoi",
    "f0_rmse",
)
"""Rows that stand for words, quality, voice, emotion and signal, in the order of a summary."""
RATES = ("bitrate", "token_rate")
DRAWN = 1 / 3  # of the utterances to be heard, drawn without regard to their scores


@dataclass(frozen=True)
class Score:
    """A metric of one utterance, in the unit shown; reference: on the original audio."""

    value: float
    reference: float | None


@dataclass(frozen=True)
class Choice:
    """An utterance to be heard. why: "worst" or "drawn"."""

    utterance: str
    why: str


def known_rows() -> dict[str, MetricRow]:
    """Name → row of every metric and track that is installed."""
    return {row.name: row for _, row in rows_of_tracks()}


def leads(run: Run) -> list[str]:
    """Rows with a value that stand for the run, at least one where it has any."""
    found = [name for name in LEADS if run.row(name)]
    if found:
        return found
    rest = [name for rows in run.result.tracks.values() for name in rows if name not in RATES]
    return [name for name in rest if run.row(name)][:1]


def by_utterance(run: Run, rows: dict[str, MetricRow]) -> dict[str, dict[str, Score]]:
    """Metric → utterance → score, for metrics that are sums of single utterances."""
    scores = run.scores
    scores = scores[scores["target"].isna() & (scores["denominator"] > 0)]
    found: dict[str, dict[str, Score]] = {}
    for metric, part in scores.groupby("metric", sort=True):
        if metric in rows and rows[str(metric)].shown:
            scale = rows[str(metric)].scale
            found[str(metric)] = {
                str(line.utterance): _score(line, scale) for line in part.itertuples()
            }
    return found


def _score(line: object, scale: float) -> Score:
    value = {
        name: float(getattr(line, name))
        for name in ("numerator", "denominator", "reference_numerator", "reference_denominator")
    }
    base = value["reference_denominator"]
    known = math.isfinite(base) and base > 0
    return Score(
        scale * value["numerator"] / value["denominator"],
        scale * value["reference_numerator"] / base if known else None,
    )


def ranking(names: Sequence[str], scores: dict[str, dict[str, Score]]) -> list[str]:
    """Rows by which utterances are ordered: the leading ones that single utterances have."""
    return [name for name in names if name in scores]


def choose(
    run: Run,
    count: int,
    order: Sequence[str],
    scores: dict[str, dict[str, Score]],
    rows: dict[str, MetricRow],
) -> list[Choice]:
    """At most `count` utterances, the worst first, then those drawn by the hash of their name.

    Worse: a larger loss against the original by the first row of `order`, then a worse value,
    then the same by the next row. Utterances that the first row does not score come last.
    """
    known = sorted({str(name) for name in run.scores["utterance"].unique()})
    ranked = sorted(known, key=lambda name: (*_badness(name, order, scores, rows), name))
    drawn = min(round(count * DRAWN), max(0, len(known) - 1)) if order else min(count, len(known))
    worst = ranked[: count - drawn] if order else []
    rest = [name for name in known if name not in set(worst)]
    rest.sort(key=lambda name: hashlib.sha256(name.encode()).hexdigest())
    return [Choice(n, "worst") for n in worst] + [Choice(n, "drawn") for n in rest[:drawn]]


def _badness(
    name: str,
    order: Sequence[str],
    scores: dict[str, dict[str, Score]],
    rows: dict[str, MetricRow],
) -> list[float]:
    """Smaller is worse."""
    key: list[float] = []
    for metric in order:
        score = scores[metric].get(name)
        if score is None:
            key += [math.inf, math.inf]
            continue
        sign = 1.0 if rows[metric].higher_is_better else -1.0
        loss = 0.0 if score.reference is None else score.value - score.reference
        key += [sign * loss, sign * score.value]
    return key


def breakable(run: Run, names: Sequence[str]) -> list[str]:
    """Those of `names` whose value is a ratio of sums of utterances, so that parts have one."""
    scores: pd.DataFrame = run.scores
    plain = set(scores.loc[scores["target"].isna(), "metric"])
    return [name for name in names if name in plain]
