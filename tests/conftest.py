"""What the tests share: a small real corpus, third-party plugins, and a way to call `bench`."""

from __future__ import annotations

import csv
import importlib
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile

ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture(scope="session")
def data_dir() -> Path:
    """Real data that the project may test on but does not contain."""
    return Path(os.environ.get("BENCH_DATA_DIR", ROOT.parent / "shared" / "data"))


def lyra_weights(data_dir: Path) -> Path:
    """The folder with Lyra's weights; the test is skipped where there is none."""
    if not (data_dir / "lyra").is_dir():
        pytest.skip("no Lyra weights here: set BENCH_DATA_DIR to a folder that has them in lyra")
    return data_dir / "lyra"


@pytest.fixture(scope="session")
def testkit(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """`tests/plugin_package`, installed by pip as any other package."""
    target = tmp_path_factory.mktemp("site")
    source = tmp_path_factory.mktemp("source") / "plugin_package"
    __import__("shutil").copytree(ROOT / "tests" / "plugin_package", source)
    subprocess.run(
        [
            sys.executable,
            "-m",
            "pip",
            "install",
            "-q",
            "--no-deps",
            "--no-build-isolation",
            "--disable-pip-version-check",
            "--target",
            str(target),
            str(source),
        ],
        check=True,
        capture_output=True,
    )
    return target


@pytest.fixture
def plugins(testkit: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The third-party plugins on this process's path."""
    monkeypatch.syspath_prepend(str(testkit))
    importlib.invalidate_caches()
    return testkit


def speech(count: int, split: str = "test") -> list[tuple[dict[str, object], np.ndarray]]:
    """Rows and 16 kHz samples of the first `count` English utterances of `mini`, 2 to 6 s long."""
    import pyarrow.parquet as pq

    folder = ROOT / "bench" / "suites" / "mini"
    rows = [
        r
        for r in pq.read_table(folder / "manifest.parquet").to_pylist()
        if r["split"] == split
        and r["language"] == "en"
        and "transcription" in r["tasks"]
        and 2 <= r["seconds"] <= 6
    ]
    chosen = rows[:: max(1, len(rows) // count)][:count]
    return [(r, soundfile.read(folder / r["file"], dtype="float32")[0]) for r in chosen]


def write_suite(folder: Path, clips: list[tuple[dict[str, object], np.ndarray]]) -> Path:
    """A person's own suite: a folder with audio, `manifest.csv` and `suite.yaml`."""
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "manifest.csv").open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["utterance", "file", "language", "speaker", "text"])
        for n, (row, samples) in enumerate(clips):
            name = f"u{n:02d}"
            soundfile.write(folder / f"{name}.flac", samples, int(row.get("rate", 16_000)))
            writer.writerow([name, f"{name}.flac", "en", row["speaker"], row["text"]])
    (folder / "suite.yaml").write_text('name: small\nversion: "1"\nmanifest: manifest.csv\n')
    return folder / "suite.yaml"


@pytest.fixture(scope="session")
def small_suite(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Six real English utterances as a person's own suite."""
    return write_suite(tmp_path_factory.mktemp("small"), speech(6))


def bench(
    *arguments: str, site: Path | None = None, check: bool = False, **environment: str
) -> subprocess.CompletedProcess[str]:
    """Run the command line in a process of its own."""
    env = {**os.environ, **environment}
    if site is not None:
        env["PYTHONPATH"] = os.pathsep.join([str(ROOT), str(site)])
    done = subprocess.run(
        [sys.executable, "-m", "bench", *arguments],
        cwd=environment.get("PWD"),
        env=env,
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert not check or done.returncode == 0, done.stderr
    return done
