"""`bench train`: the subcommands' arguments; nothing heavy is imported here."""

from __future__ import annotations

import argparse
from typing import Any


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
    _soundstream(_common(kinds, "soundstream", "the RVQ codec `soundstream`"))


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
