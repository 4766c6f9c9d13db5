"""`bench eval`: from parsed arguments to files and a table."""

from __future__ import annotations

import argparse
import json
import sys
import time
import warnings
from pathlib import Path

from bench.errors import UserError
from bench.options import parse_settings
from bench.registry import plugin


def _names(text: str) -> list[str]:
    return [part.strip() for part in text.split(",") if part.strip()]


def _check(arguments: argparse.Namespace) -> list[str]:
    """The tokenizers' names, with every cheap mistake found before anything is loaded."""
    names = _names(arguments.tokenizer)
    if not names:
        raise UserError("bench eval wants the name of a tokenizer; see `bench list tokenizers`")
    for name in names:
        plugin("tokenizers", name)
    if arguments.batch_seconds <= 0:
        raise UserError("--batch-seconds wants a number above 0")
    if arguments.threads is not None and arguments.threads < 1:
        raise UserError("--threads wants a number from 1 up")
    try:
        Path(arguments.out).mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UserError(f"--out {arguments.out} cannot be made: {error.strerror}") from error
    return names


def evaluate(arguments: argparse.Namespace) -> int:
    """Evaluate each tokenizer named; 1 if any utterance failed anywhere, else 0."""
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
    from bench.write import write_run

    console = stderr_console()
    results, status = [], 0
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
        bars = Bars(console)
        console.print(
            f"{plan.variant} on {suite.name} {suite.version}: {len(suite.items)} utterances, "
            f"{where}, {arguments.threads or device.workers()} workers"
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
            ).run()
        measured.seconds["total"] = time.perf_counter() - start
        folder = Path(arguments.out) / suite.name / plan.variant
        result = write_run(measured, folder, where=where, seed=arguments.seed)
        results.append(result)
        status |= bool(result.failures)
        if not arguments.json:
            out = Console(highlight=False)
            show(
                result,
                out if out.is_terminal else Console(width=WIDTH, highlight=False),
                str(folder),
            )
    if arguments.json:
        shown = [result.model_dump(mode="json") for result in results]
        json.dump(shown[0] if len(shown) == 1 else shown, sys.stdout, ensure_ascii=False)
        print()
    return status
