"""Predicted MOS by UTMOS, strong learner (Saeki et al. 2022, arXiv:2204.02152), by `utmos-pytorch`.

Output: `mos`, about 1 to 5 (a regression: not clipped). The architecture is the package's
(wav2vec2-base, no fairseq); the weights (400 MB) are in no package. They are looked for as
`utmos_state_dict.pt` or `.safetensors` in the option `weights`, in `$BENCH_WEIGHTS_DIR/utmos`
and, by the name the hub gives them, in the local Hugging Face cache; nothing is downloaded here.

No hash of the weights is pinned: none is published beside them. The hash of the file found is
part of `info.version`, so results of different weights never mix, and option `sha256` demands
one. Unlike the package, which ignores missing weights, a file that does not fit is an error.

An utterance runs alone: padding shifts the score by way of the first group norm.
"""

from __future__ import annotations

import hashlib
import os
import warnings
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING

from bench.contracts import JudgeInfo, Judgement, Samples
from bench.errors import UserError, WeightsUnavailable
from bench.judges._common import SAMPLE_RATE, Workers, caught, check, on

if TYPE_CHECKING:
    import torch

REVISION = 1
REPOSITORY = "Blinorot/UTMOS-PyTorch"
FILES = ("utmos_state_dict.safetensors", "utmos_state_dict.pt")
COMMAND = f"hf download {REPOSITORY} {FILES[1]}"
LISTENER = 288
"""The listener whose opinion is asked for, as in the original."""


class Utmos:
    """MOS; see the module."""

    def __init__(self, device: str, threads: int | None, path: Path, sha256: str | None) -> None:
        import torch

        digest = _sha256(path)
        if sha256 and digest != sha256.lower():
            raise UserError(f"{path} has sha256 {digest}, not {sha256}: download it again.")
        self._device = torch.device(device)
        self._model = _model(path).to(self._device)
        self._workers = Workers(threads if device == "cpu" else 1, torch=True)
        self.info = JudgeInfo(
            name="utmos",
            version=f"utmos-pytorch-{version('utmos-pytorch')}+{digest[:12]}+r{REVISION}",
            sample_rate=SAMPLE_RATE,
            outputs=("mos",),
            licence="MIT",
            source="https://arxiv.org/abs/2204.02152",
            max_batch_seconds=60.0 if device == "cpu" else 600.0,
            concurrent=device == "cpu",
        )

    def judge(self, audio: list[Samples]) -> list[Judgement | Exception]:
        """`{"mos": float}` of each utterance; ItemFailure under 0.1 s."""
        return self._workers.map(partial(caught, self._one), audio)

    def _one(self, audio: Samples) -> Judgement:
        check(audio)
        import torch

        wave = on(torch.from_numpy(audio).float()[None, None], self._device)
        domain = torch.zeros(1, dtype=torch.int, device=self._device)
        with torch.inference_mode():
            frames = self._model(wav=wave, domains=domain, judge_id=domain + LISTENER)
        return {"mos": float(frames.mean() * 2 + 3)}


def find_weights(weights: str | Path | None = None) -> Path:
    """The file of weights: in `weights` (a file or folder), else in `$BENCH_WEIGHTS_DIR/utmos`,
    else in the Hugging Face cache; raises WeightsUnavailable, with the command, where in none."""
    if weights is not None:
        places = [Path(weights)]
    elif "BENCH_WEIGHTS_DIR" in os.environ:
        places = [Path(os.environ["BENCH_WEIGHTS_DIR"]) / "utmos"]
    else:
        places = []
    for place in places:
        for path in (place, *(place / name for name in FILES)):
            if path.is_file():
                return path
    if weights is None and (cached := _cached()):
        return cached
    command = f"{COMMAND} --local-dir {places[0]}" if places else COMMAND
    raise WeightsUnavailable("The weights of UTMOS", command)


def _cached() -> Path | None:
    from huggingface_hub import try_to_load_from_cache

    found = try_to_load_from_cache(REPOSITORY, FILES[1])
    return Path(found) if isinstance(found, str) else None


def _sha256(path: Path) -> str:
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


def _model(path: Path) -> torch.nn.Module:
    """The network with the weights of `path`, every one of them, in eval mode."""
    import torch
    from utmos_pytorch.utmos_torch import UTMOSModel, remove_weight_norm_for_jit

    if path.suffix == ".safetensors":
        from safetensors.torch import load_file

        state = load_file(path)
    else:
        state = torch.load(path, map_location="cpu", weights_only=True)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)  # the package's weight_norm
        model: torch.nn.Module = UTMOSModel()
    try:
        loaded = model.load_state_dict(state, strict=False)  # more is fine: pretraining heads
    except RuntimeError as error:
        raise UserError(f"{path} holds other weights than UTMOS's ({error}).") from error
    if loaded.missing_keys:
        raise UserError(
            f"{path} lacks {len(loaded.missing_keys)} of UTMOS's weights, such as "
            f"{loaded.missing_keys[0]}; get them with: {COMMAND}"
        )
    return remove_weight_norm_for_jit(model.eval())


def load(
    *,
    device: str = "cpu",
    threads: int | None = None,
    weights: str | Path | None = None,
    sha256: str | None = None,
) -> Utmos:
    """threads: utterances at a time on a CPU (default: the number of cores); weights: a file or a
    folder; sha256: what the file must hash to. Raises WeightsUnavailable where there is none."""
    return Utmos(device, threads, find_weights(weights), sha256)
