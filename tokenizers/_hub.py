"""Finds, checks and loads the weights of published models; nothing is ever unpickled.

Weights lie in a folder that the person names, in `BENCH_WEIGHTS_DIR/<repository's name>`, in the
Hugging Face cache, or are fetched into that cache once, in this order. Whatever a person can mend
(no weights, other weights, half a file, pickles) is one sentence, told before any long work.
"""

from __future__ import annotations

import hashlib
import importlib
import json
import pickle
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from logging import CRITICAL
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bench.compat import ensure_torchaudio
from bench.errors import UserError, WeightsUnavailable
from bench.weights import home

if TYPE_CHECKING:
    import torch

CONFIG, SAFE = "config.json", "model.safetensors"
PICKLES = (".bin", ".pt", ".pth", ".ckpt")
_HUB_ID = re.compile(r"[\w-][\w.-]*/[\w-][\w.-]*")


@dataclass(frozen=True)
class Published:
    """Where the weights of tokenizer `name` are published.

    repository: hub id. file: the file of weights in it; beside it or in its place a folder may
    hold `model.safetensors`. folder: where in the repository both files lie. tensors_in_pickle:
    `file` is read by torch's `weights_only` reader, which takes tensors and refuses code.
    """

    name: str
    repository: str
    file: str = SAFE
    folder: str = ""
    tensors_in_pickle: bool = False


@dataclass(frozen=True)
class Weights:
    """One local copy: its folder, its file of weights and its parsed `config.json`."""

    name: str
    folder: Path
    file: Path
    config: Mapping[str, Any]

    def revision(self) -> str:
        """First 12 hex digits of the sha256 over `config.json` and the file of weights."""
        digest = hashlib.sha256()
        for path in (self.folder / CONFIG, self.file):
            with path.open("rb") as file:
                while block := file.read(1 << 20):
                    digest.update(block)
        return digest.hexdigest()[:12]


def find(source: Published, weights: str | None) -> Weights:
    """The weights in `weights` (a folder or a hub id), else those `source` names.

    Raises WeightsUnavailable where the hub's weights are not here and cannot be fetched, and
    UserError for a folder that does not hold what it should.
    """
    if weights is not None:
        given = Path(weights).expanduser()
        if given.is_dir():
            return _opened(source, given)
        if not _HUB_ID.fullmatch(weights):
            raise UserError(f"{source.name}: the folder weights={weights} does not exist")
    repository = weights or source.repository
    kept = home() / repository.rpartition("/")[2]
    return _opened(source, kept if kept.is_dir() else _snapshot(source, repository, kept))


def _snapshot(source: Published, repository: str, kept: Path) -> Path:
    """The repository's folder in the Hugging Face cache, fetched where it is not there."""
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HfHubHTTPError

    prefix = f"{source.folder}/" if source.folder else ""
    files = [f"{prefix}{name}" for name in dict.fromkeys((CONFIG, source.file, SAFE))]
    try:
        folder = Path(snapshot_download(repository, allow_patterns=files, local_files_only=True))
        if (_inside(source, folder) / CONFIG).is_file() and _candidates(source, folder):
            return folder  # whole, so nothing is asked of the network
    except (OSError, ValueError):
        pass
    try:
        return Path(snapshot_download(repository, allow_patterns=files, etag_timeout=10))
    except (OSError, ValueError, HfHubHTTPError) as error:
        reason = " ".join(str(error).split())[:200]
        raise WeightsUnavailable(
            f"the weights of {source.name} (hub id {repository}, looked for in {kept} and in the "
            f"Hugging Face cache; download failed: {reason})",
            f"hf download {repository} {' '.join(files[:2])} --local-dir {kept}",
        ) from error


def _inside(source: Published, folder: Path) -> Path:
    nested = folder / source.folder
    return nested if nested.is_dir() else folder


def _candidates(source: Published, folder: Path) -> list[Path]:
    """Files of weights in the order of preference: safetensors first."""
    place = _inside(source, folder)
    return [p for name in dict.fromkeys((SAFE, source.file)) if (p := place / name).is_file()]


def _opened(source: Published, folder: Path) -> Weights:
    place = _inside(source, folder)
    if not (place / CONFIG).is_file():
        raise UserError(
            f"{source.name}: {folder} lacks {CONFIG}; name the folder that holds it and "
            f"{source.file}"
        )
    found = _candidates(source, folder)
    if not found:
        pickles = sorted(p.name for p in place.iterdir() if p.suffix in PICKLES)
        if pickles and not source.tensors_in_pickle:
            raise UserError(
                f"{source.name}: {folder} holds only pickles ({', '.join(pickles)}), which can "
                f"run code and are not opened; save the weights as {SAFE}"
            )
        raise UserError(f"{source.name}: {folder} lacks the weights {source.file}")
    return Weights(source.name, place, found[0], _config(source.name, place / CONFIG))


def _config(name: str, path: Path) -> Mapping[str, Any]:
    try:
        config = json.loads(path.read_text(encoding="utf-8"))
    except (ValueError, OSError) as error:
        raise UserError(f"{name}: {path} is not JSON ({error}); fetch it again") from error
    if not isinstance(config, dict):
        raise UserError(f"{name}: {path} holds no configuration; fetch it again")
    return config


