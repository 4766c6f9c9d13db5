"""Voice embeddings by Resemblyzer (GE2E, Wan et al. 2018, arXiv:1710.10467), weights in a package.

Output: `embedding`, 256 floats >= 0 of unit norm; the cosine of two is their dot product. As in
the package: quiet audio is raised to -30 dBFS, silence is cut out by WebRTC's voice activity
detector, and windows of 1.6 s, 1.3 a second, are embedded and averaged.

The package itself is not imported: its modules need `pkg_resources` and a scipy namespace that
are on their way out, and it unpickles its weights without `weights_only`.
"""

from __future__ import annotations

from functools import partial
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from bench.contracts import JudgeInfo, Judgement, Samples
from bench.errors import ItemFailure, UserError
from bench.judges._common import SAMPLE_RATE, Workers, caught, check, on

if TYPE_CHECKING:
    import torch

REVISION = 1
MELS = 40
HIDDEN = 256
FFT, HOP = 400, 160
WINDOW = 160
"""Frames of 10 ms in a window."""
STEP = round(SAMPLE_RATE / 1.3 / HOP)
"""Frames between windows."""
MIN_COVERAGE = 0.75
"""Share of the last window that must be audio."""
VAD_WINDOW = 480
"""Samples (30 ms)."""
VAD_SMOOTH = 8
VAD_DILATE = 7
QUIET = -30.0
"""dBFS."""


class Resemblyzer:
    """Voice embeddings; see the module."""

    def __init__(self, device: str, threads: int | None) -> None:
        import torch

        weights = torch.load(_weights(), map_location="cpu", weights_only=True)["model_state"]
        self._lstm = torch.nn.LSTM(MELS, HIDDEN, num_layers=3, batch_first=True)
        self._linear = torch.nn.Linear(HIDDEN, HIDDEN)
        for name, module in (("lstm.", self._lstm), ("linear.", self._linear)):
            module.load_state_dict(
                {k.removeprefix(name): v for k, v in weights.items() if k.startswith(name)}
            )
            module.eval().to(device)
        self._device = device
        self._workers = Workers(threads, torch=True)
        self.info = JudgeInfo(
            name="resemblyzer",
            version=f"resemblyzer-{version('resemblyzer')}+r{REVISION}",
            sample_rate=SAMPLE_RATE,
            outputs=("embedding",),
            licence="Apache-2.0",
            source="https://arxiv.org/abs/1710.10467",
            max_batch_seconds=120.0,
            concurrent=device == "cpu",
        )

    def judge(self, audio: list[Samples]) -> list[Judgement | Exception]:
        """`{"embedding": [256 floats]}` of each utterance; ItemFailure where none is voiced."""
        return self._workers.map(partial(caught, self._one), audio)

    def _one(self, audio: Samples) -> Judgement:
        check(audio)
        import torch

        windows = torch.from_numpy(mel_windows(voiced(louder(audio))))
        with torch.inference_mode():
            found = self._embed(on(windows, self._device)).cpu().numpy()
        mean = found.mean(axis=0)
        return {"embedding": (mean / np.linalg.norm(mean)).tolist()}

    def _embed(self, windows: torch.Tensor) -> torch.Tensor:
        """Embeddings [B, 256] of windows [B, 160, 40] of one utterance."""
        _, (hidden, _) = self._lstm(windows)
        raw = self._linear(hidden[-1]).relu()
        unit: torch.Tensor = raw / raw.norm(dim=1, keepdim=True)
        return unit


def louder(audio: Samples) -> Samples:
    """`audio` raised to -30 dBFS where it is quieter."""
    rms = np.sqrt(np.mean((audio * 32767) ** 2))
    if rms == 0:
        raise ItemFailure("no voiced frames found")
    change = QUIET - 20 * np.log10(rms / 32767)
    return audio if change < 0 else audio * (10 ** (change / 20))


def voiced(audio: Samples) -> Samples:
    """`audio` without what the voice activity detector calls silence."""
    from _webrtcvad import create, init, process, set_mode  # `webrtcvad` needs pkg_resources
    from scipy.ndimage import binary_dilation

    audio = audio[: len(audio) // VAD_WINDOW * VAD_WINDOW]
    pcm = np.round(audio * 32767).astype(np.int16).tobytes()
    detector = create()
    init(detector)
    set_mode(detector, 3)
    size = 2 * VAD_WINDOW
    flags = [
        process(detector, SAMPLE_RATE, pcm[at : at + size], VAD_WINDOW)
        for at in range(0, len(pcm), size)
    ]
    padding = np.zeros((VAD_SMOOTH - 1) // 2), np.zeros(VAD_SMOOTH // 2)
    total = np.cumsum(np.concatenate((padding[0], flags, padding[1])))
    total[VAD_SMOOTH:] = total[VAD_SMOOTH:] - total[:-VAD_SMOOTH]
    mask = np.round(total[VAD_SMOOTH - 1 :] / VAD_SMOOTH).astype(bool)
    mask = binary_dilation(mask, np.ones(VAD_DILATE))
    speech = audio[np.repeat(mask, VAD_WINDOW)]
    if not len(speech):
        raise ItemFailure("no voiced frames found")
    return speech


def mel_windows(audio: Samples) -> npt.NDArray[np.float32]:
    """Mel power spectrograms [B, 160, 40] of the windows of `audio` [L], padded with zeros."""
    import librosa

    frames = -(-(len(audio) + 1) // HOP)
    starts = list(range(0, max(1, frames - WINDOW + STEP + 1), STEP))
    if len(starts) > 1 and (len(audio) / HOP - starts[-1]) / WINDOW < MIN_COVERAGE:
        starts.pop()
    audio = np.pad(audio, (0, max(0, (starts[-1] + WINDOW) * HOP - len(audio))))
    mel = librosa.feature.melspectrogram(
        y=audio, sr=SAMPLE_RATE, n_fft=FFT, hop_length=HOP, n_mels=MELS
    )
    mel = mel.astype(np.float32).T
    return np.stack([mel[at : at + WINDOW] for at in starts])


def _weights() -> Path:
    spec = find_spec("resemblyzer")
    for place in (spec and spec.submodule_search_locations) or ():
        if (path := Path(place) / "pretrained.pt").is_file():
            return path
    raise UserError("The voice encoder's weights are missing: pip install resemblyzer")


def load(*, device: str = "cpu", threads: int | None = None) -> Resemblyzer:
    """threads: utterances at a time (default: the number of cores)."""
    return Resemblyzer(device, threads)
