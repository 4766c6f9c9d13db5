"""Repairs of other people's packages, each applied when and only when it is needed."""

from __future__ import annotations

import importlib
import importlib.machinery
import sys
import threading
from collections.abc import Callable
from types import ModuleType
from typing import Any

_EXTENSION = "torchaudio._extension"
_lock = threading.Lock()


def ensure_torchaudio() -> bool:
    """Import torchaudio, without its compiled extension where that cannot load.

    torchaudio's wheel on the package index is built for CUDA: beside a CPU-only torch its
    extension fails to load (OSError), beside a torch of another CUDA version it refuses to
    (RuntimeError), and then `import torchaudio` fails as a whole, and with it speechbrain and
    everything else that imports it. Transforms, resampling, filters and pipelines do not need the
    extension. Where it fails, a stub stands in for it: forced alignment then raises RuntimeError,
    CTC decoding on CUDA ImportError, RNN-T loss AttributeError; the rest works.

    A torchaudio that loads is left as it is. Call this before importing torchaudio or anything
    that imports it; calling it again changes nothing.

    Returns whether the stub stands in. Raises what the import raised (ImportError where torchaudio
    is not installed) where the extension is not the cause.
    """
    with _lock:
        if "torchaudio" not in sys.modules:
            _import_torchaudio()
        return getattr(sys.modules.get(_EXTENSION), "_BENCH_STUB", False)


def _import_torchaudio() -> None:
    try:
        importlib.import_module("torchaudio")
        return
    except (OSError, ImportError, RuntimeError) as error:
        # A submodule that loaded stays in sys.modules when its package fails: then the
        # extension is sound, and something else is wrong.
        if _EXTENSION in sys.modules or not _torch_works():
            raise
        failure = error
    sys.modules[_EXTENSION] = _stub(failure)
    try:
        importlib.import_module("torchaudio")
    except BaseException:
        del sys.modules[_EXTENSION]
        raise failure from None


def _torch_works() -> bool:
    try:
        importlib.import_module("torch")
    except (OSError, ImportError, RuntimeError):
        return False
    return True


def _stub(failure: Exception) -> ModuleType:
    """What torchaudio uses of `torchaudio._extension` when it is built without the extension."""

    def fail_if_no_align(function: Callable[..., Any]) -> Callable[..., Any]:
        def fail(*_args: Any, **_kwargs: Any) -> Any:
            raise RuntimeError(
                f"{function.__name__} needs torchaudio's compiled extension, which does not load "
                f"here ({failure}); install the torchaudio built for this torch."
            )

        return fail

    module = ModuleType(_EXTENSION, "Stands in for a compiled extension that cannot load.")
    module.__spec__ = importlib.machinery.ModuleSpec(_EXTENSION, loader=None, is_package=True)
    module.__path__ = []
    module.__dict__.update(
        _BENCH_STUB=True,
        _IS_TORCHAUDIO_EXT_AVAILABLE=False,
        _IS_ALIGN_AVAILABLE=False,
        _IS_RIR_AVAILABLE=False,  # up to 2.8
        fail_if_no_align=fail_if_no_align,
        fail_if_no_rir=fail_if_no_align,
        _load_lib=lambda _lib: False,
        _check_cuda_version=lambda: None,
    )
    return module
