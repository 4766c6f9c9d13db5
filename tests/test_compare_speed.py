"""How long `bench compare` takes for 20 results of 5,000 utterances; run by `make bench`.

Nothing is asserted of the time itself: it belongs to the machine.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from bench.cli import main
from bench.scores import SCHEMA
from tests.compared import write_table

pytestmark = pytest.mark.benchmark
RESULTS, UTTERANCES, SPEAKERS, TRIALS = 20, 5000, 100, 9
METRICS = (
    "wer", "cer", "dwer", "speaker_similarity", "emotion_agreement", "emotion_accuracy", "f0_rmse",
    "f0_correlation", "voicing_error", "energy_correlation", "rate_error", "distillmos",
    "dnsmos_ovrl", "dnsmos_sig", "dnsmos_bak", "dnsmos_p808", "pesq", "stoi", "estoi",
    "mel_distance", "si_sdr", "bitrate", "token_rate",
)  # fmt: skip
NAMES = np.array([f"u{n:05d}" for n in range(UTTERANCES)])
SPEAKER = np.array([f"s{n}" for n in range(SPEAKERS)])


def part(metric: str, tops: np.ndarray, bottoms: np.ndarray, **own: Any) -> pa.Table:
    """Scores of one metric, of every utterance as often as there are `tops`."""
    count, who = len(tops), np.arange(len(tops)) % UTTERANCES
    columns = {
        "track": np.full(count, "tokens" if metric in METRICS[-2:] else "resynthesis"),
        "metric": np.full(count, metric), "utterance": NAMES[who], "corpus": np.full(count, "c"),
        "language": np.full(count, "en"), "speaker": SPEAKER[who % SPEAKERS], "numerator": tops,
        "denominator": bottoms, "reference_numerator": bottoms, "reference_denominator": bottoms,
        **own,
    }  # fmt: skip
    arrays = [pa.array(columns[f.name], f.type) if f.name in columns else pa.nulls(count, f.type)
              for f in SCHEMA]  # fmt: skip
    return pa.table(arrays, schema=SCHEMA)


def result(seed: int) -> pa.Table:
    """Every metric that ships, and verification trials of every utterance."""
    rng, fixed = np.random.default_rng(seed), np.random.default_rng(1000)
    words = fixed.integers(3, 30, UTTERANCES).astype(float)
    made = []
    for metric in METRICS:
        rate = 50.0 * (seed + 1)
        spread = 0.0 if metric in METRICS[-2:] else 0.1
        made.append(part(metric, words * rng.normal(rate, spread * rate, UTTERANCES), words))
    count = UTTERANCES * TRIALS
    target = np.arange(count) // UTTERANCES < 3
    who = np.arange(count) % UTTERANCES % SPEAKERS
    other = np.where(target, who, (who + fixed.integers(1, SPEAKERS, count)) % SPEAKERS)
    enrolment = np.char.add("e", (np.arange(count) // UTTERANCES).astype(str))
    own = {"enrolment": enrolment, "enrolment_speaker": SPEAKER[other], "target": target}
    scores = rng.normal(2.0 * target, 1)
    return pa.concat_tables([*made, part("speaker_eer", scores, np.ones(count), **own)])


def test_twenty_results_of_5000_utterances(
    benchmark: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folders = [str(write_table(tmp_path / f"{n}", f"t{n}", result(n))) for n in range(RESULTS)]
    status = benchmark.pedantic(main, args=(["compare", *folders, "--json"],), rounds=1)
    assert status == 0
    assert '"better": "t0"' in capsys.readouterr().out
