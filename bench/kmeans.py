"""k-means units: frames to the index of the nearest centroid, and the checkpoint of centroids."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from bench import checkpoint
from bench.contracts import Ids
from bench.errors import UserError

if TYPE_CHECKING:
    from bench.ssl_encoders import Encoder

KIND = "kmeans"
NEEDED = {"encoder", "model", "layer", "weights", "dimension", "rate", "k"}
CHUNK = 16_384  # frames at a time, for a flat memory


@dataclass(frozen=True)
class KMeans:
    """centroids: float32 [k, D]; config: which encoder's frames they are of (see `features_of`);
    revision: identifies both."""

    centroids: npt.NDArray[np.float32]
    config: dict[str, Any]
    revision: str
    folder: Path

    def ids(self, frames: npt.NDArray[np.float32]) -> Ids:
        """float32 [T, D] → int64 [T], each in [0, k)."""
        return nearest(frames, self.centroids)[0]

    def fits(self, encoder: Encoder) -> None:
        """UserError where the centroids are of another encoder's, layer's or model's frames."""
        made = features_of(encoder)
        for key in ("encoder", "layer", "weights", "dimension"):
            if self.config[key] != made[key]:
                raise UserError(
                    f"the k-means in {self.folder} is of {key} {self.config[key]} (model "
                    f"{self.config['model']}), not of {made[key]} (model {made['model']}): choose "
                    "what it is of, or train another with "
                    f"`{train_command(encoder.name, encoder.layer, len(self.centroids))}`"
                )


def nearest(
    frames: npt.NDArray[np.float32], centroids: npt.NDArray[np.float32]
) -> tuple[Ids, npt.NDArray[np.float64]]:
    """(int64 [T], float64 [T]): index of and squared distance to the nearest of `centroids`.

    In float64, so that rounding, which differs between machines and numbers of threads, decides
    no id. Of equally near centroids the first is taken.
    """
    table = centroids.astype(np.float64)
    half = 0.5 * np.square(table).sum(axis=1)
    ids = np.empty(len(frames), dtype=np.int64)
    distances = np.empty(len(frames))
    for start in range(0, len(frames), CHUNK):
        part = np.asarray(frames[start : start + CHUNK], dtype=np.float64)
        scores = half - part @ table.T
        found = scores.argmin(axis=1)
        ids[start : start + CHUNK] = found
        distances[start : start + CHUNK] = np.square(part - table[found]).sum(axis=1)
    return ids, distances


def features_of(encoder: Encoder) -> dict[str, Any]:
    """What a checkpoint says of the frames it is of. rate: Hz."""
    return {
        "encoder": encoder.name,
        "model": encoder.model,
        "layer": encoder.layer,
        "weights": encoder.weights,
        "dimension": encoder.dimension,
        "rate": 16_000 / encoder.hop,
    }


def load_kmeans(folder: Path) -> KMeans:
    """Read the centroids in `folder`; UserError where there are none or they are damaged."""
    found = checkpoint.load(folder, KIND)
    centroids = found.tensors.get("centroids")
    wanted = [found.config.get("k"), found.config.get("dimension")]
    whole = set(found.tensors) == {"centroids"} and set(found.config) >= NEEDED
    if not whole or centroids is None or list(centroids.shape) != wanted:
        raise UserError(
            f"{folder} does not fit its own config.json: it should hold centroids of shape "
            f"{wanted} and say whose frames they are of; train it anew or fetch it again"
        )
    table = centroids.float().numpy()
    if not np.isfinite(table).all():
        raise UserError(f"{folder} holds centroids that are not finite; train it anew")
    return KMeans(table, found.config, found.revision, folder)


def train_command(encoder: str, layer: int | None, k: int) -> str:
    """How a person makes such a k-means."""
    at = "" if layer is None else f" --layer {layer}"
    return f"bench train kmeans --encoder {encoder}{at} --k {k} --data DATA --out DIR/kmeans"
