"""The finished parts of a data set that is being written, beside it in `<name>.parquet.parts/`.

`plan.json` says which work the parts belong to. A part is a Parquet file and a seal (JSON) written
after it, whose checksum covers both: one that a crash or a disk damaged is made again.
"""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, TypedDict

import pyarrow as pa
import pyarrow.parquet as pq

from bench.dataset import join, write_table
from bench.errors import UserError
from bench.write import atomically, make_folder


class Failure(TypedDict):
    """A row that is absent: `stage` is "read" or "encode"."""

    utterance: str
    file: str
    stage: str
    reason: str


class Facts(TypedDict):
    """What came out of a part: rows, seconds of them, ids of each stream, bits, failures."""

    rows: int
    seconds: float
    ids: list[int]
    bits: float
    failures: list[Failure]


class Parts:
    """Parts of the data set `out`. What `open` finds of an interrupted run is used again."""

    def __init__(self, out: Path) -> None:
        self.out = out
        self.folder = out.with_name(out.name + ".parts")

    def open(self, plan: Mapping[str, Any], *, overwrite: bool) -> None:
        """Go on with parts that belong to `plan`; others: UserError, or removed by `overwrite`."""
        text = json.dumps(plan, ensure_ascii=False)
        found, wanted = self._plan(), json.loads(text)
        if found is not None and found != wanted:
            if not overwrite:
                raise UserError(
                    f"{self.folder} belongs to other work ({_difference(found, wanted)}): give the "
                    "same command as before, another -o, or --overwrite to begin anew"
                )
            shutil.rmtree(self.folder)
        make_folder(self.folder)
        atomically(self.folder / "plan.json", lambda p: _text(p, text))

    def tidy(self, plan: Mapping[str, Any]) -> None:
        """Remove what a run left that was killed after `out` was in place."""
        if self._plan() in ({}, json.loads(json.dumps(plan))):
            self._remove()

    def _remove(self) -> None:
        """Parts first, so that what a kill leaves still says what it belongs to."""
        for path in sorted(self.folder.glob("part-*")):
            path.unlink(missing_ok=True)
        shutil.rmtree(self.folder)

    def _plan(self) -> dict[str, Any] | None:
        """The plan of the parts that lie here; {} where it is damaged, None where nothing lies."""
        if not self.folder.is_dir():
            return None
        try:
            found = json.loads((self.folder / "plan.json").read_text(encoding="utf-8"))
            return found if isinstance(found, dict) else {}
        except (OSError, ValueError):
            return {} if any(self.folder.glob("part-*")) else None

    def _paths(self, number: int) -> tuple[Path, Path]:
        stem = f"part-{number:05d}"
        return self.folder / f"{stem}.parquet", self.folder / f"{stem}.json"

    def write(self, number: int, table: pa.Table, facts: Facts) -> None:
        """Keep a finished part: first the rows, then the seal."""
        rows, seal = self._paths(number)
        atomically(rows, lambda p: write_table(table, p))
        sealed = json.dumps({"facts": facts, "check": _check(rows, facts)}, ensure_ascii=False)
        atomically(seal, lambda p: _text(p, sealed))

    def facts(self, number: int) -> tuple[Facts | None, bool]:
        """(what came out of part `number` or None where it must be made, whether it is damaged)."""
        rows, seal = self._paths(number)
        if not seal.is_file():
            return None, False
        try:
            told = json.loads(seal.read_text(encoding="utf-8"))
            facts: Facts = told["facts"]
            if told["check"] == _check(rows, facts):
                return facts, False
        except (OSError, ValueError, KeyError, TypeError):
            pass
        return None, True

    def finish(self, count: int, schema: pa.Schema) -> None:
        """Join parts 0…count−1 into `out`, in one step, and remove them."""
        whole = self.folder / "whole.parquet"
        try:
            atomically(whole, lambda p: join(self._tables(count), p, schema))
        except pa.ArrowException as error:
            raise UserError(
                f"a part in {self.folder} is damaged ({error}); run the same command again to make "
                "it anew"
            ) from error
        whole.replace(self.out)
        self._remove()

    def _tables(self, count: int) -> Iterator[pa.Table]:
        for number in range(count):
            with pq.ParquetFile(self._paths(number)[0]) as part:
                yield part.read()


def _difference(found: Mapping[str, Any], wanted: Mapping[str, Any]) -> str:
    """The first thing in which two plans differ, for a sentence."""
    if not found:
        return "its plan.json is damaged"
    name = next(k for k in wanted if found.get(k) != wanted[k])
    if name in ("recordings", "code"):
        thing = "recordings have" if name == "recordings" else "tokenizer's code has"
        return f"the {thing} changed since"
    return f"{name} was {found.get(name)!r}, now it is {wanted[name]!r}"


def _text(path: Path, content: str) -> None:
    path.write_text(content, encoding="utf-8")


def _check(rows: Path, facts: Facts) -> str:
    """sha256 over a part's file and its facts."""
    made = hashlib.sha256(rows.read_bytes())
    made.update(json.dumps(facts, ensure_ascii=False, sort_keys=True).encode())
    return made.hexdigest()
