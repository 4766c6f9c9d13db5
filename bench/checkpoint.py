"""Trained weights on disk: a folder of `model.safetensors`, `config.json` and `CARD.md`.

`config.json` holds `format` (of this layout), `kind` (what the weights are) and `config` (what
builds the module); `data.csv` lists what it was trained on. Nothing there is ever unpickled.
"""

from __future__ import annotations

import csv
import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bench.errors import UserError

if TYPE_CHECKING:
    import torch

FORMAT = 1
WEIGHTS, CONFIG, CARD, DATA = "model.safetensors", "config.json", "CARD.md", "data.csv"
PICKLES = ("*.pt", "*.pth", "*.ckpt", "*.bin", "*.pkl")
SHIPPED = Path(__file__).parent / "trained"
"""Where the checkpoints that come with the project lie, a folder each."""


@dataclass(frozen=True)
class Checkpoint:
    """config: what builds the module; tensors: name → tensor; revision: first 12 hexadecimal
    digits of the sha256 of configuration and weights."""

    config: dict[str, Any]
    tensors: dict[str, torch.Tensor]
    revision: str
    folder: Path
    kind: str

    def speakers(self) -> tuple[str, ...] | None:
        """Whom it was trained on, from `data.csv` where there is one."""
        listed = self.folder / DATA
        if not listed.is_file():
            return None
        with listed.open(newline="", encoding="utf-8") as file:
            return tuple(sorted({row.get("speaker") or "" for row in csv.DictReader(file)} - {""}))

    def fill(self, module: torch.nn.Module) -> None:
        """Copy the tensors into `module` (float16 is widened); every name and shape must fit."""
        wanted = module.state_dict()
        if odd := sorted(set(wanted) ^ set(self.tensors)):
            raise UserError(
                f"{self.folder} does not fit its own {CONFIG}: {len(odd)} tensors are missing or "
                f"not known, {odd[0]} among them; train it anew or fetch it again"
            )
        for name, tensor in self.tensors.items():
            if wanted[name].shape != tensor.shape:
                raise UserError(
                    f"{self.folder} does not fit its own {CONFIG}: {name} has shape "
                    f"{list(tensor.shape)}, not {list(wanted[name].shape)}; train it anew or "
                    "fetch it again"
                )
        module.load_state_dict({n: t.to(wanted[n].dtype) for n, t in self.tensors.items()})


def save(
    folder: Path,
    kind: str,
    config: Mapping[str, Any],
    tensors: Mapping[str, torch.Tensor],
    *,
    card: str = "",
    half: bool = False,
) -> None:
    """Write a checkpoint; each file appears whole. half: store floats as float16."""
    import torch
    from safetensors.torch import save as pack

    folder.mkdir(parents=True, exist_ok=True)
    kept = {
        name: (t.detach().half() if half and t.dtype == torch.float32 else t.detach())
        .cpu()
        .contiguous()
        .clone()
        for name, t in tensors.items()
    }
    about = {"format": FORMAT, "kind": kind, "config": dict(config)}
    _write(folder / WEIGHTS, pack(kept))
    _write(folder / CONFIG, (json.dumps(about, indent=1) + "\n").encode())
    if card:
        _write(folder / CARD, card.encode())


def _write(path: Path, data: bytes) -> None:
    scratch = path.with_name(f".{path.name}.part")
    scratch.write_bytes(data)
    scratch.replace(path)


def find(name: str, weights: str | None) -> Path:
    """The folder `weights` where a person names one, else the shipped checkpoint `name`."""
    folder = Path(weights) if weights else SHIPPED / name
    if not folder.is_dir():
        raise UserError(
            f"the folder weights={weights} does not exist"
            if weights
            else f"no checkpoint '{name}' ships with this version; name a folder: --set weights=DIR"
        )
    return folder


def load(folder: Path, *kinds: str) -> Checkpoint:
    """Read a checkpoint of one of `kinds`; UserError where it is none, of another kind or format,
    or damaged."""
    from safetensors import SafetensorError
    from safetensors.torch import load as unpack

    config, weights = folder / CONFIG, folder / WEIGHTS
    for path in (config, weights):
        if not path.is_file():
            pickled = sorted(p.name for glob in PICKLES for p in folder.glob(glob))
            found = (
                f" ({pickled[0]} is a pickle, which can run code when it is read and is refused)"
                if pickled
                else ""
            )
            raise UserError(
                f"{folder} is no {kinds[0]} checkpoint: it lacks {path.name}{found}; make one with "
                "`bench train`"
            )
    try:
        about = json.loads(config.read_text(encoding="utf-8"))
        version, found_kind, inner = about["format"], about["kind"], about["config"]
    except (ValueError, KeyError, TypeError) as error:
        raise UserError(
            f"{config} is no configuration of a checkpoint ({error}); make one with `bench train`"
        ) from error
    if found_kind not in kinds:
        wanted = "' or '".join(kinds)
        raise UserError(f"{folder} holds a checkpoint of '{found_kind}', not of '{wanted}'")
    if version != FORMAT:
        raise UserError(
            f"{folder} has checkpoint format {version}, this version reads {FORMAT}: use the "
            "version that wrote it or train it anew"
        )
    data = weights.read_bytes()
    try:
        tensors = unpack(data)
    except SafetensorError as error:
        raise UserError(
            f"{weights} is damaged or no safetensors file ({error}); fetch or train it again"
        ) from error
    digest = hashlib.sha256(json.dumps(inner, sort_keys=True).encode() + data).hexdigest()[:12]
    return Checkpoint(inner, tensors, digest, folder, found_kind)
