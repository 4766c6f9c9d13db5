"""The repair of torchaudio, each case in an interpreter of its own."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent


def python(code: str, *path: Path) -> subprocess.CompletedProcess[str]:
    """Run `code` with `path` in front of everything."""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(map(str, [*path, ROOT]))}
    return subprocess.run(
        [sys.executable, "-W", "ignore", "-c", code],
        env=environment, capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip


def passes(code: str, *path: Path) -> None:
    done = python(code, *path)
    assert done.returncode == 0, done.stderr


def fake(folder: Path, extension: str, after: str = "") -> Path:
    """A package `torchaudio` whose `_extension` runs `extension`."""
    package = folder / "torchaudio"
    package.mkdir()
    (package / "__init__.py").write_text(f"from . import _extension\n{after}\nloaded = True\n")
    (package / "_extension.py").write_text(extension)
    (folder / "torch.py").write_text("")  # a quick one
    return folder


def test_the_real_one_works_after_it() -> None:
    before = python("import torchaudio")
    passes(f"""
import sys
from bench.compat import ensure_torchaudio
assert "torch" not in sys.modules and "torchaudio" not in sys.modules
stubbed = ensure_torchaudio()
assert stubbed == {before.returncode != 0}
assert ensure_torchaudio() == stubbed
import torch, torchaudio
wave = torch.sin(torch.arange(16000) / 5)[None]
mel = torchaudio.transforms.MelSpectrogram(16000, n_mels=40)(wave)
assert mel.shape == (1, 40, 81) and mel.isfinite().all()
assert torchaudio.functional.resample(wave, 16000, 8000).shape == (1, 8000)
assert torchaudio.functional.lowpass_biquad(wave, 16000, 1000.0).shape == wave.shape
assert torchaudio.pipelines.WAV2VEC2_BASE.sample_rate == 16000
if stubbed:
    try:
        torchaudio.functional.forced_align(wave[None], wave[:1].int())
        raise SystemExit("forced alignment ran")
    except RuntimeError as error:
        assert "compiled extension" in str(error), error
import speechbrain
from speechbrain.lobes.features import Fbank
assert Fbank()(wave).ndim == 3
""")


def test_importing_the_module_imports_nothing_heavy() -> None:
    passes(
        "import sys, bench.compat\nassert not {'torch', 'torchaudio', 'numpy'} & set(sys.modules)"
    )


def test_a_healthy_one_is_left_alone(tmp_path: Path) -> None:
    fake(tmp_path, "_IS_TORCHAUDIO_EXT_AVAILABLE = True")
    passes(
        """
import sys
from bench.compat import ensure_torchaudio
assert ensure_torchaudio() is False and ensure_torchaudio() is False
import torchaudio
assert torchaudio._extension._IS_TORCHAUDIO_EXT_AVAILABLE
assert torchaudio._extension.__file__ and torchaudio.loaded
""",
        tmp_path,
    )


@pytest.mark.parametrize(
    "failure",
    [
        "RuntimeError('Detected that PyTorch and TorchAudio were compiled with different CUDA "
        "versions. PyTorch has CUDA version 12.8 whereas TorchAudio has CUDA version 13.0.')",
        "OSError('libc10_cuda.so: cannot open shared object file')",
        "ImportError('Failed to load libtorchaudio')",
    ],
)
def test_one_that_cannot_load_gets_a_stub(tmp_path: Path, failure: str) -> None:
    fake(tmp_path, f"raise {failure}")
    assert python("import torchaudio", tmp_path).returncode != 0
    passes(
        """
from bench.compat import ensure_torchaudio
assert ensure_torchaudio() is True and ensure_torchaudio() is True
import torchaudio, importlib.util
from torchaudio._extension import _IS_TORCHAUDIO_EXT_AVAILABLE, fail_if_no_align
assert torchaudio.loaded and not _IS_TORCHAUDIO_EXT_AVAILABLE
assert importlib.util.find_spec("torchaudio._extension") is not None
try:
    fail_if_no_align(print)("never")
except RuntimeError as error:
    assert "print" in str(error)
else:
    raise SystemExit("it ran")
""",
        tmp_path,
    )


@pytest.mark.parametrize(
    ("extension", "after"),
    [("ok = True", "raise OSError('elsewhere')"), ("raise OSError('x')", "raise OSError('x')")],
)
def test_another_fault_is_not_hidden(tmp_path: Path, extension: str, after: str) -> None:
    fake(tmp_path, extension, after)
    passes(
        """
import sys
from bench.compat import ensure_torchaudio
for _ in range(2):
    try:
        ensure_torchaudio()
        raise SystemExit("hidden")
    except OSError:
        pass
assert not getattr(sys.modules.get("torchaudio._extension"), "_BENCH_STUB", False)
""",
        tmp_path,
    )


def test_one_that_is_not_there_says_so(tmp_path: Path) -> None:
    (tmp_path / "torch.py").write_text("")
    done = python(
        f"""
import sys
sys.path[:] = [{str(tmp_path)!r}, {str(ROOT)!r}] + [p for p in sys.path if "site-packages" not in p]
from bench.compat import ensure_torchaudio
ensure_torchaudio()
""",
        tmp_path,
    )
    assert "ModuleNotFoundError: No module named 'torchaudio'" in done.stderr
