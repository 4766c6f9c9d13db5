"""`bench eval`: from parsed arguments to files and a table."""

from __future__ import annotations

import argparse
import contextlib
import json
import math
import os
import sys
import time
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from bench.errors import UserError
from bench.options import parse_settings, resolve
from bench.registry import plugin

if TYPE_CHECKING:
    from bench.results import Result


def _names(text: str) -> list[str]:
    return [part.strip() for part in text.split(",") if part.strip()]


def _check(arguments: argparse.Namespace) -> list[str]:
    """The tokenizers' names, with every cheap mistake found before anything is loaded."""
    names = _names(arguments.tokenizer)
    if not names:
        raise UserError("bench eval wants the name of a tokenizer; see `bench list tokenizers`")
    settings = parse_settings(arguments.settings)
    for name in names:
        resolve(plugin("tokenizers", name), settings)
    if not 0 < arguments.batch_seconds < math.inf:
        raise UserError("--batch-seconds wants a number above 0")
    if arguments.seed < 0:
        raise UserError("--seed wants a number from 0 up")
    if arguments.threads is not None and arguments.threads < 1:
        raise UserError("--threads wants a number from 1 up")
    try:
        Path(arguments.out).mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UserError(f"--out {arguments.out} cannot be made: {error.strerror}") from error
    return names


@contextlib.contextmanager
def output_is_ours() -> Iterator[None]:
    """What plugins and their libraries print meanwhile goes to standard error."""
    try:
        number = sys.stdout.fileno()
    except (OSError, ValueError):  # no file behind it, as in a test or a notebook
        with contextlib.redirect_stdout(sys.stderr):
            yield
        return
    sys.stdout.flush()
    kept = os.dup(number)
    try:
        os.dup2(2, number)  # C libraries and child processes too
        with contextlib.redirect_stdout(sys.stderr):
            yield
    finally:
        sys.stdout.flush()
        os.dup2(kept, number)
        os.close(kept)


def _folder(arguments: argparse.Namespace, suite: str, variant: str) -> Path:
    """Where the files go; a quick look never takes the place of a whole run."""
    if arguments.limit is not None:
        suite = f"{suite}-limit{arguments.limit}"
    folder = Path(arguments.out) / suite / variant
    return folder / "partial" if arguments.tracks or arguments.metrics else folder


def evaluate(arguments: argparse.Namespace) -> int:
    """Evaluate each tokenizer named; 1 if any utterance failed anywhere, else 0."""
    if not arguments.json:
        return _evaluate(arguments)[1]
    with output_is_ours():
        results, status = _evaluate(arguments)
    shown = [result.model_dump(mode="json") for result in results]
    json.dump(shown[0] if len(shown) == 1 else shown, sys.stdout)
    print()
    return status


def _evaluate(arguments: argparse.Namespace) -> tuple[list[Result], int]:
    names = _check(arguments)
    settings = parse_settings(arguments.settings)
    warnings.filterwarnings("ignore")  # third parties' deprecations say nothing to a user

    from rich.console import Console

    from bench import device
    from bench.plan import make_plan
    from bench.progress import Bars, stderr_console
    from bench.run import Pass
    from bench.show import WIDTH, show
    from bench.suites.load import load_suite
    from bench.write import make_folder, write_run

    console = stderr_console()
    results: list[Result] = []
    status = 0
    for name in names:
        start = time.perf_counter()
        where = device.resolve(arguments.device)
        suite = load_suite(arguments.suite, limit=arguments.limit)
        plan = make_plan(
            name,
            settings,
            device=where,
            tracks=_names(arguments.tracks),
            metrics=_names(arguments.metrics),
        )
        folder = _folder(arguments, suite.name, plan.variant)
        make_folder(folder)
        bars = Bars(console)
        console.print(
            f"{plan.variant} on {suite.name} {suite.version}: {len(suite.items)} utterances, "
            f"{where}, {arguments.threads or device.workers()} workers",
            markup=False,
        )
        with bars.live():
            measured = Pass(
                plan,
                suite,
                cache=Path(arguments.out) / ".cache",
                where=where,
                reporter=bars,
                batch_seconds=arguments.batch_seconds,
                threads=arguments.threads,
                seed=arguments.seed,
            ).run()
        measured.seconds["total"] = time.perf_counter() - start
        result = write_run(measured, folder, where=where, seed=arguments.seed)
        measured.close()
        results.append(result)
        status |= bool(result.failures)
        if not arguments.json:
            out = Console(highlight=False)
            show(
                result,
                out if out.is_terminal else Console(width=WIDTH, highlight=False),
                str(folder),
            )
    return results, status
