"""The figures of a report that are made of results and of tokens."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from bench.contracts import Samples
from bench.report.figures import FAINT, INK, SERIES, Plot, make_figure
from bench.report.runs import Run
from bench.results import Row
from bench.show import figure as number
from bench.show import span

MARKERS = "osD^vP"
MOST_GROUPS = 40  # of a breakdown in one figure
BANDS, WINDOW, HOP = 80, 512, 128  # of a spectrogram, 16 kHz


def told(row: Row) -> str:
    """`3.5 % (1.2 … 5.8)`."""
    interval = f" ({span(row.ci95, row.unit)})" if row.ci95 else ""
    return f"{with_unit(row.value, row.unit)}{interval}"


def with_unit(value: float | None, unit: str) -> str:
    """`3.5 %`."""
    return f"{number(value, unit)} {unit}".strip()


def axis_name(metric: str, row: Row) -> str:
    return f"{metric}{', ' + row.unit if row.unit else ''}"


def plain_log(axis: Any) -> None:
    """Marks of a logarithmic axis as plain figures, so many as it has room for: 100, 1k, 10k."""
    from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

    low, high = axis.get_view_interval()
    subs = (1.0, 2.0, 5.0) if high < 100 * low else (1.0, 3.0) if high < 1e4 * low else (1.0,)
    axis.set_major_locator(LogLocator(base=10, subs=subs, numticks=12))
    axis.set_major_formatter(FuncFormatter(lambda value, _: _thousands(value)))
    axis.set_minor_formatter(NullFormatter())


def _thousands(value: float) -> str:
    return f"{value / 1000:g}k" if value >= 1000 else f"{value:g}"


def against_bitrate(metric: str, runs: Sequence[Run]) -> Plot | None:
    """Each run that has both rows at its bitrate; the original's value as a line."""
    points: list[tuple[Run, float, Row]] = []
    for run in runs:
        found, spent = run.row(metric), run.row("bitrate")
        if found and spent and spent.value:
            points.append((run, spent.value, found))
    if not points or points[0][0] is not runs[0]:
        return None
    own = points[0][2]
    drawn = make_figure(3.8)
    axes = drawn.subplots()
    if own.reference is not None:
        axes.axhline(own.reference, color=INK, linestyle=(0, (4, 3)), linewidth=1, label="original")
    for n, (run, rate, row) in enumerate(points):
        value = float(row.value or 0.0)
        low, high = row.ci95 or (value, value)
        axes.errorbar(
            [rate], [value], yerr=[[max(0.0, value - low)], [max(0.0, high - value)]],
            fmt=MARKERS[n % len(MARKERS)], color=SERIES[n % len(SERIES)], markersize=7, capsize=4,
            label=run.label,
        )  # fmt: skip
    rates = [rate for _, rate, _ in points]
    axes.set_xscale("log")
    axes.set_xlim(min(rates) / 2, max(rates) * 2)
    plain_log(axes.xaxis)
    axes.set_xlabel("bitrate, bit/s")
    axes.set_ylabel(axis_name(metric, own))
    if not own.higher_is_better:
        axes.set_ylim(bottom=0)
    axes.legend(loc="best", fontsize=9)
    figures = [
        f"{run.label} at {number(rate, 'bit/s')} bit/s: {told(r)}" for run, rate, r in points
    ]
    base = ""
    if own.reference is not None:
        base = f"; original {with_unit(own.reference, own.unit)}"
    better = "higher" if own.higher_is_better else "lower"
    return Plot(
        f"{metric}_against_bitrate",
        f"{metric} against bitrate",
        f"{metric} against bitrate, {better} is better. {'; '.join(figures)}{base}.",
        f"Left and {better} is better. Bars: 95 % intervals. Dashed: the same metric on the "
        "original recordings.",
        drawn,
    )


def codebook_use(run: Run) -> Plot | None:
    """Share of each vocabulary that was used, and its normalised entropy (order 0, plain)."""
    streams = run.result.tokenizer.streams
    if not run.has("tokens") or not streams:
        return None
    used, even, counts = [], [], []
    for stream in streams:
        ids = run.ids(stream.name)
        _, seen = np.unique(ids, return_counts=True)
        share = seen / max(1, len(ids))
        bits = float(-(share * np.log2(share)).sum())
        used.append(100 * len(seen) / stream.vocabulary)
        even.append(100 * bits / math.log2(stream.vocabulary) if stream.vocabulary > 1 else 0.0)
        counts.append(len(ids))
    names = [stream.name for stream in streams]
    drawn = make_figure(3.4)
    axes = drawn.subplots()
    at = np.arange(len(names))
    axes.bar(at - 0.2, used, 0.4, color=SERIES[0], label="ids used, % of the vocabulary")
    axes.bar(at + 0.2, even, 0.4, color=SERIES[1], label="entropy, % of log2 V")
    labels = [_short(name, 12) for name in names]
    step = math.ceil(len(names) * max(3, *map(len, labels)) / 40)  # signs that fit side by side
    axes.set_xticks(at[::step], labels[::step])
    axes.set_ylim(0, 108)
    axes.set_ylabel("%")
    axes.grid(axis="x", visible=False)
    drawn.legend(loc="outside upper center", ncols=2, fontsize=9)
    return Plot(
        "codebook_use",
        "Codebook use",
        f"Use of {len(names)} {'codebook' if len(names) == 1 else 'codebooks'}: "
        f"{_range(used, names)} of the ids are used; the entropy is {_range(even, names)} of the "
        "most that the vocabulary could carry.",
        f"Over {max(counts):,} ids a stream at most. The share of ids used grows with the amount "
        "of speech; entropy is of order 0, without correction for small samples.",
        drawn,
    )


