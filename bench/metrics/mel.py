"""Distance of log-mel spectrograms on seven scales (log10 units, 0 is best, no upper bound).

The mel loss of the Descript Audio Codec (Kumar et al. 2023, "High-Fidelity Audio Compression with
Improved RVQGAN", arXiv:2306.06546, section 3.4; `MelSpectrogramLoss` with the constants of its
`conf/final/16khz.yml`): windows of 32, 64, 128, 256, 512, 1024 and 2048 samples, hop a quarter of
the window, 5, 10, 20, 40, 80, 160 and 320 mel bands from 0 Hz to half the sample rate; periodic
Hann window, reflected edges, magnitude spectrum (power 1), Slaney mel filters with area
normalisation, floor 1e-5, log10. Each scale is the mean absolute difference over bands and frames;
the value is their sum. No term of linear magnitude. The level of the audio counts.

The band counts are so high for their windows that many filters hold no FFT bin (about a quarter of
all); such bands are at the floor on both sides and add 0, in the original code and here.
"""

from __future__ import annotations

import warnings
from functools import cache
from typing import Any

from bench.contracts import Judged, MetricInfo, MetricRow, Sums, Utterance
from bench.metrics import _inputs

WINDOWS = (32, 64, 128, 256, 512, 1024, 2048)
BANDS = (5, 10, 20, 40, 80, 160, 320)
FLOOR = 1e-5
SHORTEST = 0.1  # s; reflecting half of the longest window takes 0.064 s


@cache
def _filters(window: int, bands: int) -> Any:
    import librosa
    import torch

    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Empty filters detected")
        return torch.from_numpy(librosa.filters.mel(sr=_inputs.RATE, n_fft=window, n_mels=bands))


class Mel:
    """Mean over utterances of the multi-scale log-mel distance."""

    info = MetricInfo(
        name="mel",
        version="1",
        task="signal",
        rows=(
            MetricRow(
                name="mel_distance",
                unit="log10",
                higher_is_better=False,
                source="DAC (arXiv:2306.06546)",
                description="Sum over seven scales of the mean absolute log-mel difference.",
                identity=0.0,
                bounds=(0.0, float("inf")),
            ),
        ),
        needs_audio=True,
    )

    def score(self, utterance: Utterance, original: Judged, audio: Judged) -> dict[str, Sums]:
        """Mel distance of one utterance."""
        import torch

        x, y = _inputs.pair(original, audio, SHORTEST)
        both = torch.stack([torch.from_numpy(x), torch.from_numpy(y)]).float()
        total = 0.0
        with torch.inference_mode():
            for window, bands in zip(WINDOWS, BANDS, strict=True):
                spectrum = torch.stft(
                    both,
                    n_fft=window,
                    hop_length=window // 4,
                    window=torch.hann_window(window),
                    center=True,
                    pad_mode="reflect",
                    return_complex=True,
                ).abs()
                mel = (_filters(window, bands) @ spectrum).clamp(min=FLOOR).log10()
                total += float((mel[0] - mel[1]).abs().double().mean())
        return {"mel_distance": Sums(total)}


def load() -> Mel:
    """The metric."""
    return Mel()
