"""How fast `bench encode` is against the tokenizer alone; run by `make bench`, which prints it.

Nothing is asserted of the time itself: it belongs to the machine.
"""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

from bench import registry
from bench.cli import main
from bench.contracts import AudioBatch, Samples
from bench.options import resolve
from tests.conftest import lyra_weights, speech

pytestmark = pytest.mark.benchmark
RATE = 16_000
MINUTES = 5


def corpus(folder: Path, minutes: float) -> list[Samples]:
    """Real utterances as FLAC files, again and again until there are so many minutes of them."""
    folder.mkdir()
    found = [samples for _, samples in speech(40)]
    made: list[Samples] = []
    while sum(map(len, made)) < minutes * 60 * RATE:
        made.append(found[len(made) % len(found)])
        soundfile.write(folder / f"{len(made):04d}.flac", made[-1], RATE)
    return made


@pytest.mark.parametrize("name", ["mulaw", "lyra", "soundstream"])
def test_encode(benchmark: Any, name: str, data_dir: Path, tmp_path: Path) -> None:
    """`overhead`: wall clock of the whole command over that of the tokenizer alone."""
    settings = {}
    if name == "lyra":
        pytest.importorskip("ai_edge_litert", reason="pip install -e '.[lyra]'")
        weights = lyra_weights(data_dir)
        settings["weights"] = str(weights)
    clips = corpus(tmp_path / "in", MINUTES if name == "mulaw" else 1)
    plugin = registry.plugin("tokenizers", name)
    tokenizer = plugin.module.load(device="cpu", **resolve(plugin, settings))
    start = time.perf_counter()
    for clip in clips:
        tokenizer.encode(AudioBatch.of([clip], RATE))
    alone = time.perf_counter() - start
    command = [
        "encode",
        str(tmp_path / "in"),
        "--tokenizer",
        name,
        "--device",
        "cpu",
        "--overwrite",
    ]
    for key, value in settings.items():
        command += ["--set", f"{key}={value}"]
    status = benchmark.pedantic(
        main, args=([*command, "-o", str(tmp_path / "t.parquet")],), rounds=1
    )
    wall = benchmark.stats.stats.min
    seconds = sum(map(len, clips)) / RATE
    benchmark.extra_info["audio_seconds"] = round(seconds, 2)
    benchmark.extra_info["times_real_time"] = round(seconds / wall, 1)
    benchmark.extra_info["overhead"] = round(wall / alone, 3)
    assert status == 0
    assert np.isfinite(wall)
