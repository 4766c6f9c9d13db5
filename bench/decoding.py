"""`bench decode`: a token data set back to audio files."""

from __future__ import annotations

import argparse
import contextlib
import json
import time
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from bench import device
from bench.commands import output_is_ours
from bench.contracts import Tokenizer
from bench.dataset import Meta, StreamMeta
from bench.dataset_read import Heads, fingerprint, heads, open_dataset
from bench.dataset_summary import show_failures
from bench.decoder import Decoder
from bench.encoding import check_work
from bench.errors import UserError
from bench.loading import load_tokenizer, torch_threads
from bench.options import NOT_IDENTITY, parse_settings
from bench.progress import Bars, stderr_console
from bench.registry import did_you_mean
from bench.write import atomically, make_folder

MARK = ".bench-decode.json"  # in the folder: which tokens its audio is made of


def decode(arguments: argparse.Namespace) -> int:
    """Write the audio; 1 if any row failed, else 0."""
    with output_is_ours() if arguments.json else contextlib.nullcontext():
        summary = _decode(arguments)
    if arguments.json:
        print(json.dumps(summary, ensure_ascii=False))
    else:
        speed = summary["times_real_time"]
        print(
            f"{summary['output']}: {summary['written']} files written, {summary['skipped']} were "
            f"there, {len(summary['failures'])} failed; {summary['seconds']:.0f} s of audio"
            + (f", {speed:.1f} × real time" if speed else "")
        )
    show_failures(summary["failures"], None)
    return int(bool(summary["failures"]))


def _decode(arguments: argparse.Namespace) -> dict[str, Any]:
    check_work(arguments)
    settings = parse_settings(arguments.settings)
    source, folder = Path(arguments.tokens), Path(arguments.out)
    opened, meta = open_dataset(source)
    groups = heads(opened, source)
    wanted = _wanted(groups, arguments.only)
    _check_folder(folder, fingerprint(source))
    warnings.filterwarnings("ignore")  # third parties' deprecations say nothing to a user
    tokenizer = _load(meta, settings, source, device.resolve(arguments.device))
    make_folder(folder)
    mark = json.dumps({"tokens": fingerprint(source), "tokenizer": meta.variant})
    atomically(folder / MARK, lambda p: _put(p, mark))
    bars = Bars(stderr_console())
    began = time.perf_counter()
    work = Decoder(tokenizer, meta, folder, arguments.format, bars, arguments.batch_seconds)
    with bars.live(), torch_threads(arguments.threads or device.workers()):
        work.run(opened, source, groups, wanted)
    wall = time.perf_counter() - began
    return {
        "output": str(folder),
        "tokenizer": meta.variant,
        "written": work.written,
        "skipped": work.skipped,
        "seconds": work.seconds,
        "wall_seconds": wall,
        "times_real_time": work.seconds / wall if work.seconds else None,
        "failures": work.failures,
    }


def _wanted(groups: Sequence[Heads], only: Sequence[str]) -> set[str] | None:
    """Names of the rows to decode, None for all; `--only a` takes the pieces `a#0001`... too."""
    if not only:
        return None
    known = {name for rows in groups for name in rows.names if name is not None}
    wanted: set[str] = set()
    for text in only:
        found = {n for n in known if n == text or n.rpartition("#")[0] == text}
        if not found:
            raise UserError(
                f"no row is called '{text}': {did_you_mean(text, sorted(known)[:1000])}"
            )
        wanted |= found
    return wanted


def _check_folder(folder: Path, tokens: str) -> None:
    """UserError where the folder holds anything but what an earlier run of this work left."""
    if not folder.exists():
        return
    if not folder.is_dir():
        raise UserError(f"-o {folder} is a file; name a folder")
    try:
        told = json.loads((folder / MARK).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        if any(folder.iterdir()):
            raise UserError(f"{folder} is not empty; choose another -o") from None
        return
    if not isinstance(told, dict) or told.get("tokens") != tokens:
        raise UserError(f"{folder} holds audio of other tokens; choose another -o")


def _load(meta: Meta, settings: dict[str, str], source: Path, where: str) -> Tokenizer:
    """The tokenizer that the file names, of the same revision and with the same streams."""
    for key in NOT_IDENTITY & set(meta.options):
        raise UserError(f"{source}: its metadata sets {key}, a place on a machine; write it anew")
    for key in set(settings) & set(meta.options):
        raise UserError(
            f"--set {key}: {source} was encoded with {key}={meta.options[key]}, and only that "
            "decodes it; leave it out"
        )
    asked = {key: str(value) for key, value in meta.options.items() if value is not None}
    loaded = load_tokenizer(meta.tokenizer, {**asked, **settings}, where)
    info = loaded.info
    if info.revision != meta.revision:
        raise UserError(
            f"{source} was encoded with revision '{meta.revision}' of {meta.tokenizer}, but here "
            f"'{info.revision}' is loaded: get those weights and name them with --set weights=..., "
            "or encode again"
        )
    streams = [StreamMeta(name=s.name, vocabulary=s.vocabulary, rate=s.rate) for s in info.streams]
    if (info.sample_rate, streams) != (meta.sample_rate, meta.streams):
        raise UserError(
            f"{source}: its streams or sample rate are not those of {meta.tokenizer} as loaded "
            "here; encode again"
        )
    return loaded.tokenizer


def _put(path: Path, text: str) -> None:
    path.write_text(text, encoding="utf-8")
