"""Arguments of `bench submit` and `bench leaderboard`; imports nothing that takes time."""

from __future__ import annotations

import argparse

Commands = argparse._SubParsersAction  # its name for annotations


def add_commands(commands: Commands[argparse.ArgumentParser]) -> None:
    """Add both commands to the command line."""
    send = commands.add_parser(
        "submit",
        help="make an entry of the leaderboard from a run",
        description=(
            "Check a finished run as the leaderboard does, show what will be public, ask, and "
            "write the entry: a folder, or a branch with one commit. Nothing is uploaded."
        ),
    )
    send.add_argument("run", help="folder of a run, or its result.json")
    send.add_argument("--card", metavar="FILE", help="what you say of the tokenizer (JSON)")
    send.add_argument("--new-card", metavar="FILE", help="write a card to fill in, and stop")
    send.add_argument(
        "--out",
        default="submission",
        metavar="DIR",
        help="write the entry below this folder (submission)",
    )
    send.add_argument("--to", metavar="CHECKOUT", help="make a branch in this checkout instead")
    send.add_argument("--branch", metavar="NAME", help="its name (submit/<suite>-<variant>-...)")
    send.add_argument("--yes", action="store_true", help="do not ask")
    _add_boards(send)

    board = commands.add_parser("leaderboard", help="verify, build or serve the leaderboard")
    parts = board.add_subparsers(dest="action", metavar="ACTION", required=True)
    check = parts.add_parser(
        "verify",
        help="check every entry",
        description=(
            "Compute every figure of the entries again from their scores and refuse what does "
            "not fit. Exit status: 0 all accepted, 1 something is refused, 2 wrong use."
        ),
    )
    _add_submissions(check)
    check.add_argument(
        "--base",
        metavar="DIR|COMMIT",
        help="the entries as they were: none may be changed or removed, and those that are the "
        "same are not computed again",
    )
    check.add_argument(
        "--rerun",
        type=int,
        metavar="N",
        help="encode N utterances of each entry with the installed tokenizer and compare",
    )
    check.add_argument(
        "--only", action="append", default=[], metavar="ENTRY", help="rerun these entries alone"
    )
    check.add_argument("--seed", type=int, default=0, help="which utterances are encoded (0)")
    check.add_argument("--device", choices=("auto", "cpu", "cuda"), default="auto")
    check.add_argument(
        "--sign",
        metavar="NAME",
        help="after a rerun that agrees, record who ran it: the entry is then verified",
    )
    check.add_argument("--json", action="store_true")

    build = parts.add_parser("build", help="write the site", description="Write the static site.")
    _add_submissions(build)
    build.add_argument("--out", metavar="DIR", help="where (the committed site)")
    build.add_argument(
        "--check",
        action="store_true",
        help="write nothing; exit status 1 where the site there is not what would be written",
    )

    serve = parts.add_parser("serve", help="show the site on this machine alone")
    serve.add_argument("--site", metavar="DIR", help="which (the committed site)")
    serve.add_argument("--port", type=int, default=8000, help="0: any that is free (8000)")


def _add_submissions(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("submissions", nargs="?", metavar="DIR", help="(the committed ones)")
    _add_boards(parser)


def _add_boards(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--boards", metavar="FILE", help="other boards than the project's")


def run(arguments: argparse.Namespace) -> int:
    """Run the command; the exit status."""
    if arguments.command == "submit":
        from bench.leaderboards.submit import submit

        return submit(arguments)
    from bench.leaderboards import actions

    if arguments.action == "verify":
        return actions.verify(arguments)
    if arguments.action == "build":
        return actions.build(arguments)
    return actions.serve(arguments)
