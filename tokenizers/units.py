"""Units: an encoder's frames by k-means, without repetitions and merged (BPE) where wished."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from bench import checkpoint
from bench.contracts import AudioBatch, Ids, Samples, Stream, TokenizerInfo, Tokens
from bench.dedup import DURATIONS, deduplicated, duration_ids, durations_of
from bench.encoder_names import NAMES, EncoderName
from bench.errors import ItemFailure, UserError
from bench.kmeans import KMeans, load_kmeans, train_command
from bench.ssl_encoders import RATE, Encoder, Frames, load_encoder
from bench.unit_bpe import UnitBpe, folder_of, load_bpe

if TYPE_CHECKING:
    from bench.nn.vocoder import UnitVocoder

CARD: dict[str, Any] = {
    "family": "ssl",
    "sample_rate": 16_000,
    "frame_rate": 41.67,
    "streams": ((1, 500),),
    "kbps": 0.374,
    "licence": "MIT (encoder); speech: see CARD.md",
    "weights": (
        "package:moonshine-voice",
        "shipped:moonshine-k500/kmeans/model.safetensors",
        "shipped:moonshine-k500/vocoder/model.safetensors",
    ),
}


class Units:
    """One stream of units, or of their merges; with `durations` a second one of run lengths.

    Without `dedup` an utterance of L samples has ceil(L / hop) units. With it, repetitions go: the
    lengths of the runs are a stream of their own (see bench.dedup) or are predicted by the
    vocoder. BPE merges units; durations stay one for each unit before the merges.
    """

    def __init__(
        self,
        encoder: Encoder,
        kmeans: KMeans,
        bpe: UnitBpe | None,
        vocoder: UnitVocoder,
        spoken: str,
        *,
        dedup: bool,
        durations: bool,
    ) -> None:
        """spoken: the vocoder's revision."""
        self._encoder, self._kmeans, self._bpe, self._vocoder = encoder, kmeans, bpe, vocoder
        self._dedup, self._durations = dedup, durations
        k = len(kmeans.centroids)
        fixed = None if dedup or bpe else RATE / encoder.hop
        streams = [Stream("units", bpe.vocabulary if bpe else k, fixed)]
        if durations:
            streams.append(Stream("durations", DURATIONS))
        parts = [encoder.revision, kmeans.revision, *([bpe.revision] if bpe else []), spoken]
        self.info = TokenizerInfo(
            name="units",
            family="ssl",
            sample_rate=RATE,
            streams=tuple(streams),
            parameters=encoder.parameters + sum(p.numel() for p in vocoder.parameters()),
            licence=f"{encoder.licence} (encoder); k-means and vocoder: see their CARD.md",
            source=f"{encoder.source}; HuBERT units (Hsu et al., 2021), GSLM (Lakhotia et al., "
            "2021); unit vocoder (Polyak et al., 2021)",
            training_data=encoder.training_data,
            revision=";".join(parts),
            batching=encoder.batching,
        )

    def features(self, batch: AudioBatch) -> list[Frames]:
        """The encoder's frames, float32 [ceil(L / hop), D] for each utterance."""
        return self._encoder.frames(batch.items())

    def codebooks(self) -> list[npt.NDArray[np.float32]]:
        """[k, D]: the centroids, in the space of `features`; of the units, before any merges."""
        return [self._kmeans.centroids]

    def encode(self, batch: AudioBatch) -> list[Tokens]:
        """One or two arrays int64 [N] for each utterance."""
        return [self._tokens(self._kmeans.ids(frames)) for frames in self.features(batch)]

    def _tokens(self, units: Ids) -> Tokens:
        runs = np.ones(len(units), dtype=np.int64)
        if self._dedup:
            units, runs = deduplicated(units)
        merged = self._bpe.encode(units) if self._bpe else units
        return Tokens((merged, duration_ids(runs)) if self._durations else (merged,))

    def units(self, tokens: Tokens) -> tuple[Ids, Ids | None]:
        """(units, run lengths) of one item, as the vocoder takes them: lengths are 1 without
        `dedup`, and None where they are to be predicted. ItemFailure where the two streams do
        not fit each other."""
        units = self._bpe.decode(tokens.streams[0]) if self._bpe else tokens.streams[0]
        if not self._dedup:
            return units, np.ones(len(units), dtype=np.int64)
        if not self._durations:
            return units, None
        runs = durations_of(tokens.streams[1])
        if len(runs) != len(units):
            raise ItemFailure(f"{len(units)} units have {len(runs)} durations")
        return units, runs

    def decode(self, tokens: list[Tokens]) -> list[Samples]:
        """float32 [L] for each item, L = Σ run lengths · hop."""
        return [self._speak(*self.units(item)) for item in tokens]

    def _speak(self, units: Ids, runs: Ids | None) -> Samples:
        import torch

        if not len(units):
            return np.zeros(0, dtype=np.float32)
        lengths = None if runs is None else torch.from_numpy(runs)
        made = self._vocoder.speak(torch.from_numpy(units), lengths)
        return made.cpu().numpy().astype(np.float32, copy=False)


