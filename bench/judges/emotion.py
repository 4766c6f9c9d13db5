"""Vocal affect: a linear classifier on classical features, trained on the bundled train voices."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from bench.contracts import JudgeInfo, Judgement, Samples
from bench.errors import WeightsUnavailable
from bench.judges._common import caught, check

WEIGHTS = Path(__file__).with_name("emotion.safetensors")
FEATURES_VERSION = 1


class Emotion:
    """class: the likeliest label; probabilities: of every label, in the order of `labels`.

    A multinomial logistic regression, stored as four arrays (means, scales, coefficients,
    intercepts): softmax(((features − mean)/scale) · W + b).
    """

    def __init__(self, path: Path) -> None:
        from safetensors import safe_open

        with safe_open(path, framework="numpy") as file:
            metadata: dict[str, Any] = file.metadata()
            arrays = {key: file.get_tensor(key) for key in ("mean", "scale", "weights", "bias")}
        self.labels: list[str] = json.loads(metadata["labels"])
        self._mean, self._scale = arrays["mean"], arrays["scale"]
        self._weights, self._bias = arrays["weights"], arrays["bias"]
        content = hashlib.sha256(path.read_bytes()).hexdigest()[:12]
        self.info = JudgeInfo(
            name="emotion",
            version=f"features-{FEATURES_VERSION}+weights-{content}",
            sample_rate=16_000,
            outputs=("class", "probabilities"),
            licence="Apache-2.0 (weights trained on speech under the GFDL 1.3)",
            source="bench.train_emotion",
            concurrent=True,
        )

    def judge(self, audio: list[Samples]) -> list[Judgement | Exception]:
        """Label and probabilities of each utterance; ItemFailure for silence or under 0.1 s."""
        return [caught(self._one, x) for x in audio]

    def _one(self, audio: Samples) -> Judgement:
        from bench.judges._affect import features

        check(audio)
        chances = self.probabilities(features(audio)[None])[0]
        return {"class": self.labels[int(chances.argmax())], "probabilities": chances.tolist()}

    def probabilities(self, features: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
        """[B, C] from features [B, D]."""
        scores = (features - self._mean) / self._scale @ self._weights + self._bias
        scores -= scores.max(axis=1, keepdims=True)
        return np.exp(scores) / np.exp(scores).sum(axis=1, keepdims=True)


def load(*, device: str = "cpu", threads: int = 1) -> Emotion:
    """The classifier that ships; it runs on the CPU whatever the device."""
    if not WEIGHTS.is_file():
        raise WeightsUnavailable("the emotion judge's weights", "python -m bench.train_emotion")
    return Emotion(WEIGHTS)
