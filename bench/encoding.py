"""`bench encode`: recordings to a token data set, resumable, in bounded memory."""

from __future__ import annotations

import argparse
import contextlib
import json
import math
import time
import warnings
from pathlib import Path
from typing import Any

from rich.console import Console

from bench import device, registry
from bench.commands import output_is_ours
from bench.dataset import RESULTS, Meta, schema_of
from bench.dataset_io import MAX_SECONDS, digest, scan
from bench.dataset_read import open_dataset
from bench.dataset_summary import show_failures, show_summary, summary_of
from bench.encoder import PART_SECONDS, Encoder, plan_parts
from bench.errors import UserError
from bench.loading import load_tokenizer, torch_threads
from bench.options import NOT_IDENTITY, parse_settings, resolve, variant_name
from bench.parts import Facts, Failure, Parts
from bench.progress import Bars, stderr_console
from bench.recordings import Recording, find
from bench.write import atomically, make_folder


# ------------------------------------------------------------------------------------- command
def encode(arguments: argparse.Namespace) -> int:
    """Write the data set; 1 if any recording failed, else 0."""
    with output_is_ours() if arguments.json else contextlib.nullcontext():
        summary = _encode(arguments)
    if arguments.json:
        print(json.dumps(summary, ensure_ascii=False))
    else:
        show_summary(summary)
    show_failures(summary["failures"], summary["failures_file"])
    return int(bool(summary["failures"]))


def check_work(arguments: argparse.Namespace) -> None:
    """What `bench encode` and `bench decode` both take."""
    if not 0 < arguments.batch_seconds < math.inf:
        raise UserError("--batch-seconds wants a number above 0")
    if arguments.threads is not None and arguments.threads < 1:
        raise UserError("--threads wants a number from 1 up")


def _check(arguments: argparse.Namespace) -> tuple[Path, dict[str, str]]:
    """Output and settings, with every cheap mistake found before anything is loaded."""
    settings = parse_settings(arguments.settings)
    resolve(registry.plugin("tokenizers", arguments.tokenizer), settings)
    check_work(arguments)
    if not 1 <= arguments.max_seconds <= MAX_SECONDS:
        raise UserError(f"--max-seconds wants a number from 1 to {MAX_SECONDS:.0f}")
    out = Path(arguments.out)
    if out.suffix != ".parquet" or out.is_dir():
        raise UserError(f"-o {out}: name a file that ends in .parquet")
    return out, settings


def _encode(arguments: argparse.Namespace) -> dict[str, Any]:
    out, settings = _check(arguments)
    warnings.filterwarnings("ignore")  # third parties' deprecations say nothing to a user
    threads = arguments.threads or device.workers()
    console = stderr_console()
    recordings, others = find(arguments.inputs)
    if others:
        told = ", ".join(f"{count} {suffix}" for suffix, count in others.items())
        console.print(
            f"left alone in the folders, not audio by name: {told}", markup=False, soft_wrap=True
        )
    where = device.resolve(arguments.device)
    loaded = load_tokenizer(arguments.tokenizer, settings, where)
    scan(recordings, threads)
    meta = Meta.of(
        loaded.info,
        tokenizer=arguments.tokenizer,
        variant=variant_name(arguments.tokenizer, loaded.options),
        options={k: v for k, v in loaded.options.items() if k not in NOT_IDENTITY},
        device=where,
        max_seconds=arguments.max_seconds,
        recordings=digest(recordings, dates=False),
    )
    plan = {
        **meta.model_dump(exclude=RESULTS),
        "code": loaded.code,
        "recordings": digest(recordings, dates=True),
        "part_seconds": max(PART_SECONDS, arguments.batch_seconds),
    }
    parts = Parts(out)
    began = time.perf_counter()
    encoded = 0.0
    done = None if arguments.overwrite else _finished(out, meta)
    if done is not None:
        parts.tidy(plan)
        meta = done
        console.print(f"{out} is finished; --overwrite makes it anew", markup=False, soft_wrap=True)
    else:
        groups = plan_parts(recordings, arguments.max_seconds, plan["part_seconds"])
        _tell(console, meta, recordings)
        make_folder(out.parent)
        parts.open(plan, overwrite=arguments.overwrite)
        bars = Bars(console)
        with bars.live(), torch_threads(threads):
            encoder = Encoder(loaded.tokenizer, meta, bars, arguments.batch_seconds)
            facts, encoded = encoder.run(groups, parts, threads)
        meta = meta.model_copy(update=_totals(facts, len(meta.streams)))
        _keep_failures(_failures_file(out), [f for fact in facts for f in fact["failures"]])
        parts.finish(len(groups), schema_of(meta))
    return summary_of(
        meta,
        out=str(out),
        recordings=len(recordings),
        failures=_failures(_failures_file(out), meta),
        failures_file=str(_failures_file(out)),
        encoded=encoded,
        wall=time.perf_counter() - began,
    )


def _tell(console: Console, meta: Meta, recordings: list[Recording]) -> None:
    seconds = sum(one.frames / one.rate for one in recordings if one.rate)
    amount = f"{len(recordings)} recordings, {seconds / 3600:.2f} hours"
    console.print(f"{meta.variant} on {meta.device}: {amount}", markup=False, soft_wrap=True)


def _finished(out: Path, meta: Meta) -> Meta | None:
    """The metadata of a finished `out` of the same work, None where there is none; UserError
    where something else lies there."""
    if not out.exists():
        return None
    try:
        found = open_dataset(out)[1]
    except UserError as error:
        raise UserError(f"{error}; choose another -o, or --overwrite to replace it") from error
    wanted, there = (m.model_dump(exclude=RESULTS) for m in (meta, found))
    for name, value in wanted.items():
        if there[name] != value:
            raise UserError(
                f"{out} is finished and holds other work ({name} {there[name]!r}, not {value!r}): "
                "choose another -o, or --overwrite to replace it"
            )
    return found


def _totals(facts: list[Facts], streams: int) -> dict[str, Any]:
    return {
        "rows": sum(f["rows"] for f in facts),
        "seconds": math.fsum(f["seconds"] for f in facts),
        "ids": [sum(f["ids"][k] for f in facts) for k in range(streams)],
        "bits": math.fsum(f["bits"] for f in facts),
        "failures": sum(len(f["failures"]) for f in facts),
    }


# ------------------------------------------------------------------------------------ failures
def _failures_file(out: Path) -> Path:
    return out.with_suffix(".failures.json")


def _keep_failures(path: Path, failures: list[Failure]) -> None:
    """A file beside the data set, or none where nothing failed."""
    text = json.dumps(failures, ensure_ascii=False, indent=1)
    if failures:
        atomically(path, lambda p: _write(p, text))
    else:
        path.unlink(missing_ok=True)


def _write(path: Path, text: str) -> None:
    path.write_text(text + "\n", encoding="utf-8")


def _failures(path: Path, meta: Meta) -> list[Failure]:
    """The list of a data set; where it was deleted, one entry that says how many there were."""
    if not meta.failures:
        return []
    try:
        return list(json.loads(path.read_text(encoding="utf-8")))
    except (OSError, ValueError):
        told = f"{meta.failures} rows failed; the list is gone"
        return [Failure(utterance="?", file="?", stage="?", reason=told)]
