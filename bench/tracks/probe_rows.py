"""The rows of the track `probe`, with all controls in each, and its details."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np

from bench.contracts import MetricRow
from bench.probing import arms
from bench.probing.contract import Capacity, Probe, Values
from bench.probing.figures import Estimate, Scored, collapsed, estimate, finite, table
from bench.probing.mdl import Code, code
from bench.probing.measure import Arm, Found
from bench.results import Failure, Row
from bench.show import figure
from bench.tracks.contract import TokenContext, TrackResult
from bench.tracks.probe_work import Work
from bench.tracks.rows import absent

CAPACITIES: tuple[Capacity, ...] = ("linear", "network")
NAMES = {
    "mel": "log-mel",
    "features": "before quantization",
    arms.SHUFFLED: "shuffled in time",
    arms.RANDOM: "random labels",
    arms.CODES: "from code vectors",
}
NESTED = f"{arms.BOOKS}:"


def named(row: MetricRow, capacity: str) -> MetricRow:
    """A probe's row at one capacity; its reference is the same head on log-mel features."""
    how = "linear head" if capacity == "linear" else "small network"
    return replace(row, name=f"{row.name}_{capacity}", description=f"{row.description}; {how}")


def compression_row(probe: Probe) -> MetricRow:
    """How many times shorter the linear probe's online code is than a uniform one."""
    return MetricRow(
        f"{probe.task}_compression", "×", True, "Voita and Titov 2020",
        "uniform code over online code of the linear probe", bounds=(0.0, float("inf")),
    )  # fmt: skip


def unusable(context: TokenContext, probe: Probe, reason: str, result: TrackResult) -> None:
    """The rows of a probe that the suite has nothing for: empty, and why."""
    rows = [named(row, size) for size in CAPACITIES for row in probe.rows]
    for row in (*rows, compression_row(probe)):
        if context.wanted(row.name):
            result.rows[row.name] = absent(row, reason)


