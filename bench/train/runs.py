"""What the commands of `bench train` share: the speech they are given, the run, its card."""

from __future__ import annotations

import argparse
import csv
import shlex
import sys
from pathlib import Path
from typing import Any, Protocol

import pandas as pd

from bench import checkpoint
from bench.errors import UserError
from bench.train import corpus
from bench.train.loop import Loop

VALIDATE_EVERY = 500

Rows = list[dict[str, Any]]


class Stepper(Protocol):
    """What a run of steps needs of a trainer."""

    @property
    def parts(self) -> dict[str, Any]: ...

    def step(self, number: int) -> dict[str, float]: ...

    def validate(self, number: int) -> dict[str, float]: ...

    def export(self, folder: Path, number: int, card: str = "") -> None: ...


def speech(arguments: argparse.Namespace, split: str) -> Rows:
    """Rows of the speech that the arguments choose."""
    found = corpus.rows(arguments.data, split, language=arguments.language,
                        speaker=arguments.speaker)  # fmt: skip
    found = [r for r in found if r["speaker"] not in set(arguments.without_speaker)]
    if not found:
        raise UserError(f"no recording of split '{split}' is left; loosen --speaker and --language")
    return found


def keep_list(folder: Path, found: Rows) -> None:
    """`data.csv`: what was trained on, so that anyone can see that no test recording was."""
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / checkpoint.DATA).open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(["utterance", "speaker", "language", "seconds"])
        for row in sorted(found, key=lambda r: str(r["utterance"])):
            writer.writerow([row["utterance"], row["speaker"], row["language"],
                             f"{row['seconds']:.2f}"])  # fmt: skip


def table(found: Rows) -> str:
    """The speech of a run by corpus and language, as Markdown."""
    lines = ["| corpus | language | speakers | recordings | minutes |", "|---|---|---|---|---|"]
    for (name, language), part in pd.DataFrame(found).groupby(["corpus", "language"]):
        lines.append(f"| {name or '–'} | {language or '–'} | {part['speaker'].nunique()} | "
                     f"{len(part)} | {part['seconds'].sum() / 60:.1f} |")  # fmt: skip
    return "\n".join(lines)


def command() -> str:
    """What was typed."""
    return "bench " + shlex.join(sys.argv[1:])


def drive(arguments: argparse.Namespace, trainer: Stepper, settings: dict[str, Any],
          about: str, heard: Rows) -> int:  # fmt: skip
    """Run a trainer to `--steps` or `--minutes`, with validation and snapshots, and export it.

    about: the card's first part (what it is and how it differs from what was published).
    """
    folder = Path(arguments.out)
    loop = Loop(folder, trainer.parts, settings)

    def step(number: int) -> dict[str, float]:
        if number and number % VALIDATE_EVERY == 0:
            _append(folder / "validation.csv", {"step": number, **trainer.validate(number)})
        if arguments.snapshots and number and number % arguments.snapshots == 0:
            trainer.export(folder / f"step-{number}", number)
        return trainer.step(number)

    limit = 60 * arguments.minutes if arguments.minutes else float("inf")
    done = loop.run(arguments.steps, step, stop_after=limit)
    final = trainer.validate(loop.step)
    losses = ", ".join(f"{name} {value:.3f}" for name, value in final.items())
    card = (f"{about}\n\n## Training\n\n    {command()}\n\n{loop.step} steps in "
            f"{loop.seconds / 60:.0f} minutes, seed {arguments.seed}, on "
            f"{sum(r['seconds'] for r in heard) / 60:.0f} minutes of speech (every recording is "
            f"named in data.csv):\n\n{table(heard)}\n\nOn held-out crops at the end: {losses}. "
            "Losses by step: log.csv and validation.csv of the run.\n")  # fmt: skip
    trainer.export(folder, loop.step, card)
    print(f"{folder}: step {loop.step} of {arguments.steps}"
          + ("" if done else "; the same command goes on"))  # fmt: skip
    return 0


def _append(path: Path, row: dict[str, float]) -> None:
    """One more line; a line of the same step, from before a resume, is replaced."""
    old = pd.read_csv(path) if path.is_file() else pd.DataFrame()
    if len(old):
        old = old[old["step"] < row["step"]]
    pd.concat([old, pd.DataFrame([row])]).to_csv(path, index=False, float_format="%.5g")
