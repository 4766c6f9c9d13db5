"""`bench submit RUN`: a finished run as an entry of the leaderboard, checked before it leaves."""

from __future__ import annotations

import argparse
import json
import re
import shutil
import sys
import tempfile
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.markup import escape

from bench.errors import UserError
from bench.leaderboards.board import BOARDS, Board, load_boards
from bench.leaderboards.entry import (
    CARD,
    HASHES,
    RESULT,
    SCORES,
    Card,
    Entry,
    hash_schema,
    model,
    read_entry,
    suite_folder,
    token_hash,
)
from bench.leaderboards.identity import wrong_place
from bench.leaderboards.names import safe_revision
from bench.leaderboards.strict import MEGABYTE, Problem, Refused, json_of, regular
from bench.leaderboards.verify import check_entry
from bench.results import Result, dump, read_result
from bench.show import figure, span

_PATH = re.compile(r"(?<![\w:/.])(?:~|[A-Za-z]:)?[/\\](?:[^\s/\\,;:'\"()]+[/\\])+(?=[^\s/\\])")
_UNTOLD = ("source", "licence", "training_data")


def submit(arguments: argparse.Namespace) -> int:
    """Check, show, ask, and write; the exit status."""
    run = Path(arguments.run)
    run = run.parent if run.name == RESULT else run
    result = read_result(run / RESULT)
    if arguments.new_card:
        return _new_card(Path(arguments.new_card), result)
    if not arguments.card:
        raise UserError(
            f"bench submit wants --card FILE, what you say of the tokenizer; "
            f"`bench submit {arguments.run} --new-card card.json` writes one to fill in"
        )
    boards = load_boards(Path(arguments.boards) if arguments.boards else BOARDS)
    console = Console(highlight=False)
    with tempfile.TemporaryDirectory() as scratch:
        entry = prepare(run, result, Path(arguments.card), Path(scratch), boards)
        _show(entry, console)
        if not _agreed(arguments.yes):
            console.print("nothing was written")
            return 1
        if arguments.to:
            from bench.leaderboards.checkout import commit_entry

            place, branch = commit_entry(Path(arguments.to), entry, arguments.branch)
            console.print(
                f"branch {escape(branch)} of {escape(arguments.to)} holds {escape(place)}: "
                "push it and open a pull request",
                soft_wrap=True,
            )
        else:
            folder = put(entry, Path(arguments.out))
            console.print(
                f"{escape(str(folder))} is ready: add it to a checkout's "
                "leaderboards/submissions/ and open a pull request",
                soft_wrap=True,
            )
    return 0


