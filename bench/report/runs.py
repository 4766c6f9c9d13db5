"""The runs that a report is about: read, checked against what they say of themselves."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from bench.contracts import Stream, TokenizerInfo, Tokens
from bench.errors import UserError
from bench.results import Result, Row, read_result
from bench.store import unpack_json
from bench.write import sha256


@dataclass(frozen=True)
class Run:
    """One finished run. label: the variant, told apart from others of the same name."""

    folder: Path
    result: Result
    label: str

    @property
    def info(self) -> TokenizerInfo:
        """What the tokenizer said of itself."""
        t = self.result.tokenizer
        return TokenizerInfo(
            name=t.name,
            family=t.family,
            sample_rate=t.sample_rate,
            streams=tuple(Stream(s.name, s.vocabulary, s.rate) for s in t.streams),
            side_info_bits=t.side_info_bits,
            revision=t.weights,
        )

    def row(self, metric: str) -> Row | None:
        """The row of `metric` in any track, where it has a value."""
        for rows in self.result.tracks.values():
            if metric in rows and rows[metric].value is not None:
                return rows[metric]
        return None

    @cached_property
    def scores(self) -> pd.DataFrame:
        """`scores.parquet`; UserError where it cannot be read."""
        try:
            return pd.read_parquet(self.file("scores"))
        except (OSError, ValueError, pa.ArrowException) as error:
            raise UserError(f"{self.file('scores')} cannot be read: {str(error)[:200]}") from error

    @cached_property
    def details(self) -> dict[str, Any]:
        """What the tracks tell in full; empty where the run has no such file."""
        if "details" not in self.result.artifacts:
            return {}
        try:
            return unpack_json(self.file("details").read_bytes())
        except (OSError, ValueError) as error:
            raise UserError(f"{self.file('details')} cannot be read: {error}") from error

    def file(self, artifact: str) -> Path:
        """Path of an artifact, which lies in the run's own folder."""
        return self.folder / Path(self.result.artifacts[artifact].file).name

    def has(self, artifact: str) -> bool:
        return artifact in self.result.artifacts and self.file(artifact).is_file()

    def ids(self, stream: str) -> npt.NDArray[np.int64]:
        """All ids of one stream, utterance after utterance: int64 [N]."""
        column = self._tokens([stream]).column(stream)
        parts = [chunk.flatten() for chunk in column.chunks]
        if not parts:
            return np.zeros(0, dtype=np.int64)
        return np.concatenate([p.to_numpy(zero_copy_only=False).astype(np.int64) for p in parts])

    def tokens(self, wanted: Sequence[str]) -> dict[str, Tokens]:
        """Utterance → its ids, for those of `wanted` that have any."""
        names = [stream.name for stream in self.result.tokenizer.streams]
        table = self._tokens(["utterance", *names])
        keep = pc.is_in(table.column("utterance"), value_set=pa.array(list(wanted)))
        found = {}
        for row in table.filter(keep).to_pylist():
            streams = tuple(np.array(row[name], dtype=np.int64) for name in names)
            found[str(row["utterance"])] = Tokens(streams)
        return found

    def _tokens(self, columns: list[str]) -> pa.Table:
        try:
            return pq.read_table(self.file("tokens"), columns=columns)
        except (OSError, KeyError, pa.ArrowException) as error:
            raise UserError(f"{self.file('tokens')} cannot be read: {str(error)[:200]}") from error


def read_run(path: str) -> Run:
    """The run in a folder, or of a `result.json`; UserError where its files are not its own."""
    folder = Path(path)
    folder = folder.parent if folder.name == "result.json" else folder
    if not (folder / "result.json").is_file():
        raise UserError(f"{folder} holds no result.json; `bench eval` makes such a folder")
    result = read_result(folder / "result.json")
    run = Run(folder, result, result.tokenizer.variant)
    if not run.has("scores"):
        raise UserError(f"{folder} lacks its scores.parquet; run `bench eval` again")
    for name, artifact in result.artifacts.items():
        if run.has(name) and sha256(run.file(name)) != artifact.sha256:
            raise UserError(
                f"{run.file(name)} is not the file that result.json was made with: "
                "run `bench eval` again"
            )
    return run


def with_others(main: Run, others: Sequence[Run]) -> list[Run]:
    """`main` and then `others`, each with a label of its own.

    UserError where one was measured on other utterances or by other judges or metrics.
    """
    for other in others:
        _check_comparable(main, other)
    seen: Counter[str] = Counter()
    labelled = []
    for run in (main, *others):
        seen[run.label] += 1
        count = seen[run.label]
        labelled.append(run if count == 1 else replace(run, label=f"{run.label} ({count})"))
    return labelled


def _check_comparable(main: Run, other: Run) -> None:
    one, two = main.result, other.result
    if one.suite.digest != two.suite.digest:
        raise UserError(
            f"--with {other.folder}: it was measured on other utterances ({two.suite.name} "
            f"{two.suite.digest[:12]}, not {one.suite.name} {one.suite.digest[:12]}); "
            "measure both on the same suite"
        )
    for what in ("judges", "metrics"):
        mine, theirs = one.environment.get(what, {}), two.environment.get(what, {})
        for name in sorted({*mine} & {*theirs}):
            if mine[name] != theirs[name]:
                raise UserError(
                    f"--with {other.folder}: its {what[:-1]} {name} was {theirs[name]}, not "
                    f"{mine[name]}; run `bench eval` again for the older one"
                )
