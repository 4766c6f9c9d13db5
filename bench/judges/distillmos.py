"""Predicted MOS by Distill-MOS (Stahl & Gamper 2025, arXiv:2502.05356), weights in the package.

Output: `mos`, 1 (bad) to 5 (excellent): the mean over segments of 7.68 s, at most 1 s apart, each
normalised to its peak by the model; shorter audio is padded with zeros, as the package does, over
which `_distillmos_model` computes nothing.

Each segment runs by itself on a CPU (faster than in a batch), and in batches of one fixed size on
CUDA, so that the score of an utterance does not depend on what else is judged.
"""

from __future__ import annotations

import contextlib
import io
import math
from importlib.metadata import version
from typing import TYPE_CHECKING

import numpy as np

from bench.compat import ensure_torchaudio
from bench.contracts import JudgeInfo, Judgement, Samples
from bench.errors import ItemFailure
from bench.judges._common import SAMPLE_RATE, Workers, check, on

if TYPE_CHECKING:
    import torch

REVISION = 1
SEGMENT = 122_880
"""Samples of a segment."""
HOP = 16_000
"""Samples between segments, at most."""
CUDA_BATCH = 16


class DistillMos:
    """MOS; see the module."""

    def __init__(self, device: str, threads: int | None) -> None:
        ensure_torchaudio()
        import torch
        from distillmos import ConvTransformerSQAModel

        from bench.judges._distillmos_model import Sounding

        with contextlib.redirect_stdout(io.StringIO()):  # it prints where its weights are
            model = ConvTransformerSQAModel(segmenting_in_forward=False)
        model.cnn = Sounding(model.cnn)
        self._model = model.eval().to(device)
        self._device = torch.device(device)
        self._workers = Workers(threads, torch=True)
        self.info = JudgeInfo(
            name="distillmos",
            version=f"distillmos-{version('distillmos')}+r{REVISION}",
            sample_rate=SAMPLE_RATE,
            outputs=("mos",),
            licence="MIT",
            source="https://arxiv.org/abs/2502.05356",
            max_batch_seconds=60.0 if self._device.type == "cpu" else 600.0,
            concurrent=self._device.type == "cpu",
        )

    def judge(self, audio: list[Samples]) -> list[Judgement | Exception]:
        """`{"mos": float}` of each utterance; ItemFailure under 0.1 s."""
        import torch

        results: list[Judgement | Exception] = [{} for _ in audio]
        owners: list[int] = []
        rows: list[Samples] = []
        for n, item in enumerate(audio):
            try:
                check(item)
            except ItemFailure as failure:
                results[n] = failure
                continue
            found = segments(item)
            owners += [n] * len(found)
            rows += found
        if self._device.type == "cpu":
            scores = torch.tensor(self._workers.map(self._score_one, rows))
        else:
            scores = self._score_batches(rows)
        for n in dict.fromkeys(owners):
            mine = scores[torch.tensor([owner == n for owner in owners])]
            results[n] = {"mos": float(mine.mean())}
        return results

    def _score_one(self, row: Samples) -> float:
        import torch

        with torch.inference_mode():
            return float(self._model(torch.from_numpy(row)[None]))

    def _score_batches(self, rows: list[Samples]) -> torch.Tensor:
        """MOS [n] of rows [SEGMENT], in batches of one shape: kernels, and with them the bits of a
        row, do not change with the number of rows."""
        import torch

        scores = []
        with torch.inference_mode():
            for start in range(0, len(rows), CUDA_BATCH):
                some = rows[start : start + CUDA_BATCH]
                batch = torch.zeros(CUDA_BATCH, SEGMENT)
                batch[: len(some)] = torch.from_numpy(np.stack(some))
                scores.append(self._model(on(batch, self._device)).flatten()[: len(some)])
        return torch.cat(scores).cpu() if scores else torch.zeros(0)


def segments(audio: Samples) -> list[Samples]:
    """The segments [SEGMENT] of `audio` [L] that the package scores: evenly spread, the last at
    the end."""
    over = len(audio) - SEGMENT
    if over <= 0:
        return [np.pad(audio, (0, -over)).astype(np.float32)]
    places = np.linspace(0, 1, math.ceil(over / HOP) + 1)
    return [
        np.ascontiguousarray(audio[int(p * over) : int(p * over) + SEGMENT], np.float32)
        for p in places
    ]


def load(*, device: str = "cpu", threads: int | None = None) -> DistillMos:
    """threads: segments at a time on a CPU (default: the number of cores)."""
    return DistillMos(device, threads)
