"""Runs made up for the tests of `bench compare`: a folder with result.json and scores.parquet."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from bench.scores import table
from tests.conftest import ROOT

TEMPLATE = ROOT / "tests" / "historic_results" / "v1" / "result.json"
Scores = Mapping[str, Sequence[tuple[float, float]]]


def sums(values: Sequence[float] | np.ndarray, words: float = 1.0) -> list[tuple[float, float]]:
    return [(float(value), words) for value in values]


def rows(scores: Scores, speakers: Sequence[str], skip: Sequence[int] = ()) -> list[dict[str, Any]]:
    """One record for each metric and utterance; rates go to the track tokens."""
    made = []
    for metric, found in scores.items():
        track = "tokens" if metric in ("bitrate", "token_rate") else "resynthesis"
        for number, (top, bottom) in enumerate(found):
            if number not in skip:
                made.append({
                    "track": track, "metric": metric, "utterance": f"u{number:05d}",
                    "corpus": "c", "language": "en", "speaker": speakers[number],
                    "numerator": top, "denominator": bottom,
                })  # fmt: skip
    return made


def trials(
    scores: np.ndarray, targets: np.ndarray, enrolled: Sequence[str], tested: Sequence[str]
) -> list[dict[str, Any]]:
    """Records of speaker_eer."""
    return [
        {"track": "resynthesis", "metric": "speaker_eer", "utterance": f"u-{who}-{number}",
         "enrolment": f"e{number}", "enrolment_speaker": other, "target": bool(target),
         "corpus": "c", "language": "en", "speaker": who, "numerator": float(score),
         "denominator": 1.0, "reference_numerator": float(score), "reference_denominator": 1.0}
        for number, (score, target, other, who) in enumerate(
            zip(scores, targets, enrolled, tested, strict=True))
    ]  # fmt: skip


def write(folder: Path, variant: str, records: Sequence[Mapping[str, Any]], **changes: Any) -> Path:
    """A run's folder. changes: names of result.json's fields, by level (`suite__digest="x"`)."""
    return write_table(folder, variant, table(records), **changes)


def write_table(folder: Path, variant: str, scores: pa.Table, **changes: Any) -> Path:
    """As `write`, from a table of `bench.scores.SCHEMA`."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "scores.parquet"
    pq.write_table(scores, path, compression="zstd")
    content = json.loads(TEMPLATE.read_text())
    content["tokenizer"] |= {"name": variant.partition("@")[0], "variant": variant}
    content["suite"]["name"] = "mini"
    content["environment"] |= {"judges": {"moonshine": "1"}, "metrics": {"words": "1"}}
    content["tracks"] = {}
    content["artifacts"]["scores"]["sha256"] = hashlib.sha256(path.read_bytes()).hexdigest()
    for name, value in changes.items():
        place = content
        *above, last = name.split("__")
        for part in above:
            place = place[part]
        place[last] = value
    (folder / "result.json").write_text(json.dumps(content))
    return folder
