"""`bench`: the command line. Nothing heavy is imported before a command needs it."""

from __future__ import annotations

import argparse
import io
import sys
from collections.abc import Sequence

from bench import __version__
from bench.errors import UserError
from bench.leaderboards.command_line import add_commands as add_leaderboard
from bench.train.arguments import add_train

EPILOG = """examples:
  bench eval mulaw                          one tokenizer on the bundled suite
  bench eval lyra --set quantizers=16       a variant
  bench eval mulaw --suite my/suite.yaml    your own corpus
  bench encode DIR --tokenizer lyra -o t.parquet   recordings to tokens
  bench compare lyra mulaw --for asr-llm    which of these, and how sure
  bench list metrics                        what is measured
  bench doctor                              what is installed, and how to mend what is not
"""


def parser() -> argparse.ArgumentParser:
    top = argparse.ArgumentParser(
        prog="bench",
        description="Measure speech tokenizers.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    top.add_argument("--version", action="version", version=__version__)
    commands = top.add_subparsers(dest="command", metavar="COMMAND", required=True)

    run = commands.add_parser(
        "eval",
        help="measure a tokenizer",
        description=(
            "Measure a tokenizer on a suite. Interrupted at any moment, the same command goes on "
            "where it stopped. Exit status: 0 done, 1 finished with failures listed, 2 wrong use."
        ),
    )
    run.add_argument("tokenizer", help="name, or several with commas; see `bench list tokenizers`")
    run.add_argument("--suite", default="mini", help="bundled name or path of a suite.yaml (mini)")
    run.add_argument(
        "--set",
        action="append",
        default=[],
        metavar="KEY=VALUE",
        dest="settings",
        help="an option of the tokenizer; may be repeated",
    )
    run.add_argument("--tracks", default="", metavar="A,B", help="only these tracks")
    run.add_argument("--metrics", default="", metavar="A,B", help="only these metrics")
    run.add_argument("--device", choices=("auto", "cpu", "cuda"), default="auto")
    run.add_argument("--limit", type=int, metavar="N", help="only N utterances, for a quick look")
    run.add_argument(
        "--batch-seconds",
        type=float,
        default=60.0,
        metavar="S",
        help="seconds of audio in a batch (60)",
    )
    run.add_argument("--threads", type=int, metavar="N", help="workers (all processors)")
    run.add_argument("--seed", type=int, default=0, help="of every random choice (0)")
    run.add_argument("--out", default="runs", metavar="DIR", help="where results go (runs)")
    run.add_argument("--json", action="store_true", help="print the result alone, as JSON")

    _add_dataset_commands(commands)

    listing = commands.add_parser("list", help="list what there is")
    listing.add_argument(
        "kind",
        nargs="?",
        default="all",
        choices=("all", "tokenizers", "probes", "judges", "metrics", "suites"),
    )
    listing.add_argument("--json", action="store_true")

    again = commands.add_parser("show", help="a finished run again, whole or in parts")
    again.add_argument("run", help="folder of a run, or its result.json")
    again.add_argument(
        "--by",
        choices=("language", "corpus", "speaker", "voices"),
        help="in parts; voices: those the tokenizer was trained on, and the others",
    )
    again.add_argument("--metrics", default="", metavar="A,B", help="only these metrics")
    again.add_argument("--json", action="store_true")

    _add_compare(commands)
    _add_report(commands)
    add_train(commands)
    add_leaderboard(commands)

    doctor = commands.add_parser("doctor", help="what is installed, and how to mend what is not")
    doctor.add_argument("--json", action="store_true")
    return top


def _add_compare(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    compare = commands.add_parser(
        "compare",
        help="several results side by side",
        description=(
            "Differences on the same utterances, with intervals corrected for how many there are, "
            "rank intervals, Pareto fronts and groups of like bitrate. It never makes one score."
        ),
    )
    compare.add_argument(
        "results",
        nargs="+",
        metavar="RESULT",
        help="folder of a run, its result.json, a tokenizer (all its variants) or a variant",
    )
    compare.add_argument("--suite", default="mini", help="where names are looked up (mini)")
    compare.add_argument("--runs", default="runs", metavar="DIR", help="as of --out (runs)")
    compare.add_argument(
        "--for",
        dest="profile",
        metavar="PROFILE",
        help="asr-llm, expressive-tts, low-bitrate, or a YAML file of weights: orders the axes",
    )
    compare.add_argument("--axes", default="", metavar="A,B", help="only these axes")
    compare.add_argument("--all", action="store_true", help="every metric and pair in the table")
    form = compare.add_mutually_exclusive_group()
    for name in ("json", "csv", "markdown", "latex"):
        form.add_argument(
            f"--{name}", action="store_const", const=name, dest="form", help=f"print {name} instead"
        )
    compare.add_argument("--html", metavar="FILE", help="also write a page that needs no network")


def _add_report(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    report = commands.add_parser(
        "report",
        help="a finished run as one HTML file, with plots and players",
        description=(
            "Write report.html beside a run, to be opened from disk: every metric, plots, the "
            "worst utterances to be heard, a blind comparison. Needs no network to be read."
        ),
    )
    report.add_argument("run", help="folder of a run, or its result.json")
    report.add_argument(
        "--with",
        nargs="+",
        action="extend",
        default=[],
        metavar="RUN",
        dest="others",
        help="other runs on the same suite, to be seen and heard beside it",
    )
    report.add_argument("-o", "--out", metavar="FILE.html", help="where to (RUN/report.html)")
    report.add_argument(
        "--clips", type=int, default=12, metavar="N", help="utterances to be heard (12)"
    )
    report.add_argument(
        "--suite", metavar="FILE", help="the suite.yaml of the run, where it is not a bundled one"
    )
    report.add_argument(
        "--device",
        choices=("auto", "cpu", "cuda"),
        default="cpu",
        help="for what the run's caches no longer hold (cpu)",
    )
    report.add_argument("--json", action="store_true", help="print what was written, as JSON")


def _add_dataset_commands(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    encode = commands.add_parser(
        "encode",
        help="recordings to a token data set",
        description=(
            "Write the tokens of recordings to one Parquet file. Interrupted at any moment, the "
            "same command goes on where it stopped. Exit status: 0 done, 1 finished with failures "
            "listed, 2 wrong use."
        ),
    )
    encode.add_argument(
        "inputs",
        nargs="+",
        metavar="FILE|FOLDER",
        help="audio, folders of it, or manifests (.csv, .tsv, .parquet with a column 'file')",
    )
    encode.add_argument("--tokenizer", required=True, help="name; see `bench list tokenizers`")
    encode.add_argument("-o", "--out", required=True, metavar="FILE.parquet")
    encode.add_argument(
        "--max-seconds",
        type=float,
        default=600.0,
        metavar="S",
        help="a longer recording becomes several rows, encoded on their own (600)",
    )
    encode.add_argument(
        "--overwrite", action="store_true", help="replace a finished file or other unfinished work"
    )

    decode = commands.add_parser(
        "decode",
        help="a token data set to audio files",
        description=(
            "Decode what `bench encode` wrote to 16-bit audio files. Files that are there are "
            "kept, so the same command goes on where it stopped. Exit status as of `bench encode`."
        ),
    )
    decode.add_argument("tokens", metavar="FILE.parquet")
    decode.add_argument("-o", "--out", required=True, metavar="FOLDER")
    decode.add_argument(
        "--only", action="append", default=[], metavar="UTTERANCE", help="may be repeated"
    )
    decode.add_argument("--format", choices=("flac", "wav"), default="flac")

    for each in (encode, decode):
        each.add_argument(
            "--set",
            action="append",
            default=[],
            metavar="KEY=VALUE",
            dest="settings",
            help="an option of the tokenizer; may be repeated",
        )
        each.add_argument("--device", choices=("auto", "cpu", "cuda"), default="auto")
        each.add_argument(
            "--batch-seconds",
            type=float,
            default=60.0,
            metavar="S",
            help="seconds of audio in a batch (60)",
        )
        each.add_argument("--threads", type=int, metavar="N", help="workers (all processors)")
        each.add_argument("--json", action="store_true", help="print the summary alone, as JSON")


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; returns the exit status."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):  # a sign that the locale lacks is shown as "?"
            stream.reconfigure(errors="replace")
    arguments = parser().parse_args(argv)
    try:
        if arguments.command == "eval":
            from bench.commands import evaluate

            return evaluate(arguments)
        if arguments.command == "encode":
            from bench.encoding import encode

            return encode(arguments)
        if arguments.command == "decode":
            from bench.decoding import decode

            return decode(arguments)
        if arguments.command == "list":
            from bench.listing import show_list

            return show_list(arguments.kind, as_json=arguments.json)
        if arguments.command == "show":
            from bench.breakdown import show_run

            return show_run(arguments)
        if arguments.command == "report":
            from bench.report.command import report

            return report(arguments)
        if arguments.command == "compare":
            from bench.compare.command import compare

            return compare(arguments)
        if arguments.command in ("submit", "leaderboard"):
            from bench.leaderboards.command_line import run

            return run(arguments)
        if arguments.command == "train":
            from bench.train.commands import train

            return train(arguments)
        from bench.doctor import doctor

        return doctor(as_json=arguments.json)
    except UserError as error:
        print(f"bench: {error}", file=sys.stderr)
        return 2
    except BrokenPipeError:  # `bench list | head`
        sys.stderr.close()
        return 0
    except OSError as error:  # a full disk, a folder that may not be read or written
        where = f": {error.filename}" if error.filename else ""
        print(f"bench: the system says: {error.strerror or error}{where}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print(
            "bench: stopped; what was finished is kept: run the same command to go on",
            file=sys.stderr,
        )
        return 130
