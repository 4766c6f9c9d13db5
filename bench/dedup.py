"""Runs of equal units: units without repetitions, how often each stood, and both put back."""

from __future__ import annotations

import numpy as np

from bench.contracts import Ids
from bench.errors import ItemFailure

DURATIONS = 32
"""Vocabulary of the stream of durations."""


def deduplicated(units: Ids) -> tuple[Ids, Ids]:
    """int64 [T] → units without repetitions [N] and the length of each run [N], 1 or more."""
    if not len(units):
        return units, np.zeros(0, dtype=np.int64)
    starts = np.flatnonzero(np.concatenate([[True], units[1:] != units[:-1]]))
    return units[starts], np.diff(np.append(starts, len(units)))


def repeated(units: Ids, runs: Ids) -> Ids:
    """Inverse of `deduplicated`."""
    return np.repeat(units, runs)


def duration_ids(runs: Ids, vocabulary: int = DURATIONS) -> Ids:
    """Lengths of runs as ids below `vocabulary`, nearly always one each.

    The last id stands for `vocabulary` - 1 frames and more to come; any other, i, for i + 1
    frames and the end of the run. So each sequence of lengths has one sequence of ids.
    """
    full, rest = np.divmod(runs - 1, vocabulary - 1)
    ids = np.full(int(full.sum()) + len(runs), vocabulary - 1, dtype=np.int64)
    ids[np.cumsum(full + 1) - 1] = rest
    return ids


def durations_of(ids: Ids, vocabulary: int = DURATIONS) -> Ids:
    """Inverse of `duration_ids`; ItemFailure where the last run has no end."""
    ends = np.flatnonzero(ids < vocabulary - 1)
    if len(ids) and (not len(ends) or ends[-1] != len(ids) - 1):
        raise ItemFailure(f"the durations break off within a run of {vocabulary - 1} or more")
    full = np.diff(ends, prepend=-1) - 1
    runs: Ids = full * (vocabulary - 1) + ids[ends] + 1
    return runs
