"""`bench train`: the subcommands' arguments; nothing heavy is imported here."""

from __future__ import annotations

import argparse
from typing import Any

from bench.encoder_names import NAMES


def add_train(commands: Any) -> None:
    """Add `train` with a subcommand for each thing that can be trained."""
    train = commands.add_parser(
        "train",
        help="train k-means, BPE, a vocoder or a codec",
        description=(
            "Train what a tokenizer needs, on any manifest. A run that was stopped goes on with "
            "the same command and ends with the same weights."
        ),
    )
    kinds = train.add_subparsers(dest="what", metavar="WHAT", required=True)
    _vocoder(_common(kinds, "vocoder", "a detokenizer of units"))
    _soundstream(_common(kinds, "soundstream", "the RVQ codec `soundstream`"))
    _kmeans(_common(kinds, "kmeans", "the k-means of `units` on an encoder's frames"))
    _bpe(_common(kinds, "bpe", "merges of the units of a k-means"))
    _taste(_common(kinds, "taste", "the text-aligned tokenizer `taste`"))


def _common(kinds: Any, name: str, about: str) -> argparse.ArgumentParser:
    made: argparse.ArgumentParser = kinds.add_parser(
        name, help=about, description=f"Train {about}."
    )
    made.add_argument(
        "--data",
        action="append",
        metavar="PATH",
        default=[],
        help="manifest (.parquet, .csv), its folder, or a bundled suite; may be "
        "repeated (mini); where there is a column `split`, only `train` is used",
    )
    made.add_argument("--language", action="append", default=[], metavar="L", help="only this one")
    made.add_argument("--speaker", action="append", default=[], metavar="S", help="only this one")
    made.add_argument(
        "--without-speaker", action="append", default=[], metavar="S", help="never this one"
    )
    made.add_argument("--out", required=True, metavar="DIR", help="folder of the run")
    made.add_argument("--seed", type=int, default=0, help="of every random choice (0)")
    made.add_argument("--device", choices=("auto", "cpu", "cuda"), default="auto")
    made.add_argument("--threads", type=int, metavar="N", help="threads (all processors)")
    return made


def _stepwise(made: argparse.ArgumentParser) -> None:
    made.add_argument("--batch", type=int, default=8, help="crops in a batch (8)")
    made.add_argument("--minutes", type=float, metavar="M", help="pause after M minutes")
    made.add_argument(
        "--snapshots", type=int, default=0, metavar="N", help="keep a checkpoint every N steps"
    )


def _soundstream(made: argparse.ArgumentParser) -> None:
    _stepwise(made)
    made.add_argument(
        "--architecture",
        choices=("frames", "paper"),
        default="frames",
        help="frames: at the frame rate, for processors; paper: as published",
    )
    made.add_argument(
        "--start", metavar="DIR", help="a soundstream checkpoint to go on from, without warm-up"
    )
    made.add_argument("--rate", type=float, default=8e-4, help="learning rate (8e-4)")
    made.add_argument(
        "--favour",
        action="append",
        default=[],
        metavar="CORPUS=N",
        help="draw the recordings of this corpus N times as often; may be repeated",
    )
    made.add_argument(
        "--depths",
        default="0.15,0.15,0.2,0.5",
        metavar="P,P,P,P",
        help="how often quantizer dropout leaves 1, 2, 4, 8 codebooks (0.15,0.15,0.2,0.5)",
    )
    made.add_argument("--codebooks", type=int, default=8, help="codebooks (8)")
    made.add_argument("--entries", type=int, default=1024, help="entries of a codebook (1024)")
    made.add_argument("--warmup", type=int, default=1000, help="steps without quantizer (1000)")
    made.add_argument(
        "--adversarial-from",
        type=int,
        default=12_000,
        metavar="STEP",
        help="step at which the discriminators join (12000)",
    )
    made.add_argument("--steps", type=int, default=18_000, help="steps in all (18000)")
    _against(made, mel=15.0)
    _anneal(made)