# ------------------------------------------------------------------------------------ into models
def package(name: str) -> Any:
    """The imported package; UserError with the command that installs it where it is missing."""
    try:
        return importlib.import_module(name)
    except ImportError as error:
        raise UserError(
            f"the package {error.name or name} is not installed; get it with: "
            "pip install -c constraints.txt '.[codecs]'"
        ) from error


def pretrained(weights: Weights, architecture: str, device: str) -> Any:
    """The transformers model `architecture` with exactly the weights of the folder, on `device`.

    Raises UserError for a configuration of another architecture, a file that is no safetensors
    or is cut short, and weights that are missing, left over or of another shape.
    """
    ensure_torchaudio()  # some of these models import it
    model = getattr(package("transformers"), architecture)
    kind, wanted = weights.config.get("model_type"), model.config_class.model_type
    if kind != wanted:
        raise UserError(
            f"{weights.name}: {weights.folder} holds a model of type '{kind}', not '{wanted}'; "
            "name the folder or hub id of the right one"
        )
    _whole_safetensors(weights)
    try:
        with quiet():
            made, told = model.from_pretrained(
                weights.folder,
                local_files_only=True,
                use_safetensors=True,
                output_loading_info=True,
                dtype="float32",
            )
    except (OSError, ValueError, TypeError, RuntimeError, AttributeError) as error:
        reason = " ".join(str(error).split())[:200]
        raise UserError(
            f"{weights.name}: {weights.folder} does not fit its own configuration ({reason})"
        ) from error
    _complete(weights, *(told.get(k, ()) for k in ("missing_keys", "unexpected_keys")))
    return made.to(device).eval().requires_grad_(False)


def fill(weights: Weights, model: torch.nn.Module, device: str) -> Any:
    """`model` with the tensors of `weights.file`, every one of them, on `device`."""
    state = tensors_of(weights)
    own = model.state_dict()
    other = [k for k in own if k in state and own[k].shape != state[k].shape]
    if other:
        raise UserError(
            f"{weights.name}: {weights.file} holds weights of another shape than its "
            f"{CONFIG} says, such as {other[0]}; fetch both again"
        )
    _complete(weights, set(own) - set(state), set(state) - set(own))
    model.load_state_dict(state)
    return model.to(device).eval().requires_grad_(False)


def _complete(weights: Weights, missing: Any, unexpected: Any) -> None:
    for keys, what in ((missing, "lacks"), (unexpected, "has more than the model:")):
        if keys:
            raise UserError(
                f"{weights.name}: {weights.file} {what} {len(keys)} weights, such as "
                f"{min(keys)}; it belongs to another model, fetch the right one"
            )


def _whole_safetensors(weights: Weights) -> None:
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(weights.file, framework="pt"):
            pass
    except (SafetensorError, OSError) as error:
        raise UserError(
            f"{weights.name}: {weights.file} is not a whole safetensors file ({error}); "
            "fetch it again"
        ) from error


def tensors_of(weights: Weights) -> dict[str, torch.Tensor]:
    """Name → tensor; UserError for a damaged file and for a pickle that holds more."""
    import torch

    if weights.file.suffix == ".safetensors":
        from safetensors.torch import load_file

        _whole_safetensors(weights)
        return load_file(weights.file)
    try:
        state = torch.load(weights.file, map_location="cpu", weights_only=True)
    except (pickle.UnpicklingError, RuntimeError, EOFError, OSError, ValueError) as error:
        raise UserError(
            f"{weights.name}: {weights.file} is damaged, or holds more than tensors, which is "
            "not opened; fetch it again"
        ) from error
    if not isinstance(state, dict) or not all(isinstance(v, torch.Tensor) for v in state.values()):
        raise UserError(f"{weights.name}: {weights.file} is no table of named tensors")
    return state


@contextmanager
def quiet() -> Iterator[None]:
    """transformers without its progress bar and report: what is wrong is told in a sentence."""
    from transformers.utils import logging

    level, bars = logging.get_verbosity(), logging.is_progress_bar_enabled()
    logging.set_verbosity(CRITICAL)
    logging.disable_progress_bar()
    try:
        yield
    finally:
        logging.set_verbosity(level)
        if bars:
            logging.enable_progress_bar()


# --------------------------------------------------------------------------------------- options
def at_rate(weights: Weights, found: Any, wanted: int, option: str) -> None:
    """UserError where the weights are for another sample rate (Hz) than the option says."""
    if found != wanted:
        raise UserError(
            f"{weights.name}: {weights.folder} is for {found} Hz, and {option} means {wanted} Hz; "
            "choose the option that fits the weights"
        )


def count_of(name: str, given: int | None, most: int) -> int:
    """The number of codebooks: `given`, or all; UserError outside 1 to `most`."""
    if given is None:
        return most
    if not 1 <= given <= most:
        raise UserError(f"{name}: codebooks={given} is not possible; choose 1 to {most}")
    return given
