"""A small board and made-up but consistent runs for the tests of the leaderboard.

The utterances, scores and ids are invented; the result is computed from them by the code that
`bench eval` uses, so an untouched entry is accepted for the reasons a real one is.
"""

from __future__ import annotations

import hashlib
import json
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from bench.contracts import Utterance
from bench.leaderboards.board import BOARDS, RATES, Board, Boards, Facts
from bench.leaderboards.entry import Entry
from bench.leaderboards.submit import prepare, put
from bench.results import (
    Artifact,
    Result,
    StreamResult,
    SuiteResult,
    TokenizerResult,
    dump,
    read_result,
)
from bench.scores import Spec, aggregate, record, table
from bench.tracks import load as load_track
from bench.weights import sha256

SPEAKERS, EACH = 6, 4
TASKS = frozenset({"transcription", "quality", "speaker", "emotion", "signal"})
CARD: dict[str, Any] = {
    "schema_version": 1,
    "name": "Toy codec",
    "description": "A codec for tests.",
    "links": [{"label": "code", "url": "https://example.org/toy"}],
    "licence": "Apache-2.0",
    "training_data": "none",
    "contact": "someone@example.org",
    "explanations": {},
}


def facts(speakers: int = SPEAKERS, each: int = EACH) -> Facts:
    """`speakers` × `each` utterances of every task, 1 to 5 s long."""
    utterances = {}
    for s in range(speakers):
        for n in range(each):
            name = f"toy/s{s:02d}-{n:03d}"
            seconds = 1.0 + (s * 7 + n * 3) % 40 / 10
            utterances[name] = Utterance(name, "toy", "en", f"s{s:02d}", seconds, "a b c")
    return Facts("toy", "1", "d" * 64, utterances, dict.fromkeys(utterances, TASKS))


def board(known: Facts | None = None) -> Board:
    """The project's own policy for the toy suite, which is not loaded from disk."""
    policy = Boards.model_validate_json(BOARDS.read_bytes()).boards["mini-1"]
    policy = policy.model_copy(update={"digest": "d" * 64, "suite": "toy"})
    made = Board("toy-1", policy, BOARDS.parent)
    made.__dict__["facts"] = known or facts()
    return made


def _draw(rng: np.random.Generator, low: float, high: float, skill: float) -> tuple[float, float]:
    """An original's score and a resynthesis's, in range."""
    low, high = max(low, -5.0), min(high, 5.0)
    middle = (low + high) / 2 + 0.1 * (high - low) * rng.random()
    return middle, middle - (1 - skill) * 0.2 * (high - low) * rng.random()


def scores_of(made: Board, seed: int, skill: float) -> list[dict[str, Any]]:
    """Sums of every metric and utterance. skill in [0, 1]: how good the resynthesis is.

    The originals' scores are the same whatever the seed.
    """
    records = []
    for (track, name), known in made.rows.items():
        if known.metric is None or set(known.metric.judges) & set(made.policy.optional_judges):
            continue
        key = zlib.crc32(name.encode())
        base, own = np.random.default_rng(key), np.random.default_rng(key + 1 + seed)
        if known.trials is not None:
            records += _trials(made, known, base, own, skill)
            continue
        for utterance in made.facts.utterances.values():
            low, high = known.row.bounds
            if name in ("wer", "cer"):  # whole words
                original, score, words = float(base.integers(0, 3)), 0.0, 10.0
                score = float(min(9, original + (own.random() > skill) * own.integers(0, 4)))
            elif name == "emotion_accuracy":
                original, words = float(base.random() < 0.7), 1.0
                score = float(original and own.random() < max(skill, 0.5))
            else:
                words = 1.0
                original, score = _draw(base, low, high, 1.0)
                score -= (1 - skill) * 0.1 * (1 + own.random())
                if not known.row.higher_is_better:
                    score = original + (original - score)
                if known.row.identity is not None:
                    original = known.row.identity
                    score = min(max(score, low), high)
            values = {"numerator": score, "denominator": words}
            if not (known.row.identity is None and name == "si_sdr"):
                values |= {"reference_numerator": original, "reference_denominator": words}
            records.append(record(track, name, utterance, **values))
    return records


