"""Records of re-runs: `verifications/<suite>/<variant>/<revision>.json`, written by maintainers.

They lie outside the entries, so that nobody can bring one along with a submission.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

from pydantic import Field

from bench.errors import UserError
from bench.leaderboards.entry import Entry, model
from bench.leaderboards.names import leaves, wrong_text
from bench.leaderboards.strict import MEGABYTE, Problem, Refused, json_of, regular
from bench.results import Closed

FOLDER = "verifications"


class Verification(Closed):
    """A re-run that agreed with one entry, as it was: `digest` is the entry's."""

    schema_version: Literal[1] = 1
    digest: str = Field(pattern=r"^[0-9a-f]{64}$")
    by: str = Field(min_length=1, max_length=80, description="who ran it")
    seed: int = Field(description="chose the utterances")
    utterances: int = Field(ge=1, description="encoded again, with equal ids")
    scores: int = Field(ge=0, description="sums of metrics that agreed")
    device: str = Field(max_length=20)


def path_of(submissions: Path, place: str) -> Path:
    """Where the verification of an entry lies, beside the submissions."""
    return submissions.parent / FOLDER / f"{place}.json"


def record(submissions: Path, entry: Entry, made: Verification) -> Path:
    """Write it; UserError where it would say what may not be said."""
    for _, text in leaves(made.by):
        reason = wrong_text(text, 80)
        if reason:
            raise UserError(f"--sign {reason}")
    path = path_of(submissions, entry.place)
    path.parent.mkdir(parents=True, exist_ok=True)
    text = json.dumps(made.model_dump(mode="json"), indent=1, ensure_ascii=False)
    path.write_text(text + "\n", encoding="utf-8")
    return path


def read(
    submissions: Path, entries: Sequence[Entry]
) -> tuple[dict[str, Verification], list[Problem]]:
    """Place → verification, and what is wrong with those that hold for no entry as it is."""
    found: dict[str, Verification] = {}
    problems: list[Problem] = []
    known = {entry.place: entry for entry in entries}
    root = submissions.parent / FOLDER
    for path in sorted(root.rglob("*.json")) if root.is_dir() else []:
        place = path.relative_to(root).as_posix().removesuffix(".json")
        shown = f"{FOLDER}/{ascii(place)[1:-1]}.json"
        try:
            made = model(Verification, json_of(regular(path, MEGABYTE // 64)))
        except Refused as refusal:
            problems.append(Problem(shown, str(refusal)))
            continue
        if place not in known:
            problems.append(Problem(shown, "there is no such entry"))
        elif known[place].digest != made.digest:
            problems.append(Problem(shown, "it is of other files than the entry has now"))
        else:
            found[place] = made
    return found, problems
