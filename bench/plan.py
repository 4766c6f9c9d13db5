"""What a run will do: its plugins found, loaded and checked before any long work starts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from bench import registry, tracks
from bench.contracts import Judge, Metric, Tokenizer
from bench.errors import UserError, WeightsUnavailable
from bench.loading import load_tokenizer
from bench.options import NOT_IDENTITY, variant_name
from bench.registry import did_you_mean
from bench.tracks.contract import Track

RESYNTHESIS = "resynthesis"
TRACKS = (RESYNTHESIS, *tracks.MODULES)
TASK_ORDER = ("transcription", "quality", "speaker", "emotion", "signal")


@dataclass
class Plan:
    """judges: name → loaded judge. absent: judge → why it cannot be had, for the rows that need
    it. metrics: those chosen. rows: chosen row names, or None for all. token_tracks: the chosen
    tracks that are computed from tokens."""

    tokenizer: Tokenizer
    variant: str
    options: dict[str, Any]
    identity: dict[str, Any]
    tracks: tuple[str, ...]
    metrics: list[Metric] = field(default_factory=list)
    rows: set[str] | None = None
    judges: dict[str, Judge] = field(default_factory=dict)
    absent: dict[str, str] = field(default_factory=dict)
    token_tracks: tuple[Track, ...] = ()

    def chosen(self, row: str) -> bool:
        return self.rows is None or row in self.rows


def choose_tracks(names: Sequence[str]) -> tuple[str, ...]:
    """The tracks asked for, all of them by default."""
    for name in names:
        if name not in TRACKS:
            raise UserError(f"unknown track '{name}': {did_you_mean(name, list(TRACKS))}")
    return tuple(t for t in TRACKS if not names or t in names)


def loaded_tracks(names: Sequence[str]) -> tuple[Track, ...]:
    """Those of the tracks named that are computed from tokens."""
    return tuple(tracks.load(name) for name in names if name in tracks.MODULES)


def _order(task: str) -> int:
    """Tasks in the order in which a table shows them: words first, signals last."""
    return TASK_ORDER.index(task) if task in TASK_ORDER else len(TASK_ORDER)


def choose_metrics(names: Sequence[str]) -> tuple[list[Metric], set[str] | None]:
    """Metrics by plugin or row name; all by default. Rows: None means every row."""
    found = registry.plugins("metrics")
    loaded = {name: plugin.load() for name, plugin in found.items()}
    loaded = dict(sorted(loaded.items(), key=lambda m: (_order(m[1].info.task), m[0])))
    if not names:
        return list(loaded.values()), None
    by_row = {row.name: m for m in loaded.values() for row in m.info.rows}
    track_rows = {row.name for name in tracks.MODULES for row in tracks.load(name).rows}
    chosen: dict[str, Metric] = {}
    rows: set[str] = set()
    for name in names:
        if name in loaded:
            chosen[name] = loaded[name]
            rows |= {row.name for row in loaded[name].info.rows}
        elif name in by_row:
            chosen[by_row[name].info.name] = by_row[name]
            rows.add(name)
        elif name in track_rows:
            rows.add(name)
        else:
            known = sorted({*loaded, *by_row, *track_rows})
            raise UserError(f"unknown metric '{name}': {did_you_mean(name, known)}")
    return list(chosen.values()), rows


def load_judge(plan: Plan, name: str, device: str) -> None:
    """Put judge `name` into the plan, or the reason why it is absent."""
    try:
        plan.judges[name] = registry.plugin("judges", name).load(device=device, threads=1)
    except WeightsUnavailable:  # the command names folders of this machine: not for the result
        plan.absent[name] = f"no weights of judge '{name}'; `bench doctor` tells how to get them"
    except ImportError as lack:
        plan.absent[name] = f"judge '{name}' cannot be loaded: {lack}; run `bench doctor`"


def make_plan(
    name: str,
    settings: Mapping[str, str],
    *,
    device: str,
    tracks: Sequence[str] = (),
    metrics: Sequence[str] = (),
) -> Plan:
    """Find, check and load everything; UserError for whatever a person can mend."""
    chosen_tracks = choose_tracks(tracks)
    chosen_metrics, rows = choose_metrics(metrics)
    if RESYNTHESIS not in chosen_tracks:
        chosen_metrics = []
    loaded = load_tokenizer(name, settings, device)
    options = loaded.options
    identity = {
        "tokenizer": name,
        "options": {k: v for k, v in options.items() if k not in NOT_IDENTITY},
        "rate": loaded.info.sample_rate,
        "device": device,
        "code": loaded.code,
    }
    plan = Plan(
        loaded.tokenizer,
        variant_name(name, options),
        options,
        identity,
        chosen_tracks,
        chosen_metrics,
        rows,
        token_tracks=loaded_tracks(chosen_tracks),
    )
    for judge in sorted({j for metric in plan.metrics for j in metric.info.judges}):
        load_judge(plan, judge, device)
    return plan