def _vocoder(made: argparse.ArgumentParser) -> None:
    _stepwise(made)
    made.add_argument("--kmeans", required=True, metavar="DIR", help="whose units")
    made.add_argument("--model", metavar="M", help="folder or hub id of the k-means' encoder")
    made.add_argument(
        "--start",
        metavar="DIR",
        help="a vocoder's checkpoint to begin with, or a soundstream checkpoint for its decoder",
    )
    made.add_argument(
        "--adversarial-from",
        type=int,
        default=4000,
        metavar="STEP",
        help="step at which the discriminators join (4000)",
    )
    made.add_argument("--steps", type=int, default=8000, help="steps in all (8000)")
    _against(made, mel=8.0)
    _anneal(made)


def _against(made: argparse.ArgumentParser, mel: float) -> None:
    made.add_argument(
        "--mel",
        type=float,
        default=mel,
        metavar="W",
        help=f"weight of the log-mel distance beside the adversarial loss ({mel:g})",
    )
    made.add_argument(
        "--discriminators",
        type=int,
        choices=(1, 2, 3),
        default=1,
        help="how many of the three a step plays against, drawn by chance (1)",
    )


def _anneal(made: argparse.ArgumentParser) -> None:
    made.add_argument(
        "--anneal",
        type=int,
        default=0,
        metavar="N",
        help="let the learning rate fall to 0 over the last N of --steps (0)",
    )


def _kmeans(made: argparse.ArgumentParser) -> None:
    made.add_argument("--encoder", choices=NAMES, default="moonshine", help="whose frames")
    made.add_argument(
        "--model", metavar="ID", help="folder or hub id of its weights (the usual one)"
    )
    made.add_argument("--layer", type=int, metavar="N", help="which hidden state (6)")
    made.add_argument("--k", type=int, default=500, help="centroids (500)")
    made.add_argument("--passes", type=int, default=20, help="over all frames (20)")
    made.add_argument(
        "--frames",
        type=int,
        default=2_000_000,
        metavar="N",
        help="most frames to keep on disk; of more speech, a uniform sample (2000000)",
    )


def _bpe(made: argparse.ArgumentParser) -> None:
    made.add_argument("--kmeans", required=True, metavar="DIR", help="whose units")
    made.add_argument("--model", metavar="M", help="folder or hub id of the k-means' encoder")
    made.add_argument("--merges", type=int, default=2000, metavar="N", help="pairs to merge (2000)")
    made.add_argument(
        "--every-frame",
        action="store_true",
        help="of one unit a frame; else of units without repetitions",
    )


def _taste(made: argparse.ArgumentParser) -> None:
    _stepwise(made)
    made.add_argument(
        "--units", metavar="DIR", help="folder with kmeans/ and vocoder/ (moonshine, k = 500)"
    )
    made.add_argument(
        "--vocoder", metavar="DIR", help="the unit vocoder to begin with (of --units)"
    )
    made.add_argument("--voice", metavar="S", help="speaker to speak as (the vocoder's)")
    made.add_argument(
        "--lexicon", metavar="FILE", help="lines `word PH PH ...` (the dictionary of pocketsphinx)"
    )
    made.add_argument("--codebooks", type=int, default=4, help="codebooks (4)")
    made.add_argument("--entries", type=int, default=256, help="entries of a codebook (256)")
    made.add_argument("--others", type=int, default=4, metavar="N",
                      help="windows of any voice and tempo beside --batch (4)")  # fmt: skip
    for name, step, about in (
        ("--warmup", 1000, "steps without quantizer"),
        ("--dropout-from", 1800, "step at which quantizer dropout begins"),
        ("--sound-from", 4000, "step at which tokens are fixed and sound is learned"),
        ("--adversarial-from", 6000, "step at which the discriminators join"),
        ("--steps", 30_000, "steps in all"),
    ):
        made.add_argument(name, type=int, default=step, metavar="STEP", help=f"{about} ({step})")
    _against(made, mel=8.0)
    _anneal(made)
