"""`bench train bpe`: merges of units that follow each other often, for one or more sizes."""

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
from bench.unit_bpe import UnitBpe, folder_of, learn, save

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
    """Units of the recordings `found`, merged; a folder in --out for each of --merges."""
    out, dedup = Path(arguments.out), not arguments.every_frame
    wanted = sorted(set(arguments.merges or [2000]))
    if wanted[0] < 1:
        raise UserError(f"--merges {wanted[0]} is not possible: choose 1 or more")
    kmeans = load_kmeans(Path(arguments.kmeans) if arguments.kmeans else out / "kmeans")
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
    seconds = sum(row["seconds"] for row in found)
    for merges in wanted:
        _write(out / folder_of(merges, dedup), units, kmeans, merges, dedup, found, seconds)
    return 0


def units_of(encoder: Encoder, kmeans: KMeans, found: Rows, dedup: bool) -> list[Ids]:
    """The units of each recording, without repetitions where `dedup`."""
    ids = [kmeans.ids(frames) for frames in recordings(encoder, found)]
    return [deduplicated(item)[0] for item in ids] if dedup else ids


def _write(folder: Path, units: list[Ids], kmeans: KMeans, merges: int, dedup: bool, found: Rows,
           seconds: float) -> None:  # fmt: skip
    k = len(kmeans.centroids)
    made = learn(units, k, merges)
    config = {"k": k, "merges": merges, "dedup": dedup, "kmeans": kmeans.revision}
    keep_list(folder, found)
    bpe = UnitBpe(made, config, "")
    lengths = [len(bpe.encode(item)) for item in units]
    longest = max(len(bpe.decode(np.array([token]))) for token in range(bpe.vocabulary))
    before, after = sum(map(len, units)) / seconds, sum(lengths) / seconds
    card = CARD.format(
        merges=merges, k=k, kmeans=kmeans.revision, vocabulary=bpe.vocabulary, before=before,
        repeats="without repetitions (`dedup=true`)" if dedup else "one a frame (`dedup=false`)",
        after=after, longest=longest, table=table(found), command=command(),
    )  # fmt: skip
    save(folder, made, config, card)
    print(f"{folder}: {before:.2f} units a second become {after:.2f} tokens of {bpe.vocabulary}")