def prepare(
    run: Path, result: Result, card: Path, scratch: Path, boards: dict[str, Board]
) -> Entry:
    """The entry of a run in a scratch folder, checked as the leaderboard checks it.

    Raises UserError with everything that the leaderboard would refuse.
    """
    _intact(run, result)
    t, s = result.tokenizer, result.suite
    place = f"{suite_folder(s.name, s.version)}/{t.variant}/{safe_revision(t.weights)}"
    wrong = wrong_place(place)
    if wrong:
        raise UserError(f"this run cannot be an entry: {wrong}")
    folder = scratch / place
    folder.mkdir(parents=True)
    (folder / RESULT).write_text(dump(without_paths(result)), encoding="utf-8")
    shutil.copyfile(run / SCORES, folder / SCORES)
    write_hashes(run / "tokens.parquet", [x.name for x in t.streams], folder / HASHES)
    try:
        said = model(Card, json_of(regular(card, MEGABYTE // 16)))
    except Refused as refusal:
        raise UserError(f"{card}: {refusal}") from refusal
    (folder / CARD).write_text(_json(said.model_dump(mode="json")), encoding="utf-8")
    entry, refused = read_entry(folder, place)
    if entry is None:
        problems = [Problem(file, reason) for file, reason in refused.items()]
    else:
        problems = check_entry(entry, boards)
    if entry is None or problems:
        told = "\n".join(f"  {str(p).removeprefix(f'{place}/')}" for p in problems)
        raise UserError(f"the leaderboard would refuse this run:\n{told}")
    return entry


def _intact(run: Path, result: Result) -> None:
    """The run's files are those that its result names."""
    from bench.weights import sha256

    for name in ("scores", "tokens"):
        artifact = result.artifacts.get(name)
        path = run / f"{name}.parquet"
        if artifact is None or not path.is_file():
            raise UserError(f"{run} has no {name}.parquet; run `bench eval` again")
        if sha256(path) != artifact.sha256:
            raise UserError(
                f"{path} is not the file that result.json names (its sha256 differs); "
                "run `bench eval` again"
            )


def without_paths(result: Result) -> Result:
    """The result with the folders of this machine cut from notes and reasons, and markup made
    plain: both are words of a library, in no figure."""
    made = result.model_copy(deep=True)
    for failure in made.failures:
        failure.reason = _plain(failure.reason)
    for rows in made.tracks.values():
        for row in rows.values():
            row.note = row.note and _plain(row.note)
    return made


def _plain(text: str) -> str:
    text = "".join(c if c.isprintable() else " " for c in _PATH.sub("", text))
    return text.replace("<", "‹").replace(">", "›").replace("&", "+")[:500]


def write_hashes(tokens: Path, streams: list[str], path: Path) -> None:
    """`token_hashes.parquet` from a run's `tokens.parquet`: lengths, counts and sha256, no ids."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    rows = []
    for batch in pq.ParquetFile(tokens).iter_batches(batch_size=64):
        for row in batch.to_pylist():
            ids = [row[name] for name in streams]
            rows.append(
                {
                    "utterance": row["utterance"],
                    "seconds": row["seconds"],
                    "sha256": token_hash(ids),
                    "counts": [len(i) for i in ids],
                }
            )
    rows.sort(key=lambda r: r["utterance"])
    pq.write_table(pa.Table.from_pylist(rows, schema=hash_schema()), path, compression="zstd")


def _json(value: Any) -> str:
    return json.dumps(value, indent=1, ensure_ascii=False) + "\n"


def _new_card(path: Path, result: Result) -> int:
    """Write a card to fill in; never over one that is there."""
    t = result.tokenizer
    said = {
        "schema_version": 1,
        "name": t.name,
        "description": "",
        "links": [{"label": "code", "url": "https://"}],
        "licence": t.licence,
        "training_data": t.training_data,
        "contact": "",
        "explanations": {},
    }
    try:
        with path.open("x", encoding="utf-8") as file:
            file.write(_json(said))
    except FileExistsError as error:
        raise UserError(f"{path} is there already; edit it, or name another") from error
    print(f"{path} is a card to fill in: name, links, licence, training data and contact")
    return 0


def _show(entry: Entry, console: Console) -> None:
    """All that will be public, in words; the files are named for those who want every byte."""

    def line(name: str, text: object) -> None:
        console.print(f"  [dim]{name:<15}[/dim]{escape(str(text))}", soft_wrap=True)

    card, result = entry.card, entry.result
    console.print(f"[bold]This will be public[/bold] as {escape(entry.place)}:")
    line("name", card.name)
    if card.description:
        line("description", card.description)
    for link in card.links:
        line("link", f"{link.label}: {link.url}")
    line("licence", card.licence)
    line("training data", card.training_data)
    line("contact", card.contact)
    for name, text in sorted(card.explanations.items()):
        line("explanation", f"{name}: {text}")
    for name, value in result.environment.items():
        if isinstance(value, str):
            line(name, value)
    line("packages", ", ".join(f"{k} {v}" for k, v in result.environment["packages"].items()))
    for track, rows in result.tracks.items():
        told = [
            f"{name} {figure(row.value, row.unit)} ({span(row.ci95, row.unit)})"
            for name, row in rows.items()
            if row.value is not None
        ]
        line(track, "; ".join(told))
    for failure in result.failures[:10]:
        line("failure", f"{failure.utterance}, {failure.stage}: {failure.reason}")
    if len(result.failures) > 10:
        line("failures", f"{len(result.failures) - 10} more")
    line("per utterance", "sums of every metric, and a sha256 of the ids; no audio, text or id")
    line("files", ", ".join(sorted(p.name for p in entry.folder.iterdir())))


def _agreed(yes: bool) -> bool:
    if yes:
        return True
    if not sys.stdin.isatty():
        raise UserError("bench submit asks before it writes; answer beforehand with --yes")
    return input("Write it? [y/N] ").strip().lower() in ("y", "yes")


def put(entry: Entry, out: Path) -> Path:
    """Copy the entry below `out`; a revision that is there gets a successor (`+2`, `+3` ...)."""
    suite, variant, revision = entry.place.split("/")
    chosen = next_revision(revision, lambda name: (out / suite / variant / name).exists())
    target = out / suite / variant / chosen
    try:
        shutil.copytree(entry.folder, target)
    except OSError as error:
        raise UserError(f"{target} cannot be written ({error.strerror}); see --out") from error
    return target


def next_revision(revision: str, taken: Any) -> str:
    """`revision`, or with the first number that is free."""
    if not taken(revision):
        return revision
    for count in range(2, 100):
        if not taken(f"{revision}+{count}"):
            return f"{revision}+{count}"
    raise UserError(f"there are 99 entries of revision {revision} already")
