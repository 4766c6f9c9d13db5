"""Which device, and how many threads."""

from __future__ import annotations

import os
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
