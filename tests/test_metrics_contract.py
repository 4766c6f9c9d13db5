"""Every metric plugin keeps the contract of `bench.contracts`."""

from __future__ import annotations

import ast
import importlib
import subprocess
import sys
from pathlib import Path

import pytest

import bench.metrics
from bench.contracts import Metric

FOLDER = Path(bench.metrics.__file__).parent
NAMES = sorted(p.stem for p in FOLDER.glob("*.py") if not p.stem.startswith("_"))
TASKS = {"transcription", "emotion", "speaker", "signal", "quality"}


@pytest.mark.parametrize("name", NAMES)
def test_info(name: str) -> None:
    metric = importlib.import_module(f"bench.metrics.{name}").load()
    assert isinstance(metric, Metric)
    assert metric.info.name == name
    assert metric.info.version
    assert metric.info.task in TASKS
    assert metric.info.needs_audio != bool(metric.info.judges)
    for row in metric.info.rows:
        low, high = row.bounds
        assert low < high
        assert row.source and row.description.endswith(".")
        if row.identity is not None:
            assert low <= row.identity <= high
            end = high if row.higher_is_better else low
            assert row.name == "rate_ratio" or row.identity == pytest.approx(end, abs=1e-3)


def test_row_names_are_unique() -> None:
    rows = [
        row.name
        for name in NAMES
        for row in importlib.import_module(f"bench.metrics.{name}").load().info.rows
    ]
    assert len(rows) == len(set(rows))


@pytest.mark.parametrize("name", NAMES)
def test_docstring_states_unit_and_direction(name: str) -> None:
    tree = ast.parse((FOLDER / f"{name}.py").read_text(encoding="utf-8"))
    first = (ast.get_docstring(tree) or "").split("\n", 1)[0].lower()
    assert first.endswith(".")
    assert any(words in first for words in ("higher is better", "is best", "error rate"))


def test_loading_imports_nothing_heavy() -> None:
    code = (
        "import importlib, sys\n"
        f"for n in {NAMES!r}: importlib.import_module('bench.metrics.' + n).load()\n"
        "heavy = {'torch', 'librosa', 'scipy', 'pesq', 'pystoi', 'jiwer', 'whisper_normalizer'}\n"
        "found = heavy & set(sys.modules)\n"
        "sys.exit(f'imported: {found}' if found else 0)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
