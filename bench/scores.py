"""`scores.parquet`: one row per utterance and metric, as sums; every aggregate comes from it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa

from bench.contracts import MetricRow, Utterance
from bench.results import Row
from bench.stats import interval, paired_interval

SCHEMA = pa.schema(
    [
        ("track", pa.string()),
        ("metric", pa.string()),
        ("utterance", pa.string()),
        ("enrolment", pa.string()),  # verification trials: whom the utterance is compared with
        ("enrolment_speaker", pa.string()),
        ("target", pa.bool_()),  # ... and whether both are one speaker
        ("corpus", pa.string()),
        ("language", pa.string()),
        ("speaker", pa.string()),
        ("numerator", pa.float64()),
        ("denominator", pa.float64()),
        ("reference_numerator", pa.float64()),  # the same on the original audio; null where none
        ("reference_denominator", pa.float64()),
    ]
)


@dataclass(frozen=True)
class Spec:
    """A row of the table before it has a value: the metric's row, its task's size, its failures."""

    track: str
    row: MetricRow
    expected: int
    note: str | None = None


def record(track: str, metric: str, utterance: Utterance, **values: Any) -> dict[str, Any]:
    """One row of the table, with whatever of `SCHEMA` is given in `values`."""
    return {
        "track": track,
        "metric": metric,
        "utterance": utterance.id,
        "corpus": utterance.corpus,
        "language": utterance.language,
        "speaker": utterance.speaker,
        **values,
    }


def table(records: Iterable[Mapping[str, Any]]) -> pa.Table:
    """Rows in one fixed order, so that equal scores give equal files."""
    rows = sorted(
        ({name: record.get(name) for name in SCHEMA.names} for record in records),
        key=lambda r: (r["track"], r["metric"], r["utterance"], r["enrolment"] or ""),
    )
    return pa.Table.from_pylist(rows, schema=SCHEMA)


def aggregate(scores: pd.DataFrame, specs: Iterable[Spec], seed: int) -> dict[str, dict[str, Row]]:
    """Track → metric → Row, from the sums alone. Deterministic for a seed."""
    groups = dict(iter(scores.groupby(["track", "metric"], sort=False)))
    tracks: dict[str, dict[str, Row]] = {}
    for spec in specs:
        part = groups.get((spec.track, spec.row.name))
        if spec.row.shown:
            made = _empty(spec) if part is None or part.empty else _row(part, spec, seed)
            tracks.setdefault(spec.track, {})[spec.row.name] = made
    return tracks


def _empty(spec: Spec) -> Row:
    note = spec.note or (
        "no utterance of the suite has what this metric needs"
        if spec.expected == 0
        else "no utterance could be scored; see failures"
    )
    return Row(
        value=None,
        ci95=None,
        n=0,
        unit=spec.row.unit,
        higher_is_better=spec.row.higher_is_better,
        reference=None,
        difference=None,
        difference_ci95=None,
        clusters="utterance",
        n_clusters=0,
        failures=spec.expected,
        note=note,
    )


def _row(part: pd.DataFrame, spec: Spec, seed: int) -> Row:
    if part["target"].notna().any():
        return _verification(part, spec, seed)
    speakers = part["speaker"].tolist()
    top, bottom = _floats(part, "numerator"), _floats(part, "denominator")
    own = interval(top, bottom, speakers)
    reference = difference = difference_ci = None
    if part["reference_numerator"].notna().all():
        base = (_floats(part, "reference_numerator"), _floats(part, "reference_denominator"))
        paired = paired_interval(base, (top, bottom), speakers)
        reference = _number(base[0].sum() / base[1].sum() * spec.row.scale)
        difference = _number(paired.value * spec.row.scale)
        difference_ci = _bounds(paired.low, paired.high, spec.row.scale)
    low, high = spec.row.bounds
    return Row(
        value=_number(own.value * spec.row.scale),
        ci95=_bounds(max(own.low, low), min(own.high, high), spec.row.scale),
        n=len(part),
        unit=spec.row.unit,
        higher_is_better=spec.row.higher_is_better,
        reference=reference,
        difference=difference,
        difference_ci95=difference_ci,
        clusters=own.unit,
        n_clusters=own.clusters,
        failures=max(0, spec.expected - len(part)),
        note=spec.note,
    )


def _verification(part: pd.DataFrame, spec: Spec, seed: int) -> Row:
    """Equal error rate of trials: no sums divide into it, so its interval is a bootstrap."""
    from bench.eer import eer_interval

    try:
        made = eer_interval(
            _floats(part, "reference_numerator"),
            _floats(part, "numerator"),
            part["target"].to_numpy(dtype=bool),
            part["enrolment_speaker"].tolist(),
            part["speaker"].tolist(),
            seed=seed,
        )
    except ValueError as error:  # one speaker, or no impostors
        return _empty(Spec(spec.track, spec.row, spec.expected, str(error)))
    scale = spec.row.scale
    return Row(
        value=_number(made.value * scale),
        ci95=_bounds(*made.ci95, scale),
        n=len(part),
        unit=spec.row.unit,
        higher_is_better=spec.row.higher_is_better,
        reference=_number(made.reference * scale),
        difference=_number(made.difference * scale),
        difference_ci95=_bounds(*made.difference_ci95, scale),
        clusters="speaker",
        n_clusters=made.speakers,
        failures=max(0, spec.expected - len(part)),
        note=spec.note,
    )


def _floats(part: pd.DataFrame, column: str) -> np.ndarray[Any, np.dtype[np.float64]]:
    return part[column].to_numpy(dtype=np.float64)


def _number(value: float) -> float | None:
    return float(value) if np.isfinite(value) else None


def _bounds(low: float, high: float, scale: float) -> tuple[float, float] | None:
    if not (np.isfinite(low) and np.isfinite(high)):
        return None
    return (float(low * scale), float(high * scale))
