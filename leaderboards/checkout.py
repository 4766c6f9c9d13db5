"""Puts an entry into a git checkout as a branch with one commit; its files stay as they are."""

from __future__ import annotations

import os
import re
import subprocess
import tempfile
from pathlib import Path

from bench.errors import UserError
from bench.leaderboards.entry import Entry
from bench.leaderboards.submit import next_revision

BELOW = "leaderboards/submissions"


def commit_entry(checkout: Path, entry: Entry, branch: str | None) -> tuple[str, str]:
    """A new branch on top of HEAD with the entry's files: (path of the entry, branch).

    Only git's objects and the new branch are written: no file is checked out, the current branch
    and the index stay, and no hook runs. Raises UserError with what git says.
    """
    if not checkout.is_dir():
        raise UserError(f"--to {checkout} is no folder")
    top = Path(git(checkout, "rev-parse", "--show-toplevel"))
    head = git(top, "rev-parse", "--verify", "HEAD^{commit}")
    if not git(top, "ls-tree", "--name-only", head, "leaderboards/"):
        raise UserError(f"--to {checkout} is no checkout of this project: it has no leaderboards/")
    suite, variant, revision = entry.place.split("/")
    there = git(top, "ls-tree", "--name-only", head, f"{BELOW}/{suite}/{variant}/").split("\n")
    names = {Path(path).name for path in there if path}
    chosen = next_revision(revision, names.__contains__)
    place = f"{BELOW}/{suite}/{variant}/{chosen}"
    branch = branch or "submit/" + re.sub(r"[^A-Za-z0-9._-]+", "-", f"{suite}-{variant}-{chosen}")
    git(top, "check-ref-format", "--branch", branch)
    with tempfile.TemporaryDirectory() as scratch:
        index = {"GIT_INDEX_FILE": str(Path(scratch) / "index")}
        git(top, "read-tree", head, **index)
        for file in sorted(entry.folder.iterdir()):
            blob = git(top, "hash-object", "-w", "--no-filters", "--", str(file.resolve()))
            spec = f"100644,{blob},{place}/{file.name}"
            git(top, "update-index", "--add", "--cacheinfo", spec, **index)
        tree = git(top, "write-tree", **index)
    message = f"Submit {entry.result.tokenizer.variant} on {suite}"
    commit = git(top, "commit-tree", tree, "-p", head, "-m", message)
    git(top, "update-ref", f"refs/heads/{branch}", commit, "0" * len(commit))
    return place, branch


def git(folder: Path, *arguments: str, **environment: str) -> str:
    """One git command's output without its last newline; UserError where it fails."""
    try:
        done = subprocess.run(
            ["git", "-C", str(folder), *arguments],
            env={**os.environ, **environment},
            capture_output=True,
            text=True,
            check=True,
        )
    except FileNotFoundError as error:
        raise UserError("git is not installed, which --to needs") from error
    except subprocess.CalledProcessError as error:
        reason = error.stderr.strip().splitlines() or [f"git {arguments[0]} failed"]
        raise UserError(f"--to {folder}: git says: {reason[0]}") from error
    return done.stdout.rstrip("\n")
