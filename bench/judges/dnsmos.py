"""DNSMOS P.835 and P.808 (Reddy et al. 2022, arXiv:2110.01763), weights in `speechmos`.

Outputs, each a MOS from 1 to 5: `ovrl`, `sig` (speech), `bak` (background, higher is quieter) and
`p808` (overall, the older model). The means over windows of 9.01 s, 1 s apart; shorter audio is
doubled until it fills one, as the package does. The package's numbers to 1e-4, several times
faster: see `_dnsmos_model`.
"""

from __future__ import annotations

from functools import partial
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path

import numpy as np

from bench.contracts import JudgeInfo, Judgement, Samples
from bench.errors import UserError
from bench.judges._common import SAMPLE_RATE, Workers, caught, check, on

REVISION = 2
SECONDS = 9.01
WINDOW = int(SECONDS * SAMPLE_RATE)
CALIBRATION = {  # polynomials from the raw outputs to MOS, in the order of these outputs
    "sig": (-0.08397278, 1.22083953, 0.0052439),
    "bak": (-0.13166888, 1.60915514, -0.39604546),
    "ovrl": (-0.06766283, 1.11546468, 0.04602535),
}


class Dnsmos:
    """Four MOS; see the module."""

    def __init__(self, device: str, threads: int | None) -> None:
        import onnxruntime

        from bench.judges._dnsmos_model import P835

        folder = _assets()
        self._device = device
        self._p835 = P835(folder / "sig_bak_ovr.onnx").eval().to(device)
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        self._p808 = onnxruntime.InferenceSession(
            folder / "model_v8.onnx", options, providers=["CPUExecutionProvider"]
        )
        self._workers = Workers(threads, torch=True)
        self.info = JudgeInfo(
            name="dnsmos",
            version=f"speechmos-{version('speechmos')}+r{REVISION}",
            sample_rate=SAMPLE_RATE,
            outputs=("ovrl", "sig", "bak", "p808"),
            licence="MIT",
            source="https://arxiv.org/abs/2110.01763",
            max_batch_seconds=60.0,
            concurrent=device == "cpu",
        )

    def judge(self, audio: list[Samples]) -> list[Judgement | Exception]:
        """`{"ovrl", "sig", "bak", "p808"}` of each utterance; ItemFailure under 0.1 s."""
        return self._workers.map(partial(caught, self._one), audio)

    def _one(self, audio: Samples) -> Judgement:
        check(audio)
        import torch

        from bench.judges._dnsmos_model import mels

        audio, starts = windows(audio)
        with torch.inference_mode():
            wave = on(torch.from_numpy(audio), self._device)
            raw = self._p835(wave, starts).cpu().numpy().astype(np.float64)
        scores: Judgement = {
            name: float(np.polyval(polynomial, column).mean())
            for (name, polynomial), column in zip(CALIBRATION.items(), raw.T, strict=True)
        }
        older = [self._p808.run(None, {"input_1": mel[None]})[0] for mel in mels(audio, starts)]
        return {"ovrl": scores.pop("ovrl"), **scores, "p808": float(np.mean(older))}


def windows(audio: Samples) -> tuple[Samples, list[int]]:
    """`audio` [L] doubled to 9.01 s or more, and the seconds where its windows begin.

    Their ends are rounded as the package rounds them: a window that floating point makes one
    sample short is left out.
    """
    audio = audio.astype(np.float32)
    while len(audio) < WINDOW:
        audio = np.concatenate((audio, audio))
    count = int(len(audio) // SAMPLE_RATE - SECONDS) + 1
    ends = [int((n + SECONDS) * SAMPLE_RATE) for n in range(count)]
    return audio, [n for n, end in enumerate(ends) if end - n * SAMPLE_RATE >= WINDOW]


def _assets() -> Path:
    spec = find_spec("speechmos")
    for place in (spec and spec.submodule_search_locations) or ():
        if (folder := Path(place) / "dnsmos_models").is_dir():
            return folder
    raise UserError("The DNSMOS models are missing: pip install speechmos")


def load(*, device: str = "cpu", threads: int | None = None) -> Dnsmos:
    """threads: utterances at a time (default: the number of cores)."""
    return Dnsmos(device, threads)
