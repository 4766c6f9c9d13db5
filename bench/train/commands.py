"""What `bench train` does: speech in, a run's folder with a checkpoint and its card out."""

from __future__ import annotations

import argparse
import math
from pathlib import Path

import torch

from bench.device import resolve
from bench.errors import UserError
from bench.train import corpus
from bench.train.runs import drive, keep_list, speech

CODEC_CROPS, CODEC_SECONDS = 32, 2.0  # for validation
VOCODER_CROPS = 16

LEAST = {"batch": 1, "steps": 0, "codebooks": 1, "entries": 2}

CODEC_CARD = """# soundstream

SoundStream (Zeghidour et al. 2021): causal encoder, residual vector quantizer with EMA codebooks,
k-means start, restart of unused entries and quantizer dropout, causal decoder. 16 kHz, 50 Hz.

How it differs from the paper, with `--architecture frames`: encoder and decoder are ConvNeXt
networks at the frame rate (320 samples and 80 log-mels in, an inverse STFT out, 30 ms late), not
strided convolutions; discriminators look at spectra only. `--architecture paper` trains the
published encoder and decoder."""
VOCODER_CARD = """# unit vocoder

Units of a k-means to speech in one voice: durations and pitch are predicted from the units,
the waveform comes from the decoder of `soundstream` at 50 Hz."""


def train(arguments: argparse.Namespace) -> int:
    """Run one subcommand; the exit status."""
    if arguments.threads:
        torch.set_num_threads(arguments.threads)
    for name, least in LEAST.items():
        if getattr(arguments, name, least) < least:
            raise UserError(f"--{name} must be {least} or more")
    arguments.data = arguments.data or ["mini"]
    known = {
        "soundstream": soundstream,
        "kmeans": kmeans,
        "bpe": bpe,
        "vocoder": vocoder,
        "taste": taste,
    }
    return known[arguments.what](arguments)


def kmeans(arguments: argparse.Namespace) -> int:
    """Cluster an encoder's frames; see bench.train.kmeans."""
    from bench.train.kmeans import train_kmeans

    return train_kmeans(arguments, speech(arguments, "train"))


def bpe(arguments: argparse.Namespace) -> int:
    """Merge units that follow each other; see bench.train.bpe."""
    from bench.train.bpe import train_bpe

    return train_bpe(arguments, speech(arguments, "train"))


def soundstream(arguments: argparse.Namespace) -> int:
    """Train the codec; see bench.train.soundstream."""
    from bench import checkpoint
    from bench.nn.soundstream import SoundStreamConfig
    from bench.train.gan import falling
    from bench.train.soundstream import KIND, Settings, Trainer

    if not 0 < arguments.warmup < arguments.adversarial_from and not arguments.start:
        raise UserError("--warmup must be above 0 and below --adversarial-from")
    begin = checkpoint.load(Path(arguments.start), KIND) if arguments.start else None
    favour = _favour(arguments.favour)
    settings = Settings(
        SoundStreamConfig(arguments.architecture, arguments.codebooks, arguments.entries),
        arguments.seed,
        arguments.batch,
        warmup=0 if begin else arguments.warmup,
        adversarial_from=arguments.adversarial_from,
        rate=arguments.rate,
        mel=arguments.mel,
        discriminators=arguments.discriminators,
        depths=_depths(arguments.depths),
        start=begin.revision if begin else "",
    )
    heard, held = speech(arguments, "train"), speech(arguments, "validation")
    keep_list(Path(arguments.out), heard)
    clips = list(corpus.clips(heard))
    trainer = Trainer(
        settings,
        corpus.Crops(clips, settings.seconds, settings.batch, settings.seed, favour=favour),
        corpus.Crops(
            clips, settings.adversarial_seconds, settings.batch, settings.seed + 1, favour=favour
        ),
        corpus.Crops(
            list(corpus.clips(held)), CODEC_SECONDS, CODEC_CROPS, settings.seed, augment=False
        ),
        resolve(arguments.device),
        falling(arguments.steps, arguments.anneal),
    )
    if begin:
        trainer.start_from(begin)
    known = settings.to_dict() | {"favour": favour}
    return drive(arguments, trainer, known, CODEC_CARD, heard)


def _favour(given: list[str]) -> dict[str, float]:
    """`["asterisk-en=8"]` → `{"asterisk-en": 8.0}`."""
    found = {}
    for part in given:
        name, _, times = part.partition("=")
        try:
            found[name] = float(times)
        except ValueError:
            found[name] = 0.0
        if not 0 < found[name] < math.inf:
            raise UserError(f"--favour wants CORPUS=N with N above 0, not '{part}'")
    return found


def _depths(given: str) -> tuple[float, ...]:
    """Four chances that add up to 1."""
    try:
        chances = tuple(float(part) for part in given.split(","))
    except ValueError:
        chances = ()
    if len(chances) != 4 or min(chances) < 0 or abs(sum(chances) - 1) > 1e-6:
        raise UserError(f"--depths wants four chances that add up to 1, not '{given}'")
    return chances


def vocoder(arguments: argparse.Namespace) -> int:
    """Train a detokenizer of units; see bench.train.vocoder."""
    from bench import checkpoint
    from bench.kmeans import load_kmeans
    from bench.nn.vocoder import KIND, VocoderConfig
    from bench.ssl_encoders import load_encoder
    from bench.train.gan import falling
    from bench.train.units import UnitCrops, prepare
    from bench.train.vocoder import Settings, Trainer

    begin = (checkpoint.load(Path(arguments.start), "soundstream", KIND)
             if arguments.start else None)  # fmt: skip
    device = resolve(arguments.device)
    kmeans = load_kmeans(Path(arguments.kmeans))
    about = kmeans.config
    encoder = load_encoder(about["encoder"], model=arguments.model, layer=about["layer"],
                           device=device)  # fmt: skip
    kmeans.fits(encoder)
    heard, held = speech(arguments, "train"), speech(arguments, "validation")
    folder = Path(arguments.out)
    keep_list(folder, heard)

    def prepared(rows: list[dict[str, object]]) -> UnitCrops:
        clips = prepare(corpus.clips(rows), lambda a: kmeans.ids(encoder.frames([a])[0]),
                        folder / "prepared" / kmeans.revision)  # fmt: skip
        count = settings.batch if rows is heard else VOCODER_CROPS
        return UnitCrops(clips, about["rate"], settings.frames, count, settings.seed)

    model = VocoderConfig(about["k"], about["rate"], kmeans.revision)
    settings = Settings(model, arguments.seed, arguments.batch,
                        adversarial_from=arguments.adversarial_from, mel=arguments.mel,
                        discriminators=arguments.discriminators,
                        start=begin.revision if begin else "")  # fmt: skip
    trainer = Trainer(settings, prepared(heard), prepared(held), device,
                      falling(arguments.steps, arguments.anneal))  # fmt: skip
    if begin:
        trainer.start_from(begin)
    return drive(arguments, trainer, settings.to_dict(), VOCODER_CARD, heard)


def taste(arguments: argparse.Namespace) -> int:
    """Train the text-aligned tokenizer; see bench.train.taste."""
    from bench.train.taste_command import train_taste

    return train_taste(arguments)