def load(
    *,
    device: str = "cpu",
    encoder: EncoderName = "moonshine",
    model: str | None = None,
    layer: int | None = None,
    k: int = 500,
    dedup: bool = False,
    durations: bool = False,
    bpe: int = 0,
    weights: str | None = None,
) -> Units:
    """encoder: whose frames; model: folder or hub id of its weights, else the usual ones; layer:
    index into its hidden states, else the k-means'; k: centroids; dedup:
    repetitions go; durations: with dedup, run lengths are a stream; bpe: merges, 0 for none;
    weights: a folder with `kmeans/`, `vocoder/` and `bpe-<N>/`, else what ships.

    Raises UserError for what is not possible or not at hand, with the command that makes it.
    """
    if durations and not dedup:
        raise UserError("units: durations=true needs dedup=true: without it every unit is a frame")
    if bpe < 0:
        raise UserError(f"units: bpe={bpe} is not possible; choose 0 or a number of merges")
    folder = _folder(encoder, layer, k, weights)
    kmeans = load_kmeans(folder / "kmeans")
    if kmeans.config["encoder"] != encoder or len(kmeans.centroids) != k:
        made = kmeans.config["encoder"], len(kmeans.centroids)
        raise UserError(
            f"units: the k-means in {folder} is of encoder={made[0]}, k={made[1]}, not of "
            f"encoder={encoder}, k={k}; choose these, or train another with "
            f"`{train_command(encoder, layer, k)}`"
        )
    merges = _merges(folder, kmeans, bpe, dedup) if bpe else None
    vocoder, spoken = _vocoder(folder, kmeans, device)
    layer = kmeans.config["layer"] if layer is None else layer
    listener = load_encoder(encoder, model=model, layer=layer, device=device, threads=1)
    kmeans.fits(listener)
    return Units(listener, kmeans, merges, vocoder, spoken, dedup=dedup, durations=durations)


def _folder(encoder: str, layer: int | None, k: int, weights: str | None) -> Path:
    """The folder with `kmeans/`; UserError that says what is at hand where there is none."""
    if weights:
        folder = checkpoint.find("", str(Path(weights).expanduser()))
        if not (folder / "kmeans").is_dir():
            raise UserError(
                f"units: {folder} has no folder kmeans; train one there with "
                f"`{train_command(encoder, layer, k)}`"
            )
        return folder
    folder = checkpoint.SHIPPED / f"{encoder}-k{k}"
    if not (folder / "kmeans").is_dir():
        shipped = sorted(
            p.parent.name for name in NAMES for p in checkpoint.SHIPPED.glob(f"{name}-k*/kmeans")
        )
        raise UserError(
            f"units: no k-means for encoder={encoder} with k={k} ships with this version (there "
            f"are {', '.join(shipped) or 'none'}); train one with "
            f"`{train_command(encoder, layer, k)}` and give --set weights=DIR"
        )
    return folder


def _merges(folder: Path, kmeans: KMeans, count: int, dedup: bool) -> UnitBpe:
    name = folder_of(count, dedup)
    every = "" if dedup else " --every-frame"
    made = (
        f"`bench train bpe --kmeans {folder}/kmeans --merges {count}{every} --data DATA "
        f"--out {folder}/{name}`"
    )
    if not (folder / name).is_dir():
        there = [p.name.split("-") for p in sorted(folder.glob("bpe-*"))]
        told = [f"bpe={p[1]} with dedup={str(len(p) == 2).lower()}" for p in there]
        raise UserError(
            f"units: bpe={count} with dedup={str(dedup).lower()} is not at hand in {folder} (there "
            f"is {', '.join(['bpe=0', *told])}); make it with {made}"
        )
    bpe = load_bpe(folder / name)
    wanted = {"k": len(kmeans.centroids), "merges": count, "dedup": dedup}
    if bpe.config != {**wanted, "kmeans": kmeans.revision}:
        raise UserError(
            f"units: {folder / name} was made of other units than those of the k-means "
            f"beside it ({kmeans.revision}); make it anew with {made}"
        )
    return bpe


def _vocoder(folder: Path, kmeans: KMeans, device: str) -> tuple[UnitVocoder, str]:
    """The vocoder and its revision."""
    from bench.nn.vocoder import KIND, load_vocoder

    made = f"`bench train vocoder --kmeans {folder}/kmeans --data DATA --out {folder}/vocoder`"
    place = folder / "vocoder"
    if not place.is_dir():
        raise UserError(f"units: {folder} has no folder vocoder; train one with {made}")
    revision = checkpoint.load(place, KIND).revision
    vocoder = load_vocoder(place, device)
    config = vocoder.config
    if config.kmeans != kmeans.revision or config.units != len(kmeans.centroids):
        raise UserError(
            f"units: the vocoder in {folder} was trained on the units of another k-means "
            f"({config.kmeans}, {config.units} units), not of the one beside it "
            f"({kmeans.revision}, {len(kmeans.centroids)} units); train one with {made}"
        )
    return vocoder, revision
