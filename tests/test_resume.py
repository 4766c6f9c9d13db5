"""Killed at any moment and started again, a run ends as one that was never interrupted."""

from __future__ import annotations

import contextlib
import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.conftest import ROOT

ARGUMENTS = ("--set", "slow=0.15", "--batch-seconds", "5", "--metrics", "rms,stoi,wer")


def start(suite: Path, out: Path, site: Path) -> subprocess.Popen[bytes]:
    env = {**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT), str(site)])}
    command = [
        sys.executable,
        "-m",
        "bench",
        "eval",
        "identity",
        "--suite",
        str(suite),
        "--out",
        str(out),
        *ARGUMENTS,
    ]
    return subprocess.Popen(
        command, env=env, start_new_session=True, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE
    )


def outcome(out: Path) -> tuple[dict, bytes, bytes]:
    folder = next(out.glob("small/identity@*/partial"))
    result = json.loads((folder / "result.json").read_text())
    del result["timing"]
    return (
        result,
        (folder / "scores.parquet").read_bytes(),
        (folder / "tokens.parquet").read_bytes(),
    )


def interrupted(suite: Path, out: Path, site: Path, kills: int, length: float) -> int:
    """Kill so many runs at random moments; returns how many were hit while working."""
    moments = random.Random(kills)
    hit = 0
    for _ in range(kills):
        process = start(suite, out, site)
        time.sleep(moments.uniform(0.2, 0.65) * length)
        hit += process.poll() is None
        with contextlib.suppress(ProcessLookupError):  # it was done before
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
    return hit


def whole(suite: Path, out: Path, site: Path) -> float:
    began = time.monotonic()
    process = start(suite, out, site)
    _, error = process.communicate(timeout=200)
    assert process.returncode == 0, error.decode()
    return time.monotonic() - began


@pytest.mark.parametrize("kills", [2, pytest.param(10, marks=pytest.mark.slow)])
def test_kill_and_resume(small_suite, testkit, tmp_path, kills):
    length = whole(small_suite, tmp_path / "whole", testkit)
    assert interrupted(small_suite, tmp_path / "killed", testkit, kills, length) >= 1
    whole(small_suite, tmp_path / "killed", testkit)
    assert outcome(tmp_path / "killed") == outcome(tmp_path / "whole")


def test_control_c_is_one_line_and_130(small_suite, testkit, tmp_path):
    process = start(small_suite, tmp_path, testkit)
    assert process.stderr is not None
    process.stderr.readline()  # it has begun
    time.sleep(0.5)
    os.killpg(process.pid, signal.SIGINT)
    _, error = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "run the same command to go on" in error.decode()
    assert "Traceback" not in error.decode()
