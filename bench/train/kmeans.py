"""`bench train kmeans`: an encoder's frames of a corpus, clustered, with a card."""

from __future__ import annotations

import argparse
import hashlib
from pathlib import Path

import numpy as np
import torch

from bench import checkpoint
from bench.contracts import Ids
from bench.device import resolve
from bench.errors import UserError
from bench.kmeans import KIND, features_of
from bench.ssl_encoders import load_encoder
from bench.train.clustering import Settings, fit, resumed
from bench.train.frames import extract, remove
from bench.train.runs import Rows, command, keep_list, table

CARD = """# k-means, k = {k}, of {encoder}

{k} centroids of the frames of {source}, {model}, {layer}: {dimension} dimensions, {rate} Hz.
Trained with seed {seed} in {passes} passes over {frames} frames; the mean squared distance of a
frame to its centroid fell from {first} (first pass) to {inertia}. All {k} are used on this speech,
the rarest {least} times; perplexity {perplexity}.

Trained on (`data.csv` lists the recordings):

{table}

    {command}
"""


def train_kmeans(arguments: argparse.Namespace, found: Rows) -> int:
    """`bench train kmeans`: frames of the recordings `found`, clustered, written to --out."""
    settings, folder = Settings(arguments.k, arguments.passes, arguments.seed), Path(arguments.out)
    if settings.passes < 1:
        raise UserError(f"--passes {settings.passes} is not possible: choose 1 or more")
    device = resolve(arguments.device)
    encoder = load_encoder(
        arguments.encoder,
        model=arguments.model,
        layer=arguments.layer,
        device=device,
        threads=arguments.threads,
    )
    about = features_of(encoder)
    names = "\n".join(sorted(str(row["utterance"]) for row in found))
    told = f"{about}, at most {arguments.frames}, of {hashlib.sha256(names.encode()).hexdigest()}"
    resumed(folder, settings, told)  # another run's folder is refused before any work
    keep_list(folder, found)
    frames = extract(
        encoder, found, folder, most=arguments.frames, seed=settings.seed, settings=about
    )
    made = fit(frames, settings, folder, device, told=told)
    entropy = perplexity(made.counts)
    config = {**about, "k": settings.k, "revision": encoder.revision, "frames": len(frames)}
    card = CARD.format(
        k=settings.k, encoder=encoder.name, model=encoder.model, layer=told_layer(encoder.layer),
        source=encoder.source, rate=f"{about['rate']:.2f}", dimension=encoder.dimension,
        table=table(found), frames=len(frames), passes=settings.passes, seed=settings.seed,
        inertia=f"{made.inertia[-1]:.5g}", first=f"{made.inertia[0]:.5g}",
        least=int(made.counts.min()), perplexity=f"{entropy:.0f}", command=command(),
    )  # fmt: skip
    tensors = {"centroids": torch.from_numpy(made.centroids)}
    checkpoint.save(folder, KIND, config, tensors, card=card)
    remove(folder)
    print(
        f"{folder}: {settings.k} centroids of {len(frames)} frames, inertia "
        f"{made.inertia[-1]:.5g}, all used, perplexity {entropy:.0f}"
    )
    return 0


def perplexity(counts: Ids) -> float:
    """2 to the power of the entropy of the use: as many centroids used alike would do the same."""
    share = counts[counts > 0] / counts.sum()
    return float(np.exp(-(share * np.log(share)).sum()))


def told_layer(layer: int | None) -> str:
    return "last layer" if layer is None else f"hidden state {layer}"
