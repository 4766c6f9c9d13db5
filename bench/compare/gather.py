"""One metric of several runs on the utterances that all of them scored."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import reduce

import numpy as np

from bench.compare.differences import Estimates, Floats, Ids, of_sums
from bench.compare.inputs import Run
from bench.compare.table import Key, Names, Part, plain
from bench.compare.verification import SortedTrials, of_trials
from bench.contracts import MetricRow

REFERENCE_TOLERANCE = 1e-4  # relative; judges on one machine repeat far closer


@dataclass(frozen=True)
class Gathered:
    """runs: number of each run that has scores. total: utterances (or trials) that any of them
    scored; those of `estimates.n` all scored. missing: label → utterances that others scored.
    reference: the figure of the original recordings, unscaled, None where there is none.
    note: what a reader must know, or None."""

    key: Key
    row: MetricRow
    runs: tuple[int, ...]
    estimates: Estimates
    total: int
    missing: dict[str, list[str]]
    reference: float | None
    note: str | None


def gather(key: Key, row: MetricRow, runs: Sequence[Run], names: Names, seed: int) -> Gathered:
    """The runs that have scores of `key`, paired; at least one of them must."""
    having = [(number, run) for number, run in enumerate(runs) if key in run.scores]
    parts = [run.scores[key] for _, run in having]
    common = every = parts[0].units
    if not all(np.array_equal(part.units, every) for part in parts):
        common = reduce(np.intersect1d, [part.units for part in parts])
        every = reduce(np.union1d, [part.units for part in parts])
    missing = {}
    for _, run in having:
        if len(run.scores[key].units) < len(every):
            lost = np.setdiff1d(every, run.scores[key].units)
            # What a number stands for is told by any part that has it.
            missing[run.label] = _utterances(lost, parts, names)
    at = [np.searchsorted(part.units, common) for part in parts]
    sums = np.stack([part.sums[:, rows] for part, rows in zip(parts, at, strict=True)], axis=1)
    references = np.stack(
        [part.reference[:, rows] for part, rows in zip(parts, at, strict=True)], axis=1
    )
    first, rows = parts[0], at[0]
    if first.targets is not None:
        targets = first.targets[rows]
        estimates = of_trials(
            sums[0], targets, first.enrolled[rows], first.speakers[rows], seed=seed
        )
        original = references[0, 0]  # NaN where the originals were not scored
        whole = SortedTrials(original, targets).rate(np.ones(len(targets)))
        reference = _number(whole) if np.isfinite(original).all() else None
    else:
        speakers = [names.known[speaker] for speaker in first.speakers[rows].tolist()]
        estimates = of_sums(sums[0], sums[1], speakers)
        reference = _number(_ratio(references[:, 0]))
    return Gathered(
        key=key,
        row=row,
        runs=tuple(number for number, _ in having),
        estimates=estimates,
        total=len(every),
        missing=missing,
        reference=reference,
        note=_unlike_references(references),
    )


def _utterances(units: Ids, parts: Sequence[Part], names: Names) -> list[str]:
    """Names of the utterances of these units, each once, sorted."""
    found: set[int] = set()
    for part in parts:
        found.update(part.utterances[np.isin(part.units, units)].tolist())
    return sorted(plain(names.known[number]) for number in found)


def _ratio(sums: Floats) -> float:
    top, bottom = sums.sum(axis=1)
    return float(top / bottom) if bottom > 0 else float("nan")


def _number(value: float) -> float | None:
    return value if np.isfinite(value) else None


def _unlike_references(references: Floats) -> str | None:
    """A note where the originals, [2, R, U], were judged differently in two runs."""
    if references.shape[2] == 0 or not np.isfinite(references).all():
        return None
    size = np.abs(references).max()
    if np.ptp(references, axis=1).max() <= REFERENCE_TOLERANCE * size:
        return None
    return "the originals' own scores differ between the runs: were they made on other machines?"
