"""`scores.parquet` as arrays that several runs share the numbering of."""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from bench.compare.differences import Floats, Ids
from bench.errors import UserError
from bench.scores import SCHEMA

Key = tuple[str, str]
"""Track and metric."""

_TEXT = ("track", "metric", "utterance", "enrolment", "enrolment_speaker", "speaker")
_NUMBERS = ("numerator", "denominator", "reference_numerator", "reference_denominator")
_STRIDE = 1 << 31  # more names than a table can hold
_COLUMNS = [*_TEXT, "target", *_NUMBERS]


def plain(text: object, most: int = 160) -> str:
    """Text of a file as it may be shown: control and direction characters as �, and not long."""
    shown = "".join(
        "�" if unicodedata.category(c) in ("Cc", "Cf", "Cs", "Zl", "Zp") else c for c in str(text)
    )
    return shown if len(shown) <= most else shown[: most - 1] + "…"


@dataclass
class Names:
    """Numbers for the utterances and speakers of all runs; −1 stands for none."""

    known: list[str] = field(default_factory=list)
    _number: dict[str, int] = field(default_factory=dict)

    def numbers(self, names: Sequence[str | None]) -> Ids:
        """The number [N] of each name, a new one for a new name."""
        found = np.empty(len(names), dtype=np.int64)
        for at, name in enumerate(names):
            if name is None:
                found[at] = -1
                continue
            number = self._number.get(name)
            if number is None:
                number = self._number[name] = len(self.known)
                self.known.append(name)
            found[at] = number
        return found


@dataclass(frozen=True)
class Part:
    """One run's scores of one metric, sorted by `units`, all arrays [N].

    units: utterance (for trials: utterance and enrolment) as one number. targets: bool for
    trials, else None. enrolled: speaker enrolled, −1 where there is no trial. reference: the same
    sums on the original, NaN where there are none.
    """

    units: Ids
    utterances: Ids
    speakers: Ids
    enrolled: Ids
    targets: npt.NDArray[np.bool_] | None
    sums: Floats
    reference: Floats


def read_scores(path: Path, names: Names) -> dict[Key, Part]:
    """(track, metric) → its scores. UserError for a foreign or damaged file, a score that is not
    finite, or an utterance scored twice."""
    table = _table(path)
    codes = {name: _codes(table[name], names) for name in _TEXT}
    numbers = {
        name: table[name].to_numpy(zero_copy_only=False).astype(np.float64) for name in _NUMBERS
    }
    target = table["target"].fill_null(False).to_numpy(zero_copy_only=False).astype(bool)
    is_trial = table["target"].is_valid().to_numpy(zero_copy_only=False)
    for name in ("track", "metric", "utterance", "speaker"):
        if (codes[name] < 0).any():
            raise UserError(f"{path}: a row has no {name}; run `bench eval` for it again")
    sums = np.stack([numbers["numerator"], numbers["denominator"]])
    wrong = ~np.isfinite(sums).all(axis=0) | (sums[1] < 0)
    if wrong.any():
        metric = names.known[codes["metric"][int(np.argmax(wrong))]]
        raise UserError(
            f"{path}: a score of '{plain(metric)}' is no number; run `bench eval` for it again"
        )
    reference = np.stack([numbers["reference_numerator"], numbers["reference_denominator"]])
    units = codes["utterance"] * _STRIDE + codes["enrolment"] + 1
    kinds = codes["track"] * len(names.known) + codes["metric"]
    order = np.lexsort((units, kinds))
    edges = np.flatnonzero(np.diff(kinds[order])) + 1
    parts: dict[Key, Part] = {}
    for rows in np.split(order, edges) if len(order) else []:
        key = (names.known[codes["track"][rows[0]]], names.known[codes["metric"][rows[0]]])
        if (np.diff(units[rows]) == 0).any():
            raise UserError(
                f"{path}: an utterance has two scores of '{plain(key[1])}'; run `bench eval` for "
                "it again"
            )
        if (
            is_trial[rows].any()
            and (~is_trial[rows] | (codes["enrolment_speaker"][rows] < 0)).any()
        ):
            raise UserError(
                f"{path}: not every trial of '{plain(key[1])}' says who speaks; run `bench eval` "
                "for it again"
            )
        parts[key] = Part(
            units=units[rows],
            utterances=codes["utterance"][rows],
            speakers=codes["speaker"][rows],
            enrolled=codes["enrolment_speaker"][rows],
            targets=target[rows] if is_trial[rows].any() else None,
            sums=sums[:, rows],
            reference=reference[:, rows],
        )
    return parts


def _table(path: Path) -> pa.Table:
    try:
        there = pq.read_schema(path).names
        lacking = [name for name in _COLUMNS if name not in there]
        if lacking:
            raise UserError(
                f"{path} is no table of scores (it lacks {', '.join(lacking)}); run `bench eval` "
                "for it again"
            )
        table = pq.read_table(path, columns=_COLUMNS, read_dictionary=list(_TEXT))
        schema = [
            pa.field(
                n, pa.dictionary(pa.int32(), pa.string()) if n in _TEXT else SCHEMA.field(n).type
            )
            for n in _COLUMNS
        ]
        return table.select(_COLUMNS).cast(pa.schema(schema)).unify_dictionaries().combine_chunks()
    except (OSError, pa.ArrowException) as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise UserError(
            f"{path} cannot be read ({plain(reason)}); run `bench eval` for it again"
        ) from error


def _codes(column: pa.ChunkedArray, names: Names) -> Ids:
    if not len(column):
        return np.zeros(0, dtype=np.int64)
    (chunk,) = column.chunks
    shared = np.append(names.numbers(chunk.dictionary.to_pylist()), -1)
    own = chunk.indices.fill_null(len(shared) - 1).to_numpy(zero_copy_only=False)
    return np.asarray(shared[own])
