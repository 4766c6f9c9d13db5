"""Append-only: what stood on the board stays as it was; a withdrawal may be added, never taken."""

from __future__ import annotations

import hashlib
import os
import subprocess
from collections.abc import Mapping
from pathlib import Path

from bench.errors import UserError
from bench.leaderboards.entry import WITHDRAWAL
from bench.leaderboards.strict import Problem

ODD = "no plain file"


def tree_of_folder(folder: Path) -> dict[str, str]:
    """Relative path → git's id of the content, for every file below `folder`."""
    found: dict[str, str] = {}
    for root, folders, files in os.walk(folder, followlinks=False):
        for name in [*files, *(f for f in folders if (Path(root) / f).is_symlink())]:
            path = Path(root) / name
            place = path.relative_to(folder).as_posix()
            plain = path.is_file() and not path.is_symlink()
            found[place] = _blob(path) if plain else ODD
    return found


def _blob(path: Path) -> str:
    digest = hashlib.sha1(usedforsecurity=False)
    digest.update(f"blob {path.stat().st_size}\0".encode())
    with path.open("rb") as file:
        for part in iter(lambda: file.read(1 << 20), b""):
            digest.update(part)
    return digest.hexdigest()


def tree_of_commit(folder: Path, commit: str) -> dict[str, str]:
    """The same of a commit (or branch or tag) of the checkout that `folder` lies in."""
    name = _git(
        folder, "rev-parse", "--verify", "--quiet", "--end-of-options", f"{commit}^{{commit}}"
    )
    top = Path(_git(folder, "rev-parse", "--show-toplevel").strip())
    below = folder.resolve().relative_to(top.resolve()).as_posix()
    listed = _git(top, "ls-tree", "-r", "-z", "--full-tree", name.strip(), "--", f"{below}/")
    found: dict[str, str] = {}
    for line in filter(None, listed.split("\0")):
        head, path = line.split("\t", 1)
        mode, _, blob = head.split()
        place = path.removeprefix(f"{below}/")
        found[place] = ODD if mode == "120000" else blob
    return found


def _git(folder: Path, *arguments: str) -> str:
    try:
        done = subprocess.run(
            ["git", "-C", str(folder), *arguments], capture_output=True, text=True, check=True
        )
    except FileNotFoundError as error:
        raise UserError("git is not installed, which --base with a commit needs") from error
    except subprocess.CalledProcessError as error:
        reason = error.stderr.strip() or "there is no such commit"
        raise UserError(f"--base: git says of {folder}: {reason}") from error
    return done.stdout


def base_tree(base: str, submissions: Path) -> dict[str, str]:
    """Of a folder of submissions, or of a commit of the checkout `submissions` lies in."""
    if Path(base).is_dir():
        return tree_of_folder(Path(base))
    return tree_of_commit(submissions, base)


def entries_of(tree: Mapping[str, str]) -> frozenset[str]:
    """Places `<suite>/<variant>/<revision>` that hold files."""
    return frozenset("/".join(p.split("/")[:3]) for p in tree if p.count("/") >= 3)


def changes(old: Mapping[str, str], new: Mapping[str, str]) -> list[Problem]:
    """What was changed or removed, and files added to an entry that was there; a withdrawal may
    be added to one."""
    found = []
    before = entries_of(old)
    for path, content in sorted(old.items()):
        if path.startswith("."):
            continue
        if path not in new:
            what = "a withdrawal cannot be taken back" if path.endswith(f"/{WITHDRAWAL}") else (
                "it was removed; entries stay: withdraw one by adding withdrawal.json"
            )  # fmt: skip
            found.append(Problem(path, what))
        elif new[path] != content:
            found.append(
                Problem(path, "it was changed; entries stay as they are: add a new revision")
            )
    for path in sorted(set(new) - set(old)):
        place, _, file = path.rpartition("/")
        if place in before and file != WITHDRAWAL:
            found.append(Problem(path, "it was added to an entry that was there before"))
    return found


def untouched(old: Mapping[str, str], new: Mapping[str, str]) -> frozenset[str]:
    """Places whose files are the same in both."""
    touched = entries_of(
        dict.fromkeys(set(old) ^ set(new), "") | {p: "" for p in old if old[p] != new.get(p)}
    )
    return (entries_of(old) & entries_of(new)) - touched
