"""Axes: what a tokenizer may be good at, and the metrics that tell of each."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass

from bench import registry, tracks
from bench.compare.table import Key
from bench.contracts import MetricRow
from bench.errors import UserError

RESYNTHESIS = "resynthesis"
BITRATE: Key = ("tokens", "bitrate")
TOKEN_RATE: Key = ("tokens", "token_rate")


@dataclass(frozen=True)
class Axis:
    """title: fits a column. meaning: one phrase. leads: metrics that may stand for the axis, the
    best first; the first that all results have is taken, else the one that most have."""

    name: str
    title: str
    meaning: str
    leads: tuple[str, ...] = ()


AXES = (
    Axis("words", "words", "the same words are heard", ("wer", "dwer", "cer")),
    Axis("voice", "voice", "the same person is heard", ("speaker_similarity", "speaker_eer")),
    Axis(
        "emotion",
        "emotion",
        "the same feeling, pitch, level and pace",
        ("emotion_agreement", "emotion_accuracy", "f0_correlation"),
    ),
    Axis("quality", "quality", "it sounds good", ("distillmos", "utmos", "dnsmos_ovrl")),
    Axis("signal", "signal", "the waveform and spectrum stay", ("pesq", "estoi", "stoi")),
    Axis(
        "content",
        "content",
        "what the ids themselves tell, and how still they hold",
        ("boundary_f1", "change_white_20db"),
    ),
    Axis("efficiency", "cost", "few bits and few tokens", ("bitrate", "token_rate")),
    Axis("learnability", "learn", "easy for a language model"),
    Axis("speed", "speed", "fast and soon"),
    Axis("other", "other", "metrics of third parties"),
)
NAMES = tuple(axis.name for axis in AXES)

_OF_METRIC = {
    "words": ("wer", "dwer", "cer"),
    "voice": ("speaker_similarity", "speaker_eer"),
    "emotion": (
        "emotion_agreement",
        "emotion_accuracy",
        "f0_rmse",
        "f0_correlation",
        "voicing_error",
        "energy_correlation",
        "rate_error",
        "word_durations",
    ),
    "quality": (
        "distillmos",
        "utmos",
        "dnsmos_ovrl",
        "dnsmos_sig",
        "dnsmos_bak",
        "dnsmos_p808",
    ),
    "signal": ("pesq", "stoi", "estoi", "mel_distance", "si_sdr"),
    "efficiency": (
        "bitrate",
        "token_rate",
        "frame_rate",
        "dedup_rate",
        "entropy_rate",
        "conditional_entropy_rate",
        "normalised_entropy",
        "perplexity",
        "perplexity_10k",
        "utilisation",
        "utilisation_10k",
        "zipf_exponent",
        "bpe_1k",
        "bpe_4k",
        "bpe_oov",
    ),
}
_AXIS = {metric: axis for axis, metrics in _OF_METRIC.items() for metric in metrics}
_OF_TRACK = {
    "tokens": "content",
    "probe": "content",
    "aligned": "content",
    "lm": "learnability",
    "speed": "speed",
}


def axis_of(key: Key) -> str:
    """The axis of a (track, metric); a metric in no list goes by its track."""
    track, metric = key
    if track in (RESYNTHESIS, "tokens") and metric in _AXIS:
        return _AXIS[metric]
    return _OF_TRACK.get(track, "other")


def lead_of(axis: Axis, present: dict[str, int], runs: int) -> str | None:
    """The metric that stands for an axis. present: metric → how many of the `runs` have it."""
    order = [name for name in axis.leads if name in present]
    order += [name for name in present if name not in order]
    if not order:
        return None
    whole = next((name for name in order if present[name] == runs), None)
    return whole or max(order, key=lambda name: present[name])


def known_rows(wanted: Collection[str]) -> Iterator[tuple[Key, MetricRow]]:
    """Every row that an installed metric or one of the `wanted` tracks shows, by (track, metric).

    A track that no result has is not imported: some bring torch with them.
    """
    for plugin in registry.plugins("metrics").values():
        for row in plugin.load().info.rows:
            if row.shown:
                yield (RESYNTHESIS, row.name), row
    for name in tracks.MODULES:
        for row in tracks.load(name).rows if name in wanted else ():
            yield (name, row.name), row


def choose(names: Sequence[str]) -> tuple[Axis, ...]:
    """The axes named, all of them by default; UserError for a name that is none."""
    for name in names:
        if name not in NAMES:
            raise UserError(f"unknown axis '{name}': {registry.did_you_mean(name, list(NAMES))}")
    return tuple(axis for axis in AXES if not names or axis.name in names)
