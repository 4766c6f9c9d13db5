"""DNSMOS P.835 and P.808 (Reddy et al. 2022, arXiv:2110.01763), weights in `speechmos`.

Outputs, each a MOS from 1 to 5: `ovrl`, `sig` (speech), `bak` (background, higher is quieter) and
`p808` (overall, the older model). The means over windows of 9.01 s, 1 s apart; shorter audio is
doubled until it fills one, as the package does. Runs on the CPU whatever the device.

A window at a time on each thread: in a batch, onnxruntime takes twice as long.
"""

from __future__ import annotations

from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from bench.contracts import JudgeInfo, Judgement, Samples
from bench.errors import ItemFailure, UserError
from bench.judges._common import SAMPLE_RATE, Workers, check

if TYPE_CHECKING:
    import onnxruntime

REVISION = 1
SECONDS = 9.01
WINDOW = int(SECONDS * SAMPLE_RATE)
FFT, HOP, MELS = 321, 160, 120
OUTPUTS = ("ovrl", "sig", "bak", "p808")
CALIBRATION = (
    (-0.08397278, 1.22083953, 0.0052439),  # sig
    (-0.13166888, 1.60915514, -0.39604546),  # bak
    (-0.06766283, 1.11546468, 0.04602535),  # ovrl
)


class Dnsmos:
    """Four MOS; see the module."""

    def __init__(self, threads: int | None) -> None:
        folder = _assets()
        self._p835 = _session(folder / "sig_bak_ovr.onnx")
        self._p808 = _session(folder / "model_v8.onnx")
        self._workers = Workers(threads)
        self.info = JudgeInfo(
            name="dnsmos",
            version=f"speechmos-{version('speechmos')}+r{REVISION}",
            sample_rate=SAMPLE_RATE,
            outputs=OUTPUTS,
            licence="MIT",
            source="https://arxiv.org/abs/2110.01763",
            max_batch_seconds=120.0,
        )

    def judge(self, audio: list[Samples]) -> list[Judgement | Exception]:
        """`{"ovrl", "sig", "bak", "p808"}` of each utterance; ItemFailure under 0.1 s."""
        results: list[Judgement | Exception] = [{} for _ in audio]
        owners: list[int] = []
        tasks: list[Samples] = []
        for n, item in enumerate(audio):
            try:
                check(item)
            except ItemFailure as failure:
                results[n] = failure
                continue
            found = windows(item)
            owners += [n] * len(found)
            tasks += found
        scores = np.array(self._workers.map(self._window, tasks)).reshape(-1, len(OUTPUTS))
        for n in dict.fromkeys(owners):
            mean = scores[np.array(owners) == n].mean(axis=0)
            results[n] = dict(zip(OUTPUTS, mean.tolist(), strict=True))
        return results

    def _window(self, audio: Samples) -> list[float]:
        """ovrl, sig, bak, p808 of one window [144160]."""
        raw = self._p835.run(None, {"input_1": audio[None]})[0][0]
        sig, bak, ovrl = (float(np.polyval(p, x)) for p, x in zip(CALIBRATION, raw, strict=True))
        p808 = self._p808.run(None, {"input_1": mel(audio)[None]})[0][0, 0]
        return [ovrl, sig, bak, float(p808)]


def windows(audio: Samples) -> list[Samples]:
    """The windows [144160] of `audio` [L] that the package scores.

    Their ends are rounded as it rounds them: a window that floating point makes one sample short
    is left out.
    """
    audio = audio.astype(np.float32, copy=False)
    while len(audio) < WINDOW:
        audio = np.concatenate((audio, audio))
    count = int(len(audio) // SAMPLE_RATE - SECONDS) + 1
    found = [audio[n * SAMPLE_RATE : int((n + SECONDS) * SAMPLE_RATE)] for n in range(count)]
    return [np.ascontiguousarray(w) for w in found if len(w) >= WINDOW]


def mel(audio: Samples) -> npt.NDArray[np.float32]:
    """What the P.808 model reads of a window: mel dB below its peak, [900, 120]."""
    import librosa

    power = librosa.feature.melspectrogram(
        y=audio[:-HOP], sr=SAMPLE_RATE, n_fft=FFT, hop_length=HOP, n_mels=MELS
    )
    scaled: Any = (librosa.power_to_db(power, ref=np.max) + 40) / 40
    return np.ascontiguousarray(scaled.T, np.float32)


def _assets() -> Path:
    spec = find_spec("speechmos")
    for place in (spec and spec.submodule_search_locations) or ():
        if (folder := Path(place) / "dnsmos_models").is_dir():
            return folder
    raise UserError("The DNSMOS models are missing: pip install speechmos")


def _session(path: Path) -> onnxruntime.InferenceSession:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = 3
    return onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])


def load(*, device: str = "cpu", threads: int | None = None) -> Dnsmos:
    """threads: windows at a time (default: the number of cores). The device is not used."""
    return Dnsmos(threads)
