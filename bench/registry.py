"""Finds plugins by name without importing them.

A built-in plugin is one file: its stem is the name. A third party's plugin is an entry point in
the group `bench.<kind>`, whose value names a module (or any object) with a `load` function.
"""

from __future__ import annotations

import ast
import difflib
import importlib
import inspect
import traceback
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from typing import Any

import bench
from bench.errors import UserError

KINDS = ("tokenizers", "probes", "judges", "metrics")


@dataclass(frozen=True)
class Plugin:
    """One plugin, not yet imported. `origin` is "built-in" or the distribution that brings it."""

    kind: str
    name: str
    origin: str
    path: Path | None = None
    entry: EntryPoint | None = None

    @cached_property
    def module(self) -> Any:
        """The imported plugin; heavy imports still wait for `load`."""
        who = f"{self.kind[:-1]} '{self.name}' ({self.origin})"
        try:
            if self.entry is not None:
                made = self.entry.load()
            else:
                made = importlib.import_module(f"bench.{self.kind}.{self.name}")
        except ImportError as error:
            raise UserError(
                f"{who} cannot be imported: {error}; run `bench doctor` to see what is missing"
            ) from error
        except Exception as error:
            raise UserError(f"{who} cannot be imported: {told(error)}") from error
        if not callable(getattr(made, "load", None)):
            raise UserError(f"{who} has no function `load`; see docs/add-a-tokenizer.md")
        return made

    def load(self, **options: Any) -> Any:
        """What the plugin's `load` returns; UserError where it fails (ImportError passes)."""
        try:
            return self.module.load(**options)
        except (UserError, ImportError):
            raise
        except Exception as error:
            raise UserError(
                f"{self.kind[:-1]} '{self.name}' ({self.origin}) cannot be loaded: {told(error)}"
            ) from error

    @cached_property
    def source_file(self) -> Path | None:
        """The file that holds the plugin's code, where it has one."""
        if self.path is not None:
            return self.path
        try:
            return Path(inspect.getfile(self.module))
        except TypeError:  # an object, not a module
            file = inspect.getsourcefile(inspect.unwrap(self.module.load))
            return Path(file) if file else None

    def summary(self) -> str:
        """First line of the plugin's docstring, read without importing it."""
        if self.path is None:
            return f"from {self.origin}"
        try:
            text = ast.get_docstring(ast.parse(self.path.read_text(encoding="utf-8"))) or ""
        except (SyntaxError, ValueError) as error:
            return f"cannot be read: {told(error)}"
        return text.split("\n", 1)[0]


def told(error: Exception) -> str:
    """An exception on one line, with the place where it was raised."""
    frames = traceback.extract_tb(error.__traceback__)
    where = f" ({Path(frames[-1].filename).name}, line {frames[-1].lineno})" if frames else ""
    if isinstance(error, SyntaxError):
        where = ""  # the message tells it
    return f"{type(error).__name__}: {' '.join(str(error).split())}{where}"


def _folder(kind: str) -> Path | None:
    for root in bench.__path__:
        folder = Path(root) / kind
        if folder.is_dir():
            return folder
    return None


def plugins(kind: str) -> Mapping[str, Plugin]:
    """Name → plugin of one kind, sorted by name; nothing is imported."""
    found: dict[str, Plugin] = {}
    folder = _folder(kind)
    if folder is not None:
        for path in sorted(folder.glob("*.py")):
            if not path.stem.startswith("_"):
                found[path.stem] = Plugin(kind, path.stem, "built-in", path=path)
    for entry in entry_points(group=f"bench.{kind}"):
        origin = entry.dist.name if entry.dist else "an entry point"
        if entry.name in found:
            raise UserError(
                f"{kind[:-1]} '{entry.name}' of package '{origin}' has the name of one that is "
                f"{found[entry.name].origin}: rename its entry point or uninstall the package"
            )
        found[entry.name] = Plugin(kind, entry.name, origin, entry=entry)
    return dict(sorted(found.items()))


def did_you_mean(word: str, known: list[str]) -> str:
    """The end of a sentence: "did you mean 'x'?", or a list of what there is."""
    close = difflib.get_close_matches(word, known, n=1, cutoff=0.5)
    if close:
        return f"did you mean '{close[0]}'?"
    return f"known: {', '.join(known) or 'none'}"


def plugin(kind: str, name: str) -> Plugin:
    """One plugin by name; UserError with a suggestion where there is none."""
    found = plugins(kind)
    if name not in found:
        raise UserError(f"unknown {kind[:-1]} '{name}': {did_you_mean(name, list(found))}")
    return found[name]
