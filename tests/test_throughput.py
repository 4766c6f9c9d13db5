"""How fast tokenizers, judges and the engine are here; run by `make bench`, which prints it.

Each figure is seconds of audio in a second (`extra_info`). Nothing is asserted of the time itself:
it belongs to the machine.
"""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bench import registry
from bench.contracts import AudioBatch, Samples
from bench.errors import WeightsUnavailable
from bench.options import resolve
from bench.plan import make_plan
from bench.progress import Quiet
from bench.run import Pass
from bench.suites.load import load_suite
from tests.conftest import lyra_weights, speech, write_suite

pytestmark = pytest.mark.benchmark
RATE = 16_000
SECONDS = 60.0


def minute() -> list[tuple[dict[str, object], Samples]]:
    """Real utterances, together just over a minute."""
    chosen: list[tuple[dict[str, object], Samples]] = []
    for row, samples in speech(40):
        chosen.append((row, samples))
        if sum(len(x) for _, x in chosen) >= SECONDS * RATE:
            break
    return chosen


def heard(clips: list[Samples]) -> float:
    return sum(len(x) for x in clips) / RATE


def note(benchmark: Any, seconds: float) -> None:
    benchmark.extra_info["audio_seconds"] = round(seconds, 2)
    benchmark.extra_info["times_real_time"] = round(seconds / benchmark.stats.stats.min, 1)


@pytest.mark.parametrize("name", ["mulaw", "lyra"])
def test_encode_and_decode(benchmark: Any, name: str, data_dir: Path) -> None:
    settings = {}
    if name == "lyra":
        pytest.importorskip("ai_edge_litert", reason="pip install -e '.[lyra]'")
        weights = lyra_weights(data_dir)
        settings["weights"] = str(weights)
    plugin = registry.plugin("tokenizers", name)
    tokenizer = plugin.module.load(device="cpu", **resolve(plugin, settings))
    clips = [x for _, x in minute()]
    batch = AudioBatch.of(clips, RATE)
    made = benchmark.pedantic(
        lambda: tokenizer.decode(tokenizer.encode(batch)), rounds=2, warmup_rounds=0
    )
    assert len(made) == len(clips)
    note(benchmark, heard(clips))


@pytest.mark.parametrize("name", sorted(registry.plugins("judges")))
def test_judge(benchmark: Any, name: str) -> None:
    import torch

    try:
        judge = registry.plugin("judges", name).module.load(device="cpu", threads=1)
    except WeightsUnavailable as lack:
        pytest.skip(str(lack))
    clips = [x for _, x in minute()]
    before = torch.get_num_threads()
    torch.set_num_threads(1)  # as the engine has it
    try:
        judge.judge(clips[:1])
        made = benchmark.pedantic(judge.judge, args=(clips,), rounds=1)
    finally:
        torch.set_num_threads(before)
    assert not [outcome for outcome in made if isinstance(outcome, Exception)]
    note(benchmark, heard(clips))


def test_whole_run(benchmark: Any, tmp_path: Path) -> None:
    """One worker, so that the seconds inside the models and the wall clock can be compared."""
    chosen = minute()
    suite = load_suite(str(write_suite(tmp_path / "suite", chosen)))
    plan = make_plan("mulaw", {}, device="cpu")
    engine = Pass(
        plan,
        suite,
        cache=tmp_path / "cache",
        where="cpu",
        reporter=Quiet(),
        batch_seconds=60.0,
        threads=1,
    )
    start = time.perf_counter()
    measured = benchmark.pedantic(engine.run, rounds=1)
    wall = time.perf_counter() - start
    inside = {k: measured.seconds[k] for k in ("encode", "decode", "judges", "metrics")}
    benchmark.extra_info |= {k: round(v, 3) for k, v in inside.items()}
    benchmark.extra_info["overhead"] = round(wall / sum(inside.values()), 3)
    note(benchmark, heard([x for _, x in chosen]))
    assert not measured.codec.failures
    assert np.isfinite(wall) and wall < 10 * sum(inside.values())
