"""Which device, and how many threads."""

from __future__ import annotations

import os
import platform
from pathlib import Path
from typing import Literal

from bench.errors import UserError

Choice = Literal["auto", "cpu", "cuda"]


def resolve(choice: str) -> str:
    """One of "cpu" and "cuda"; UserError where CUDA was asked for and there is none."""
    if choice == "cpu":
        return "cpu"
    import torch

    if torch.cuda.is_available():
        return "cuda"
    if choice == "cuda":
        raise UserError(
            "--device cuda: torch sees no CUDA device here; use --device auto, or install a CUDA "
            "build of torch (`bench doctor` shows which build this is)"
        )
    return "cpu"


def workers() -> int:
    """Processors this process may use."""
    try:
        return max(1, len(os.sched_getaffinity(0)))
    except AttributeError:  # not on Linux
        return max(1, os.cpu_count() or 1)


def processor(where: str) -> str:
    """What computes there, as figures of time must tell: its system, model and number."""
    name = platform.processor() or platform.machine()
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:  # not on Linux
        lines = []
    told = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    made = f"{platform.system()} {platform.machine()}, {told[0] if told else name}"
    made += f", {workers()} processors"
    if where == "cuda":
        import torch

        made += f", {torch.cuda.get_device_name()}"
    return made