def _range(values: Sequence[float], names: Sequence[str]) -> str:
    low, high = int(np.argmin(values)), int(np.argmax(values))
    if len(values) == 1:
        return f"{values[0]:.1f} %"
    return f"{values[low]:.1f} % ({names[low]}) to {values[high]:.1f} % ({names[high]})"


def breakdown(by: str, metric: str, parts: Mapping[str, Row]) -> Plot | None:
    """A metric in each language, or of each speaker, with its interval and the original's value."""
    found = sorted(parts.items(), key=lambda part: part[1].value or 0.0)
    if len(found) < 2:
        return None
    if found[0][1].higher_is_better:  # the worst stand first, at the top
        found.reverse()
    found = found[::-1][:MOST_GROUPS]
    drawn = make_figure(1.0 + 0.26 * len(found))
    axes = drawn.subplots()
    for at, (_, row) in enumerate(found):
        value = float(row.value or 0.0)
        if row.ci95:
            axes.plot(row.ci95, (at, at), color=SERIES[0], linewidth=2)
        axes.plot(value, at, "o", color=SERIES[0], markersize=6, label="" if at else "resynthesis")
        if row.reference is not None:
            axes.plot(row.reference, at, "|", color=INK, markersize=12, markeredgewidth=2,
                      label="" if at else "original")  # fmt: skip
    axes.set_yticks(range(len(found)), [f"{_short(g, 28)}  (n {r.n})" for g, r in found])
    axes.set_ylim(len(found) - 0.4, -0.6)
    axes.grid(axis="y", visible=False)
    axes.set_xlabel(axis_name(metric, found[0][1]))
    drawn.legend(loc="outside upper center", ncols=2, fontsize=9)
    worst, best = found[0], found[-1]
    cut = "" if len(found) == len(parts) else f" The {len(found)} worst of {len(parts)}."
    return Plot(
        f"{metric}_by_{by}",
        f"{metric} by {by}",
        f"{metric} by {by}: worst {worst[0]}, {told(worst[1])}; best of those shown {best[0]}, "
        f"{told(best[1])}.",
        f"Worst first.{cut} Lines: 95 % intervals; upright strokes: the original recordings. An "
        "interval of few utterances says little.",
        drawn,
    )


def _short(text: str, width: int) -> str:
    return text if len(text) <= width else text[: width - 1] + "…"


def spectrograms(name: str, utterance: str, sounds: Mapping[str, Samples]) -> Plot:
    """Log-mel spectrograms of recordings (label → float32 [L], 16 kHz) on one scale."""
    import librosa

    levels = {}
    for label, samples in sounds.items():
        power = librosa.feature.melspectrogram(
            y=np.asarray(samples, dtype=np.float32), sr=16_000, n_fft=WINDOW, hop_length=HOP,
            n_mels=BANDS,
        )  # fmt: skip
        levels[label] = librosa.power_to_db(power, ref=1.0, amin=1e-8)
    top = max(float(level.max()) for level in levels.values())
    drawn = make_figure(1.35 * len(levels) + 0.4)
    rows = drawn.subplots(len(levels), 1, sharex=True, squeeze=False)[:, 0]
    for axes, (label, level) in zip(rows, levels.items(), strict=True):
        axes.imshow(level, origin="lower", aspect="auto", cmap="magma", vmin=top - 70, vmax=top,
                    extent=(0, level.shape[1] * HOP / 16_000, 0, BANDS))  # fmt: skip
        axes.set_title(_short(label, 60), fontsize=10, loc="left")
        axes.set_yticks([])
        axes.set_ylabel("mel")
        axes.grid(visible=False)
        axes.spines[:].set_color(FAINT)
    rows[-1].set_xlabel("seconds")
    names = list(levels)
    lost = ""
    if len(names) > 1:
        frames = min(level.shape[1] for level in levels.values())
        first, second = (np.maximum(levels[n][:, :frames], top - 70) for n in names[:2])
        apart = float(np.abs(first - second).mean())
        lost = f" {names[1]} differs from {names[0]} by {apart:.1f} dB on average."
    return Plot(
        name,
        f"Spectrograms of {utterance}",
        f"Spectrograms of {utterance}: {', '.join(names)}.{lost}",
        f"{BANDS} mel bands to 8 kHz, one scale of 70 dB for all.",
        drawn,
    )
