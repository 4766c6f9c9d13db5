"""What `bench train` does: speech in, a run's folder with a checkpoint and its card out."""

from __future__ import annotations

import argparse
import csv
import shlex
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pandas as pd
import torch

from bench import checkpoint
from bench.device import resolve
from bench.errors import UserError
from bench.nn.soundstream import SoundStreamConfig
from bench.train import corpus
from bench.train.loop import Loop

VALIDATION_CROPS, VALIDATION_SECONDS = 32, 2.0
VALIDATE_EVERY = 500


def train(arguments: argparse.Namespace) -> int:
    """Run one subcommand; the exit status."""
    if arguments.threads:
        torch.set_num_threads(arguments.threads)
    arguments.data = arguments.data or ["mini"]
    known = {"soundstream": soundstream}
    return known[arguments.what](arguments)


def speech(arguments: argparse.Namespace, split: str) -> list[dict[str, Any]]:
    """Rows of the speech that the arguments choose."""
    found = corpus.rows(arguments.data, split, language=arguments.language,
                        speaker=arguments.speaker)  # fmt: skip
    found = [r for r in found if r.get("speaker") not in set(arguments.without_speaker)]
    if not found:
        raise UserError(f"no recording of split '{split}' is left; loosen --speaker and --language")
    return found


def keep_list(folder: Path, found: Sequence[dict[str, Any]]) -> None:
    """`data.csv`: what was trained on, so that anyone can see that no test recording was."""
    with (folder / "data.csv").open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(["utterance", "speaker", "language", "seconds"])
        for row in sorted(found, key=lambda r: str(r["utterance"])):
            writer.writerow([row["utterance"], row.get("speaker", ""), row.get("language", ""),
                             f"{row.get('seconds', 0):.2f}"])  # fmt: skip


def described(found: Sequence[dict[str, Any]]) -> str:
    """A table of the speech, for a card."""
    table = pd.DataFrame(found)
    for column in ("corpus", "language", "speaker"):
        table[column] = table.get(column, "–")
    lines = ["| corpus | language | speakers | recordings | minutes |", "|---|---|---|---|---|"]
    for (name, language), part in table.groupby(["corpus", "language"]):
        lines.append(f"| {name} | {language} | {part['speaker'].nunique()} | {len(part)} | "
                     f"{part['seconds'].sum() / 60:.1f} |")  # fmt: skip
    return "\n".join(lines)


def command() -> str:
    return "bench " + shlex.join(sys.argv[1:])


def soundstream(arguments: argparse.Namespace) -> int:
    from bench.train.soundstream import Settings, Trainer, settings_dict

    if not 0 < arguments.warmup < arguments.adversarial_from:
        raise UserError("--warmup must be above 0 and below --adversarial-from")
    model = SoundStreamConfig(arguments.architecture, arguments.codebooks, arguments.entries)
    settings = Settings(model, arguments.seed, arguments.batch, warmup=arguments.warmup,
                        adversarial_from=arguments.adversarial_from)  # fmt: skip
    folder = Path(arguments.out)
    heard, held = speech(arguments, "train"), speech(arguments, "validation")
    folder.mkdir(parents=True, exist_ok=True)
    keep_list(folder, heard)
    clips = list(corpus.clips(heard))
    trainer = Trainer(
        settings,
        corpus.Crops(clips, settings.seconds, settings.batch, settings.seed),
        corpus.Crops(clips, settings.adversarial_seconds, settings.batch, settings.seed + 1),
        corpus.Crops(list(corpus.clips(held)), VALIDATION_SECONDS, VALIDATION_CROPS,
                     settings.seed, augment=False),
        resolve(arguments.device),
    )  # fmt: skip
    loop = Loop(folder, trainer.parts, settings_dict(settings))

    def step(number: int) -> dict[str, float]:
        if number and number % VALIDATE_EVERY == 0:
            _append(folder / "validation.csv", {"step": number, **trainer.validate(number)})
        if arguments.snapshots and number and number % arguments.snapshots == 0:
            trainer.export(folder / f"step-{number}", number)
        return trainer.step(number)

    limit = 60 * arguments.minutes if arguments.minutes else float("inf")
    done = loop.run(arguments.steps, step, stop_after=limit)
    trainer.export(folder, loop.step)
    print(f"{folder}: step {loop.step} of {arguments.steps}"
          + ("" if done else "; the same command goes on"))  # fmt: skip
    return 0


def _append(path: Path, row: dict[str, float]) -> None:
    """One more line; a line of the same step, from before a resume, is replaced."""
    old = pd.read_csv(path) if path.is_file() else pd.DataFrame()
    if len(old):
        old = old[old["step"] < row["step"]]
    pd.concat([old, pd.DataFrame([row])]).to_csv(path, index=False, float_format="%.5g")


__all__ = ["checkpoint", "command", "described", "train"]
