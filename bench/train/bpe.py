"""`bench train bpe`: merges of units that follow each other often."""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np

from bench.contracts import Ids
from bench.dedup import deduplicated
from bench.device import resolve
from bench.errors import UserError
from bench.kmeans import KMeans, load_kmeans
from bench.ssl_encoders import Encoder, load_encoder
from bench.train.frames import recordings
from bench.train.runs import Rows, command, keep_list, table
from bench.unit_bpe import UnitBpe, learn, save

CARD = """# BPE of units, {merges} merges

Of the {k} units of the k-means {kmeans}, {repeats}. Vocabulary {vocabulary}.
On the speech it was made on, {before:.2f} units a second become {after:.2f} tokens; a token is
{longest} units long at most. Pairs of equal count are ordered by their ids: the same speech gives
the same merges.

Made on (`data.csv` lists the recordings):

{table}

    {command}
"""


def train_bpe(arguments: argparse.Namespace, found: Rows) -> int:
    """Units of the recordings `found`, merged; the folder --out."""
    folder, merges, dedup = Path(arguments.out), arguments.merges, not arguments.every_frame
    if merges < 1:
        raise UserError(f"--merges {merges} is not possible: choose 1 or more")
    kmeans = load_kmeans(Path(arguments.kmeans))
    about = kmeans.config
    encoder = load_encoder(
        about["encoder"],
        model=arguments.model,
        layer=about["layer"],
        device=resolve(arguments.device),
        threads=arguments.threads,
    )
    kmeans.fits(encoder)
    units = units_of(encoder, kmeans, found, dedup)
    k = len(kmeans.centroids)
    made = learn(units, k, merges)
    config = {"k": k, "merges": merges, "dedup": dedup, "kmeans": kmeans.revision}
    bpe = UnitBpe(made, config, "")
    seconds = sum(row["seconds"] for row in found)
    before = sum(map(len, units)) / seconds
    after = sum(len(bpe.encode(item)) for item in units) / seconds
    card = CARD.format(
        merges=merges, k=k, kmeans=kmeans.revision, vocabulary=bpe.vocabulary, before=before,
        repeats="without repetitions (`dedup=true`)" if dedup else "one a frame (`dedup=false`)",
        after=after, longest=max(len(bpe.decode(np.array([t]))) for t in range(bpe.vocabulary)),
        table=table(found), command=command(),
    )  # fmt: skip
    keep_list(folder, found)
    save(folder, made, config, card)
    print(f"{folder}: {before:.2f} units a second become {after:.2f} tokens of {bpe.vocabulary}")
    return 0


def units_of(encoder: Encoder, kmeans: KMeans, found: Rows, dedup: bool) -> list[Ids]:
    """The units of each recording, without repetitions where `dedup`."""
    ids = [kmeans.ids(frames) for frames in recordings(encoder, found)]
    return [deduplicated(item)[0] for item in ids] if dedup else ids
