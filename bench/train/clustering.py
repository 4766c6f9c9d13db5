"""Training of k-means on an encoder's frames: k-means++, then mini-batch passes over them all.

A pass is Sculley's mini-batch k-means ("Web-Scale K-Means Clustering", 2010): a centroid is the
running mean of the frames that fell to it. It starts with a tenth of the frames that fell to it
at the end of the pass before, so that centroids forget what was theirs when they lay elsewhere.
After each pass all frames are assigned, and a centroid that got none becomes the frame that lies
farthest from its own. A run that was killed goes on after its last pass and ends the same.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save

from bench.contracts import Ids
from bench.errors import UserError
from bench.kmeans import CHUNK, nearest

Table = npt.NDArray[np.float32]
Distances = npt.NDArray[np.float64]

INIT = 20
"""Frames a centroid among which k-means++ chooses."""
BATCH = 8192
REMEMBERED = 0.1
ROUNDS = 50
"""Times that unused centroids are moved before it is given up."""
STATE = "state.safetensors"


@dataclass(frozen=True)
class Settings:
    """k: centroids; passes: over all frames; seed: of every random choice."""

    k: int
    passes: int = 20
    seed: int = 0


@dataclass(frozen=True)
class Fit:
    """centroids: float32 [k, D]; counts: frames that fall to each, int64 [k]; inertia: mean
    squared distance of a frame to its centroid after each pass."""

    centroids: Table
    counts: Ids
    inertia: tuple[float, ...] = ()


def fit(frames: Table, settings: Settings, folder: Path, device: str, *,
        told: str = "", quiet: bool = False) -> Fit:  # fmt: skip
    """Cluster float32 [N, D] (which may be mapped from disk) into `settings.k`.

    device: "cpu" (scikit-learn) or one of torch. told: identifies the frames; a state in
    `folder` of other frames, k or seed is refused. UserError where k cannot be had.
    """
    _possible(frames, settings.k)
    now = resumed(folder, settings, told)
    if now is None:
        random = np.random.default_rng((settings.seed, 0))
        chosen = random.choice(len(frames), min(len(frames), INIT * settings.k), replace=False)
        centroids = plus_plus(frames[np.sort(chosen)], settings.k, settings.seed)
        now = Fit(centroids, np.ones(settings.k, dtype=np.int64))  # each is one frame
    run = sklearn_pass if device == "cpu" else torch_pass
    columns = (TextColumn("k-means"), BarColumn(), TextColumn("{task.fields[told]}"),
               TimeElapsedColumn(), TimeRemainingColumn())  # fmt: skip
    with Progress(*columns, disable=quiet) as bar:
        task = bar.add_task("", total=settings.passes, completed=len(now.inertia), told="")
        while len(now.inertia) < settings.passes:
            number = len(now.inertia) + 1
            weights = (REMEMBERED * now.counts).astype(np.float32)
            moved = run(now.centroids, weights, batches(frames, settings, number), device)
            last = number == settings.passes
            centroids, counts, inertia = settled(frames, moved, device, ROUNDS if last else 1)
            now = Fit(centroids, counts, (*now.inertia, inertia))
            _save(folder / STATE, now, _identity(settings, told))
            bar.update(task, completed=number, told=f"{number} inertia {inertia:.5g}")
    return now


def _possible(frames: Table, k: int) -> None:
    if k < 2:
        raise UserError(f"--k {k} is not possible: choose 2 or more")
    if len(frames) < k:
        raise UserError(
            f"--k {k} is more than the {len(frames)} frames there are: give more --data or a "
            "smaller --k"
        )


def batches(frames: Table, settings: Settings, number: int) -> Iterator[Table]:
    """All frames once, in an order that depends on seed and pass alone, k at least at a time."""
    order = np.random.default_rng((settings.seed, number)).permutation(len(frames))
    size = max(BATCH, 4 * settings.k)
    for part in np.array_split(order, -(-len(order) // size)):
        yield np.asarray(frames[np.sort(part)], dtype=np.float32)  # sorted: kinder to the disk


def plus_plus(sample: Table, k: int, seed: int) -> Table:
    """k-means++ (Arthur and Vassilvitskii, 2007) by scikit-learn: float32 [k, D]."""
    from sklearn.cluster import kmeans_plusplus

    return kmeans_plusplus(np.asarray(sample), k, random_state=seed)[0].astype(np.float32)


# -------------------------------------------------------------------------------------- one pass
def sklearn_pass(centroids: Table, weights: Table, parts: Iterator[Table], device: str) -> Table:
    """Centroids after a pass of scikit-learn's MiniBatchKMeans.

    It is given the weights that the centroids begin with by the centroids themselves as a first
    batch. Its random re-seeding is off: see `settled`.
    """
    from sklearn.cluster import MiniBatchKMeans

    model = MiniBatchKMeans(len(centroids), init=centroids, n_init=1, random_state=0,
                            reassignment_ratio=0, compute_labels=False)  # fmt: skip
    model.partial_fit(centroids, sample_weight=weights)
    for part in parts:
        model.partial_fit(part)
    moved: Table = model.cluster_centers_.astype(np.float32)
    return moved


def torch_pass(centroids: Table, weights: Table, parts: Iterator[Table], device: str) -> Table:
    """The same by torch on `device`."""
    table = torch.from_numpy(centroids.copy()).to(device)
    counts = torch.from_numpy(weights.copy()).to(device)
    for part in parts:
        x = torch.from_numpy(part).to(device)
        ids = (0.5 * table.square().sum(1) - x @ table.T).argmin(1)
        new = torch.bincount(ids, minlength=len(table)).to(counts.dtype)
        sums = (table * counts[:, None]).index_add_(0, ids, x)
        counts = counts + new
        table = torch.where(new[:, None] > 0, sums / counts.clamp(min=1e-9)[:, None], table)
    return table.cpu().numpy()


def assigned(frames: Table, centroids: Table, device: str) -> tuple[Ids, Distances]:
    """`bench.kmeans.nearest` in chunks, on `device`."""
    if device == "cpu":
        return nearest(frames, centroids)
    table = torch.from_numpy(centroids).to(device, torch.float64)
    half = 0.5 * table.square().sum(1)
    ids, distances = np.empty(len(frames), np.int64), np.empty(len(frames))
    for start in range(0, len(frames), CHUNK):
        part = slice(start, start + CHUNK)
        x = torch.from_numpy(np.array(frames[part])).to(device, torch.float64)
        found = (half - x @ table.T).argmin(1)
        ids[part] = found.cpu().numpy()
        distances[part] = (x - table[found]).square().sum(1).cpu().numpy()
    return ids, distances


def settled(frames: Table, centroids: Table, device: str, rounds: int) -> tuple[Table, Ids, float]:
    """(centroids, counts, inertia) after moving unused centroids to the farthest frames.

    rounds: how often at most; a moved centroid may leave another without frames. With one round
    only, what it leaves is for the next pass. UserError where `rounds` > 1 do not suffice.
    """
    centroids = centroids.copy()
    for left in reversed(range(rounds + 1)):
        ids, distances = assigned(frames, centroids, device)
        counts = np.bincount(ids, minlength=len(centroids))
        unused = np.flatnonzero(counts == 0)
        if not len(unused) or not left:
            break
        far = _farthest(frames, distances, len(unused))
        if not len(far):  # every frame lies on a centroid
            break
        centroids[unused[: len(far)]] = far
    if len(unused) and rounds > 1:
        raise UserError(
            f"{len(unused)} of {len(centroids)} centroids stay without a frame: the frames hold "
            "fewer different values than that; give more --data or a smaller --k"
        )
    return centroids, counts, float(distances.mean())


def _farthest(frames: Table, distances: Distances, count: int) -> Table:
    """Up to `count` different frames, those farthest from their centroids first."""
    order = np.argsort(-distances, kind="stable")[: 4 * count]
    rows = np.asarray(frames[order[distances[order] > 0]], dtype=np.float32)
    first = np.sort(np.unique(rows, axis=0, return_index=True)[1])
    return rows[first[:count]]


# ----------------------------------------------------------------------------------------- state
def _save(path: Path, now: Fit, settings: str) -> None:
    tensors: dict[str, npt.NDArray[Any]] = {
        "centroids": now.centroids,
        "counts": now.counts,
        "inertia": np.array(now.inertia),
    }
    scratch = path.with_suffix(".part")
    scratch.write_bytes(save(tensors, metadata={"settings": settings}))
    scratch.replace(path)


def _identity(settings: Settings, told: str) -> str:
    """What must be the same for a run to go on; more passes may be asked for."""
    return json.dumps({"k": settings.k, "seed": settings.seed, "frames": told})


def resumed(folder: Path, settings: Settings, told: str) -> Fit | None:
    """The last pass of the run in `folder`, None where there is none; UserError where it is of
    other settings or damaged."""
    path = folder / STATE
    if not path.is_file():
        return None
    try:
        with safe_open(path, framework="np") as file:
            kept = (file.metadata() or {}).get("settings")
            found = {name: file.get_tensor(name) for name in ("centroids", "counts", "inertia")}
    except (SafetensorError, OSError) as error:
        raise UserError(f"{path} is damaged ({error}); delete it to begin anew") from error
    if kept != _identity(settings, told):
        raise UserError(
            f"{path.parent} holds a run of other speech, encoder, k or seed; give the same to go "
            "on, or another --out"
        )
    return Fit(found["centroids"], found["counts"], tuple(map(float, found["inertia"])))