@dataclass(frozen=True)
class Told:
    """What one probe found, as rows and details."""

    context: TokenContext
    work: Work
    found: dict[tuple[Capacity, str], Found]

    def into(self, result: TrackResult) -> None:
        """Add rows, details and failures to the result."""
        details: dict[str, Any] = {}
        for size in CAPACITIES:
            if (size, "tokens") in self.found:
                details[size] = self._capacity(size, result)
        result.details[self.work.probe.task] = details | self._suite()
        test = set(self.work.test.tolist())
        for i, reason in sorted(self.work.setting.labels[0].left_out.items()):
            if i in test or i in set(self.work.train.tolist()):
                result.failures.append(Failure(
                    track="probe", utterance=self.work.items[i].utterance.id,
                    stage=f"probe:{self.work.probe.task}", reason=reason,
                ))  # fmt: skip

    def _suite(self) -> dict[str, Any]:
        folds = self.work.setting.folds
        return {
            "classes": list(self.work.setting.labels[0].classes),
            "folds": len(folds),
            "utterances": [[len(f.train), len(f.validation), len(f.test)] for f in folds],
        }

    # -------------------------------------------------------------------------------- one capacity
    def _capacity(self, size: Capacity, result: TrackResult) -> dict[str, Any]:
        probe, tokens = self.work.probe, self.found[size, "tokens"]
        groups = {
            name: arm for name, arm in tokens.arms.items() if not name.startswith(arms.PREFIX)
        }
        for source in ("mel", "features"):
            if (size, source) in self.found:
                groups[source] = self.found[size, source].arms[arms.TOKENS]
        main = tokens.arms[arms.TOKENS]
        details: dict[str, Any] = {
            "parameters": tokens.parameters,
            "in_embeddings": tokens.embeddings,
            "learning_rates": {name: arm.rates for name, arm in groups.items()},
            "steps": {name: arm.steps for name, arm in groups.items()},
            "stream_weights": np.mean(main.shares, axis=0).round(4).tolist(),
            "rows": {},
        }
        for row in probe.rows:
            told = self._row(named(row, size), row, groups)
            if told is not None:
                details["rows"][row.name] = told[1]
                if self.context.wanted(told[0]):
                    result.rows[told[0]] = told[2]
        if size == "linear":
            details |= self._code(tokens, result)
        return details

    @cached_property
    def _constant(self) -> list[Values]:
        """What a constant answer gives, over all folds."""
        s = self.work.setting
        parts = [s.probe.trivial(s.labels[0], fold.train, fold.test) for fold in s.folds]
        there = [p for p in parts if p is not None]
        if not there:
            return []
        return [{name: np.concatenate([p[name] for p in there]) for name in there[0]}]

    def _row(
        self, shown: MetricRow, row: MetricRow, groups: dict[str, Arm]
    ) -> tuple[str, dict[str, Any], Row] | None:
        """Name, details and the row itself."""
        probe, items = self.work.probe, self.work.items
        main = groups[arms.TOKENS]
        scored = Scored.of(probe, row.name, main.values[0], items)
        if not len(scored.items):
            return shown.name, {}, absent(shown, "no test utterance can be scored")
        made = {n: table(probe, row.name, arm.values, scored) for n, arm in groups.items()}
        found = {name: estimate(values, row) for name, values in made.items()}
        own = found[arms.TOKENS]
        if not np.isfinite(own.value):
            return shown.name, {}, absent(shown, "no test utterance can be scored")
        less = {name: estimate(made[arms.TOKENS] - values) for name, values in made.items()
                if name != arms.TOKENS}  # fmt: skip
        constant = self._trivial(row, scored)
        lost = collapsed(own.seeds, row, main.validation)
        details = {
            "seeds": [finite(row.scale * x) for x in own.seeds],
            "collapsed_seeds": lost,
            "majority": None if constant is None else finite(row.scale * constant),
            "arms": {name: e.told(row.scale) for name, e in found.items()},
            "tokens_minus": {name: e.told(row.scale) for name, e in less.items()},
        }
        note = self._note(row, found, constant, lost)
        floor, gain = found.get("mel"), less.get("mel")
        left_out = sum(i in self.work.setting.labels[0].left_out for i in self.work.test.tolist())
        return shown.name, details, Row(
            value=row.scale * own.value,
            ci95=_scaled(own, row.scale),
            n=len(scored.items),
            unit=row.unit,
            higher_is_better=row.higher_is_better,
            reference=None if floor is None else finite(row.scale * floor.value, 12),
            difference=None if gain is None else finite(row.scale * gain.value, 12),
            difference_ci95=None if gain is None else _scaled(gain, row.scale),
            clusters=scored.groups.unit,
            n_clusters=scored.groups.clusters,
            failures=left_out,
            note=note,
        )  # fmt: skip

    def _trivial(self, row: MetricRow, scored: Scored) -> float | None:
        """The figure of the best constant answer, where it has one."""
        if not self._constant:
            return None
        keys = self.work.probe.uses.get(row.name, ("item",))
        if not all(key in self._constant[0] or key.startswith("items of") for key in keys):
            return None
        value = self.work.probe.figures(self._constant[0], scored.keeps()[0])[row.name]
        return float(value) if np.isfinite(value) else None

    def _note(
        self,
        row: MetricRow,
        found: dict[str, Estimate],
        constant: float | None,
        lost: Sequence[int],
    ) -> str:
        """All controls in one sentence."""
        labels = self.work.setting.labels[0]
        told = [] if constant is None else [f"majority {figure(row.scale * constant, row.unit)}"]
        told += [
            f"{NAMES[name]} {figure(row.scale * e.value, row.unit)}"
            for name, e in found.items()
            if name in NAMES
        ]
        if "features" not in found:
            told.append("nothing before quantization")
        made = f"{len(self.work.setting.seeds)} seeds; " + ", ".join(told)
        nested = [(name, e) for name, e in found.items() if name.startswith(NESTED)]
        if nested:
            made += "; codebooks " + ", ".join(
                f"{'1' if name.endswith(':1') else '1–' + name.removeprefix(NESTED)} "
                f"{figure(row.scale * e.value, row.unit)}"
                for name, e in nested
            )
        if lost:
            made += f"; {len(lost)} of the seeds collapsed: {', '.join(map(str, lost))}"
        return "; ".join([made, *labels.notes])

    # -------------------------------------------------------------------------------- online code
    def _code(self, tokens: Found, result: TrackResult) -> dict[str, Any]:
        s = self.work.setting
        row = compression_row(self.work.probe)
        train = arms.usable(s.folds[0], s.labels[0]).train
        per = s.probe.symbols(s.labels[0])
        found = code(tokens, s.labels[0], train, list(s.seeds), per) if per > 0 else None
        if self.context.wanted(row.name):
            result.rows[row.name] = self._compression(row, found, len(train))
        if found is None:
            return {}
        values = tokens.arms[arms.TOKENS].values
        curve: dict[str, Any] = {}
        for figures in s.probe.rows:
            scored = Scored.of(s.probe, figures.name, values[0], s.items)
            if not len(scored.items):
                continue
            names = [f"{arms.PREFIX}:{n}" for n in range(len(arms.PREFIXES))]
            made = [estimate(table(s.probe, figures.name, tokens.arms[name].values, scored))
                    for name in (*names, arms.TOKENS)]  # fmt: skip
            curve[figures.name] = [e.told(figures.scale) for e in made]
        return {
            "online_code": {
                "bits": [finite(b, 3) for b in found.bits],
                "uniform_bits": finite(found.uniform, 3),
            },
            "learning_curve": {"shares": [*arms.PREFIXES, 1.0], **curve},
        }

    def _compression(self, row: MetricRow, found: Code | None, count: int) -> Row:
        if found is None:
            return absent(row, "the probe has no uniform code to compare with")
        made = np.array(found.compression)[:, None]
        half = None
        if len(made) > 1:
            from scipy.stats import t as student

            half = float(student.ppf(0.975, len(made) - 1) * made.std(ddof=1) / len(made) ** 0.5)
        value = float(made.mean())
        bits = (
            f"{np.mean(found.bits):.0f} bits for what takes {found.uniform:.0f} by a uniform code"
        )
        return Row(
            value=value,
            ci95=None if half is None else (max(value - half, 0.0), value + half),
            n=count,
            unit=row.unit,
            higher_is_better=row.higher_is_better,
            reference=None,
            difference=None,
            difference_ci95=None,
            clusters="seed",
            n_clusters=len(made),
            failures=0,
            note=f"{bits}; of the training data, the interval over seeds alone",
        )


def _scaled(e: Estimate, scale: float) -> tuple[float, float] | None:
    return None if e.ci95 is None else (scale * e.ci95[0], scale * e.ci95[1])
