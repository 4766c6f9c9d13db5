"""Which layer of an encoder to cluster: how much its k-means units tell of the phone.

    python -m bench.train.layers --encoder moonshine --k 500 --data mini --language en

prints PNMI (by which HuBERT's authors chose theirs) and unit changes a second for every layer, on
the aligned recordings of the train split: choosing on what is tested would flatter the test.
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

from bench.encoder_names import NAMES
from bench.errors import UserError
from bench.kmeans import nearest
from bench.ssl_encoders import RATE, load_encoder
from bench.tokenstats.counts import Counts
from bench.tokenstats.phones import at_times, joint, pnmi
from bench.train import corpus
from bench.train.clustering import Settings, fit


def measure(name: str, layer: int, k: int, rows: list[dict[str, Any]]) -> tuple[float, float]:
    """(PNMI, unit changes a second) of `k` units of one layer on aligned recordings."""
    encoder = load_encoder(name, layer=layer, threads=1)
    names = sorted({p["phone"] for row in rows for p in row["phones"]})
    frames, phones = [], []
    for row, clip in zip(rows, corpus.clips(rows), strict=True):
        frames.append(encoder.frames([clip.audio])[0])
        spans = row["phones"]
        times = (np.arange(len(frames[-1])) + 0.5) * encoder.hop / RATE
        starts, ends = (np.array([p[side] for p in spans]) for side in ("start", "end"))
        phones.append(at_times(times, starts, ends, np.array([names.index(p["phone"])
                                                              for p in spans])))  # fmt: skip
    every = np.concatenate(frames)
    with tempfile.TemporaryDirectory() as folder:
        centroids = fit(every, Settings(k), Path(folder), "cpu", quiet=True).centroids
    ids = [nearest(part, centroids)[0] for part in frames]
    changes = sum(int((part[1:] != part[:-1]).sum()) for part in ids)
    told, units = np.concatenate(phones), np.concatenate(ids)
    aligned = told >= 0
    shared = Counts.of(joint(told[aligned], units[aligned], k))
    return pnmi(shared, k), changes / (len(every) * encoder.hop / RATE)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--encoder", choices=NAMES, default="moonshine")
    parser.add_argument("--layers", type=int, nargs="+", default=list(range(7)), metavar="N")
    parser.add_argument("--k", type=int, default=500)
    parser.add_argument("--data", action="append", default=[])
    parser.add_argument("--language", action="append", default=[])
    args = parser.parse_args()
    try:
        rows = corpus.rows(args.data or ["mini"], "train", language=args.language)
        aligned = [row for row in rows if isinstance(row.get("phones"), np.ndarray)]
        if not aligned:
            raise UserError("no recording there has a phone alignment (a column `phones`)")
        for layer in args.layers:
            found, changes = measure(args.encoder, layer, args.k, aligned)
            print(f"layer {layer}: PNMI {found:.3f}, {changes:.1f} changes/s", flush=True)
    except UserError as error:
        raise SystemExit(f"layers: {error}") from error


if __name__ == "__main__":
    main()
