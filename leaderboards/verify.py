"""`bench leaderboard verify`: every entry held against its board, its neighbours and the past."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from bench import registry
from bench.errors import UserError
from bench.leaderboards import history
from bench.leaderboards.board import Board
from bench.leaderboards.entry import Entry, read_entry
from bench.leaderboards.identity import (
    Found,
    check_board,
    check_names,
    check_place,
    check_texts,
    wrong_place,
)
from bench.leaderboards.plausible import check_neighbours, check_plausible
from bench.leaderboards.rates_check import (
    check_counts,
    check_failures,
    check_rates,
    check_utterances,
)
from bench.leaderboards.scoring import check_aggregates, check_rows, check_scores
from bench.leaderboards.strict import Problem

SUBMISSIONS = Path(__file__).with_name("submissions")
MAX_PROBLEMS = 20  # of one entry; more tell nothing new


@dataclass
class Report:
    """entries: those that could be read, refused or not. problems: why what is refused is."""

    entries: list[Entry] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)
    unchanged: int = 0

    def accepted(self) -> list[Entry]:
        """The entries that nothing was found against."""
        bad = {"/".join(p.file.split("/")[:3]) for p in self.problems}
        return [e for e in self.entries if e.place not in bad]


def places(submissions: Path) -> tuple[list[str], list[Problem]]:
    """Places of entries below a folder, sorted, and what may not lie there. No link is followed."""
    found: list[str] = []
    problems: list[Problem] = []
    if not submissions.is_dir():
        raise UserError(f"there is no folder {submissions}")

    def walk(folder: Path, parts: tuple[str, ...]) -> None:
        with os.scandir(folder) as items:
            for item in sorted(items, key=lambda i: i.name):
                place = "/".join((*parts, item.name))
                if not parts and item.name == ".gitkeep":
                    continue
                if item.is_symlink():
                    problems.append(Problem(ascii(place)[1:-1], "it is a symbolic link"))
                elif not item.is_dir(follow_symlinks=False):
                    reason = "files lie in <suite>-<version>/<variant>/<revision>/ alone"
                    problems.append(Problem(ascii(place)[1:-1], reason))
                elif len(parts) == 2:
                    found.append(place)
                else:
                    walk(Path(item.path), (*parts, item.name))

    walk(submissions, ())
    return found, problems


def verify(
    submissions: Path, boards: Mapping[str, Board], *, base: str | None = None, deep: bool = True
) -> Report:
    """Check all entries below `submissions`.

    base: a folder or a commit with the entries as they were; what stood there must stand here,
    and entries that are the same there are not computed again. deep: False reads and types the
    entries only (for a site of entries that were verified before).
    """
    listed, problems = places(submissions)
    report = Report(problems=problems)
    old: Mapping[str, str] = {}
    same: frozenset[str] = frozenset()
    if base is not None:
        old, new = history.base_tree(base, submissions), history.tree_of_folder(submissions)
        report.problems += history.changes(old, new)
        same = history.untouched(old, new)
    for place in listed:
        entry, found = _read(submissions, place)
        report.problems += found
        if entry is not None:
            report.entries.append(entry)
            if place in same:
                report.unchanged += 1
            elif deep:
                report.problems += check_entry(entry, boards)
    before = history.entries_of(old)
    if deep:
        built_in = [n for n, p in registry.plugins("tokenizers").items() if p.origin == "built-in"]
        report.problems += _named(check_names(report.entries, before, built_in))
        for suite in sorted({e.suite for e in report.entries}):
            part = [e for e in report.entries if e.suite == suite]
            report.problems += _named(check_neighbours(part, before))
    return report


def _named(found: Found) -> list[Problem]:
    return [Problem(file, reason) for file, reason in found]


def _read(submissions: Path, place: str) -> tuple[Entry | None, list[Problem]]:
    shown = ascii(place)[1:-1]
    wrong = wrong_place(place)
    if wrong:
        return None, [Problem(shown, wrong)]
    entry, refused = read_entry(submissions / place, place)
    return entry, [Problem(f"{shown}/{ascii(f)[1:-1]}", reason) for f, reason in refused.items()]


def check_entry(entry: Entry, boards: Mapping[str, Board]) -> list[Problem]:
    """All checks of one entry that was read; later ones rely on what earlier ones found sound."""
    problems: list[Problem] = []

    def add(found: Found) -> bool:
        before = len(problems)
        for file, reason in found:
            if len(problems) < MAX_PROBLEMS:
                problems.append(Problem(f"{entry.place}/{file}", reason))
        return len(problems) == before

    sound = all([add(check_place(entry)), add(check_texts(entry))])
    board = boards.get(entry.suite)
    if board is None:
        names = ", ".join(sorted(boards)) or "none"
        problems.append(Problem(entry.place, f"there is no such board; boards are {names}"))
        return problems
    sound &= add(check_board(entry, board))
    if not sound:
        return problems
    add(check_failures(entry, board.facts))
    add(check_utterances(entry, board.facts))
    if add(check_counts(entry, board.facts)):
        add(check_rates(entry))
    add(check_rows(entry, board))
    if add(check_scores(entry, board)):
        add(check_aggregates(entry, board))
        add(check_plausible(entry, board))
    return problems
