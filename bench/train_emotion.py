"""Trains the emotion judge on the bundled suite: `python -m bench.train_emotion`.

Logistic regression on standardised features, its regularisation chosen by leaving one train
voice out at a time; the test voices are read once, at the end, to print what the judge is worth.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

import numpy as np

from bench import audio
from bench.judges import emotion
from bench.judges._affect import features
from bench.suites.load import load_suite

GRID = (0.001, 0.003, 0.01, 0.03, 0.1, 0.3)


def gather(suite: str, split: str) -> tuple[Any, Any, Any]:
    """Features [B, D], labels [B] and speakers [B] of a split's acted lines."""
    rows, labels, speakers = [], [], []
    for item in load_suite(suite, split=split).of_task("emotion"):
        samples, rate = item.load()
        rows.append(features(audio.resample(samples, rate, audio.RATE)))
        labels.append(item.utterance.affect)
        speakers.append(item.utterance.speaker)
    return np.array(rows), np.array(labels), np.array(speakers)


def fit(x: Any, y: Any, c: float) -> Any:
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    model = LogisticRegression(C=c, class_weight="balanced", max_iter=5000)
    return make_pipeline(StandardScaler(), model).fit(x, y)


def choose(x: Any, y: Any, speakers: Any) -> tuple[float, float]:
    """The regularisation with the best accuracy on voices left out, and that accuracy."""
    from sklearn.model_selection import LeaveOneGroupOut

    best = (0.0, GRID[0])
    for c in GRID:
        right = [
            (fit(x[a], y[a], c).predict(x[b]) == y[b])
            for a, b in LeaveOneGroupOut().split(x, y, speakers)
        ]
        best = max(best, (float(np.concatenate(right).mean()), c))
    return best[1], best[0]


def main() -> None:
    from safetensors.numpy import save_file

    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--suite", default="mini")
    options.add_argument("--out", type=Path, default=emotion.WEIGHTS)
    arguments = options.parse_args()
    x, y, speakers = gather(arguments.suite, "train")
    c, accuracy = choose(x, y, speakers)
    model = fit(x, y, c)
    scaler, regression = model[0], model[1]
    labels = [str(label) for label in regression.classes_]
    save_file(
        {
            "mean": scaler.mean_,
            "scale": scaler.scale_,
            "bias": regression.intercept_,
            "weights": np.ascontiguousarray(regression.coef_.T),
        },
        arguments.out,
        metadata={"labels": json.dumps(labels)},
    )
    print(
        f"train: {len(y)} lines of {len(set(speakers))} voices, C = {c}, "
        f"{100 * accuracy:.1f} % on voices left out"
    )
    judge = emotion.Emotion(arguments.out)
    x, y, speakers = gather(arguments.suite, "test")
    guess = np.array(labels)[judge.probabilities(x).argmax(axis=1)]
    majority = max(np.mean(y == label) for label in labels)
    print(
        f"test: {len(y)} lines of {len(set(speakers))} voices, {100 * np.mean(guess == y):.1f} % "
        f"right; chance {100 / len(labels):.1f} %, largest class {100 * majority:.1f} %"
    )


if __name__ == "__main__":
    main()