def _trials(
    made: Board, known: Any, base: np.random.Generator, own: np.random.Generator, skill: float
) -> list[dict[str, Any]]:
    records = []
    utterances = made.facts.utterances
    for trial in known.trials(list(utterances.values())):
        original = float(base.normal(0.6 if trial.target else 0.3, 0.12))
        score = original - (1 - skill) * abs(float(own.normal(0, 0.1))) * (1 if trial.target else 0)
        records.append(
            record(
                known.track, known.row.name, utterances[trial.test],
                enrolment=trial.enrol, target=trial.target,
                enrolment_speaker=utterances[trial.enrol].speaker,
                numerator=score, denominator=1.0,
                reference_numerator=original, reference_denominator=1.0,
            )
        )  # fmt: skip
    return records


def write_run(
    folder: Path,
    made: Board,
    *,
    name: str = "toy",
    seed: int = 0,
    skill: float = 0.5,
    streams: int = 2,
    vocabulary: int = 16,
    family: Any = "codec",
) -> Path:
    """A run's folder, as `bench eval` writes it."""
    folder.mkdir(parents=True)
    utterances = made.facts.utterances
    rng = np.random.default_rng(zlib.crc32(name.encode()) + seed)
    tokens, records, totals = [], scores_of(made, seed + zlib.crc32(name.encode()), skill), 0
    for u in utterances.values():
        frames = round(50 * u.seconds)
        totals += frames
        ids = {f"q{k}": rng.integers(0, vocabulary, frames).tolist() for k in range(streams)}
        tokens.append({"utterance": u.id, "seconds": u.seconds, **ids})
        sums = (float(frames * streams), float(frames * streams * np.log2(vocabulary)))
        records += [
            record("tokens", row, u, numerator=value, denominator=u.seconds)
            for row, value in zip(RATES, sums, strict=True)
        ]
    scores = table(records)
    pq.write_table(scores, folder / "scores.parquet")
    pq.write_table(pa.Table.from_pylist(tokens), folder / "tokens.parquet")
    seconds = sum(u.seconds for u in utterances.values())
    specs = [
        Spec(track, known.row, _expected(made, known))
        for (track, _), known in made.rows.items()
        if known.metric is not None or known.row.name in RATES
    ]
    told = [Spec(s.track, s.row, s.expected, _note(made, s.row.name)) for s in specs]
    result = Result(
        tokenizer=TokenizerResult(
            name=name, variant=f"{name}@books={streams}", options={"books": streams},
            family=family, sample_rate=16_000,
            streams=[
                StreamResult(
                    name=f"q{k}", vocabulary=vocabulary, rate=50.0, measured_rate=totals / seconds
                )
                for k in range(streams)
            ],
            nested=True, causal=True, side_info_bits=0.0, parameters=1, weights="w1",
            licence="Apache-2.0", source="tests", training_data="none", delay_samples=0,
        ),
        suite=SuiteResult(
            name="toy", version="1", digest="d" * 64, utterances=len(utterances), seconds=seconds
        ),
        environment={
            "bench": "0.1.0", "python": "3.11.7", "machine": "x86_64", "device": "cpu",
            "judges": {j: v[0] for j, v in made.policy.judges.items()},
            "metrics": {m: v[0] for m, v in made.policy.metrics.items()},
            "tracks": {"tokens": load_track("tokens").version},
            "packages": {"numpy": "2.4.6"},
        },
        seed=0,
        tracks=aggregate(scores.to_pandas(), told, 0),
        failures=[],
        artifacts={
            n: Artifact(file=f"{n}.parquet", sha256=sha256(folder / f"{n}.parquet"))
            for n in ("scores", "tokens")
        },
        timing={"work": 1.0},
    )  # fmt: skip
    (folder / "result.json").write_text(dump(result), encoding="utf-8")
    return folder


def _expected(made: Board, known: Any) -> int:
    names = known.expected(made.facts)
    return len(known.trials(list(made.facts.utterances.values()))) if known.trials else len(names)


def _note(made: Board, row: str) -> str | None:
    return "weights not available; get them with: hf download x" if row == "utmos" else None


def write_card(path: Path, **changes: Any) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(CARD | changes), encoding="utf-8")
    return path


def add_entry(submissions: Path, made: Board, scratch: Path, **options: Any) -> Path:
    """One accepted entry below `submissions`: its folder."""
    name = options.get("name", "toy")
    label = hashlib.sha256(repr(sorted(options.items())).encode()).hexdigest()[:8]
    run = write_run(scratch / label / "run", made, **options)
    card = write_card(scratch / label / "card.json", name=f"{name} codec")
    entry = prepare(
        run, read_result(run / "result.json"), card, scratch / label / "made", {made.name: made}
    )
    assert isinstance(entry, Entry)
    return put(entry, submissions)
