"""Profiles: which axes matter for a purpose. They order and mark; they never make one score."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path

import yaml

from bench.compare.axes import NAMES, Axis
from bench.errors import UserError
from bench.registry import did_you_mean


@dataclass(frozen=True)
class Profile:
    """weights: axis → weight above 0; an axis without one comes last, unweighed."""

    name: str
    meaning: str
    weights: dict[str, float]

    def ordered(self, axes: tuple[Axis, ...]) -> tuple[Axis, ...]:
        """Heaviest first; equal weights, and axes without one, in the usual order."""
        return tuple(sorted(axes, key=lambda axis: -self.weights.get(axis.name, 0.0)))


PROFILES = {
    profile.name: profile
    for profile in (
        Profile(
            "asr-llm",
            "a language model that listens: the words must be in the tokens, and the tokens cheap "
            "to model; voice and sound matter little",
            {"words": 5, "content": 4, "learnability": 3, "efficiency": 2, "speed": 1},
        ),
        Profile(
            "expressive-tts",
            "speech that a model speaks: voice and feeling must survive and sound good, then the "
            "words must be right",
            {"emotion": 5, "voice": 4, "quality": 3, "words": 2, "learnability": 1},
        ),
        Profile(
            "low-bitrate",
            "transmission or storage: few bits first, then words and voice, then quality",
            {"efficiency": 5, "words": 4, "voice": 3, "quality": 2, "speed": 1},
        ),
    )
}


def load_profile(name: str) -> Profile:
    """A built-in profile by name, or a YAML file that maps axes to weights.

    UserError for an unknown name, an unreadable file, an unknown axis, or a weight that is no
    number from 0 up.
    """
    if name in PROFILES:
        return PROFILES[name]
    path = Path(name)
    if not path.is_file():
        raise UserError(
            f"unknown profile '{name}': {did_you_mean(name, list(PROFILES))} or give a YAML file "
            "that maps axes to weights"
        )
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise UserError(f"{path} cannot be read: {error.strerror}") from error
    except (yaml.YAMLError, UnicodeDecodeError, RecursionError) as error:
        raise UserError(f"{path} is not valid YAML: {str(error).splitlines()[0]}") from error
    if not isinstance(content, dict) or not content:
        raise UserError(f"{path} must map axes to weights, such as `words: 3`")
    weights: dict[str, float] = {}
    for axis, weight in content.items():
        if axis not in NAMES:
            raise UserError(f"{path}: no axis '{axis}': {did_you_mean(str(axis), list(NAMES))}")
        number = isinstance(weight, int | float) and not isinstance(weight, bool)
        if not number or not math.isfinite(weight) or weight < 0:
            raise UserError(f"{path}: the weight of {axis} must be a number from 0 up")
        if weight > 0:
            weights[axis] = float(weight)
    if not weights:
        raise UserError(f"{path}: no axis has a weight above 0")
    return Profile(path.name, f"the weights of {path.name}", weights)
