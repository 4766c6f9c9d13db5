"""`bench leaderboard verify`, `build` and `serve`."""

from __future__ import annotations

import argparse
import functools
import http.server
import json
import os
import shutil
from pathlib import Path

from rich.console import Console
from rich.markup import escape

from bench import device
from bench.errors import UserError
from bench.leaderboards import verification
from bench.leaderboards.board import BOARDS, Board, load_boards
from bench.leaderboards.entry import Entry
from bench.leaderboards.strict import Problem
from bench.leaderboards.verify import SUBMISSIONS
from bench.leaderboards.verify import verify as check_all

SITE = Path(__file__).with_name("site")


def _given(arguments: argparse.Namespace) -> tuple[Path, dict[str, Board]]:
    submissions = Path(arguments.submissions) if arguments.submissions else SUBMISSIONS
    return submissions, load_boards(Path(arguments.boards) if arguments.boards else BOARDS)


def verify(arguments: argparse.Namespace) -> int:
    """Check, and run again what is asked; 1 if anything is refused."""
    submissions, boards = _given(arguments)
    if arguments.sign and not arguments.rerun:
        raise UserError("--sign records a rerun: give --rerun N too")
    report = check_all(submissions, boards, base=arguments.base)
    records, wrong = verification.read(submissions, report.entries)
    problems = [*report.problems, *wrong]
    console = Console(highlight=False, stderr=arguments.json)
    if arguments.rerun:
        problems += _rerun(arguments, submissions, boards, report.accepted(), console)
    if arguments.json:
        told = {
            "entries": [e.place for e in report.entries],
            "unchanged": report.unchanged,
            "verified": sorted(records),
            "problems": [{"file": p.file, "reason": p.reason} for p in problems],
        }
        print(json.dumps(told, ensure_ascii=False))
        return int(bool(problems))
    for problem in problems:
        console.print(escape(str(problem)), soft_wrap=True)
    console.print(
        f"{len(report.entries)} entries read, {report.unchanged} of them as they were; "
        f"{len(problems)} problems"
    )
    return int(bool(problems))


def _rerun(
    arguments: argparse.Namespace,
    submissions: Path,
    boards: dict[str, Board],
    entries: list[Entry],
    console: Console,
) -> list[Problem]:
    from bench.leaderboards.rerun import rerun

    where = device.resolve(arguments.device)
    only = {name.strip("/") for name in arguments.only}
    unknown = sorted(only - {e.place for e in entries})
    if unknown:
        raise UserError(f"--only {unknown[0]}: there is no such accepted entry")
    problems = []
    for entry in entries:
        if (only and entry.place not in only) or entry.withdrawal is not None:
            continue
        made = rerun(entry, boards[entry.suite], arguments.rerun, seed=arguments.seed, device=where)
        problems += [Problem(entry.place, f"rerun: {reason}") for reason in made.problems]
        console.print(
            f"{escape(entry.place)}: {made.utterances} utterances with the same ids, "
            f"{made.scores} scores agree, {len(made.problems)} problems",
            soft_wrap=True,
        )
        if arguments.sign and not made.problems:
            signed = verification.Verification(
                digest=entry.digest,
                by=arguments.sign,
                seed=arguments.seed,
                utterances=made.utterances,
                scores=made.scores,
                device=where,
            )
            path = verification.record(submissions, entry, signed)
            console.print(f"recorded in {escape(str(path))}", soft_wrap=True)
    return problems


def site_files(submissions: Path, boards: dict[str, Board]) -> dict[str, bytes]:
    """The whole site: path → bytes. UserError where an entry cannot be read."""
    from bench.leaderboards.pages import render
    from bench.leaderboards.standings import standings

    report = check_all(submissions, boards, deep=False)
    records, wrong = verification.read(submissions, report.entries)
    problems = [*report.problems, *wrong]
    problems += [
        Problem(e.place, "there is no such board") for e in report.entries if e.suite not in boards
    ]
    if problems:
        raise UserError(f"{problems[0]}; see `bench leaderboard verify`")
    made = []
    for name, board in sorted(boards.items()):
        part = [e for e in report.entries if e.suite == name]
        made.append(standings(part, records, board))
    return render(made)


def build(arguments: argparse.Namespace) -> int:
    """Write the site, or compare with the one that is there."""
    submissions, boards = _given(arguments)
    out = Path(arguments.out) if arguments.out else SITE
    files = site_files(submissions, boards)
    console = Console(highlight=False)
    if arguments.check:
        unlike = differing(files, out)
        for name in unlike[:20]:
            console.print(f"{escape(name)} is not what the entries make", soft_wrap=True)
        if unlike:
            console.print("run `bench leaderboard build` and commit what it writes")
        return int(bool(unlike))
    write_site(files, out)
    console.print(f"{len(files)} files in {escape(str(out))}", soft_wrap=True)
    return 0


def differing(files: dict[str, bytes], out: Path) -> list[str]:
    """Files of the site in `out` that are other, missing or too many."""
    there = {p.relative_to(out).as_posix(): p for p in out.rglob("*") if p.is_file()}
    unlike = {n for n, data in files.items() if n not in there or there[n].read_bytes() != data}
    return sorted(unlike | (set(there) - set(files)))


def write_site(files: dict[str, bytes], out: Path) -> None:
    """Replace a site by another; a folder that holds something else is left alone."""
    if out.exists() and any(out.iterdir()) and not (out / "assets" / "site.css").is_file():
        raise UserError(f"--out {out} holds something else than a site; choose an empty folder")
    scratch = out.with_name(f".{out.name}.{os.getpid()}")
    for name, data in files.items():
        (scratch / name).parent.mkdir(parents=True, exist_ok=True)
        (scratch / name).write_bytes(data)
    if out.exists():
        shutil.rmtree(out)
    scratch.replace(out)


def serve(arguments: argparse.Namespace) -> int:
    """Serve a site on this machine's own address until interrupted."""
    site = Path(arguments.site) if arguments.site else SITE
    if not (site / "index.html").is_file():
        raise UserError(f"{site} holds no site; run `bench leaderboard build` first")
    server = make_server(site, arguments.port)
    Console(highlight=False).print(
        f"http://127.0.0.1:{server.server_address[1]}/ shows {escape(str(site))}; Ctrl-C ends it",
        soft_wrap=True,
    )
    try:
        server.serve_forever()
    except KeyboardInterrupt:
        pass
    finally:
        server.server_close()
    return 0


class _Handler(http.server.SimpleHTTPRequestHandler):
    """Files below one folder, without a log line for each."""

    def log_message(self, format: str, *args: object) -> None:
        """Nothing."""


def make_server(site: Path, port: int) -> http.server.ThreadingHTTPServer:
    """A server bound to 127.0.0.1 alone. UserError where the port is taken."""
    handler = functools.partial(_Handler, directory=str(site))
    try:
        return http.server.ThreadingHTTPServer(("127.0.0.1", port), handler)
    except (OSError, OverflowError) as error:
        raise UserError(f"--port {port} cannot be used: {error}") from error
