"""Loads a suite's utterances through Hugging Face `datasets`, audio undecoded."""

from __future__ import annotations

import csv
import hashlib
import json
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from bench import audio
from bench.contracts import Samples, Utterance
from bench.errors import ItemFailure, UserError
from bench.suites import hub
from bench.suites.schema import (
    OPTIONAL,
    REQUIRED,
    TASKS,
    SuiteFile,
    as_text,
    read_suite,
    suite_path,
)
from bench.suites.spans import Span, spans

_COMMON_LABELS = {"", "none", "nan", "null"}


class NoSuchSplit(UserError):  # noqa: N818 - a state of the suite, like its parent
    """No utterance of the suite has the split that was asked for."""


@dataclass(frozen=True)
class Item:
    """One utterance of a suite with where its audio lies: a file, or bytes inside a data set.

    phones, words: the manifest's alignments, None where it has none. pair, good: its likelihood
    test, and whether it is the good one of it; None where it is in none.
    """

    utterance: Utterance
    tasks: frozenset[str]
    file: Path | None = None
    data: bytes | None = None
    phones: tuple[Span, ...] | None = None
    words: tuple[Span, ...] | None = None
    pair: str | None = None
    good: bool | None = None

    def read_bytes(self) -> bytes:
        """The audio file's bytes; ItemFailure where there is no such file."""
        if self.data is not None:
            return self.data
        try:
            return (self.file or Path()).read_bytes()
        except OSError as error:
            raise ItemFailure(f"audio cannot be read: {error.strerror or error}") from error

    def load(self) -> tuple[Samples, int]:
        """Mono float32 [L] and rate (Hz) as recorded; ItemFailure as `bench.audio.read`."""
        return audio.read(self.read_bytes())


@dataclass(frozen=True)
class Suite:
    """The utterances one run is about, and the digest that identifies them.

    limit: how many were asked for, None for all.
    """

    name: str
    version: str
    digest: str
    items: tuple[Item, ...]
    path: Path
    notes: tuple[str, ...] = field(default=())
    limit: int | None = None

    def of_task(self, task: str) -> list[Item]:
        return [item for item in self.items if task in item.tasks]


def load_suite(name: str, *, limit: int | None = None, split: str | None = None) -> Suite:
    """Load a bundled suite by name, or a person's own by the path of its `suite.yaml`.

    limit: keep at most so many utterances, taken evenly; the digest then differs. split: another
    split than the suite's own (a probe's training data). Raises UserError before any long work.
    """
    path = suite_path(name)
    spec = read_suite(path)
    wanted = split or spec.split
    rows = _manifest_rows(path, spec) if spec.manifest else hub.rows(path, spec.corpora)
    rows = [row for row in rows if (as_text(row.get("split")) or spec.split) == wanted]
    pairs = _pairs(path, rows)
    items = [_item(path, spec, row, pairs) for row in rows]
    _check_unique(path, items)
    if not items:
        raise NoSuchSplit(f"{path}: no utterance has split '{wanted}'")
    items.sort(key=lambda item: item.utterance.id)
    complete = _digest(items)
    if spec.digest and wanted == spec.split and spec.digest != complete:
        raise UserError(
            f"{path}: its utterances have digest {complete[:12]}, not {spec.digest[:12]}: the "
            "corpus was changed or is incomplete; restore it, or change name, version and digest"
        )
    if limit is not None:
        if limit < 1:
            raise UserError(f"--limit wants a number of utterances from 1 up, not {limit}")
        step = max(1.0, len(items) / limit)
        items = [items[int(i * step)] for i in range(min(limit, len(items)))]
    return Suite(spec.name, spec.version, _digest(items), tuple(items), path, limit=limit)


def other_split(suite: Suite, split: str) -> Suite | None:
    """Another split of the same suite, under the same limit; None where it has none of that name,
    or where that is the split that `suite` itself is made of."""
    spec = read_suite(suite.path)
    if split == spec.split:
        return None
    try:
        return load_suite(str(suite.path), limit=suite.limit, split=split)
    except NoSuchSplit:
        return None


def _manifest_rows(path: Path, spec: SuiteFile) -> list[dict[str, Any]]:
    from datasets import Dataset, disable_progress_bars

    manifest = path.parent / str(spec.manifest)
    if not manifest.is_file():
        raise UserError(f"{path}: manifest '{spec.manifest}' does not exist beside it")
    disable_progress_bars()
    readers = {
        ".parquet": Dataset.from_parquet,
        ".csv": _read_csv,
        ".jsonl": Dataset.from_json,
        ".json": Dataset.from_json,
    }
    reader = readers.get(manifest.suffix)
    if reader is None:
        raise UserError(f"{manifest}: a manifest is .parquet, .csv or .jsonl")
    import tempfile

    with tempfile.TemporaryDirectory() as scratch:  # `datasets` writes an Arrow copy somewhere
        try:
            options = _as_text(manifest) if manifest.suffix == ".csv" else {}
            table = reader(str(manifest), cache_dir=scratch, keep_in_memory=True, **options)
        except Exception as error:
            reason = str(error.__cause__ or error).splitlines()[0]
            if "no data" in reason:
                reason = "it has no rows"
            raise UserError(f"{manifest} cannot be read: {reason}") from error
        if not len(table):
            raise UserError(f"{manifest} cannot be read: it has no rows")
        missing = [c for c in REQUIRED if c not in table.column_names]
        if missing:
            raise UserError(
                f"{manifest} lacks the column '{missing[0]}'; a manifest has "
                f"{', '.join(REQUIRED)} and may have {', '.join(OPTIONAL)}"
            )
        rows = list(table.to_list())
    if manifest.suffix == ".csv":  # which knows no other way to say "none"
        rows = [{name: None if cell == "" else cell for name, cell in r.items()} for r in rows]
    return rows


def _as_text(manifest: Path) -> dict[str, Any]:
    """How to read a CSV file as it stands: "001" is no number, and "null" may be a transcript."""
    from datasets import Features, Value

    with manifest.open(newline="", encoding="utf-8") as file:
        names = next(csv.reader(file), [])
    features = Features({name: Value("string") for name in names})
    return {"features": features, "keep_default_na": False}


def _read_csv(manifest: str, **options: Any) -> Any:
    """Every cell as it is written ("007" and "None" too); an empty one is None."""
    import pandas as pd
    from datasets import Dataset

    cells = pd.read_csv(manifest, dtype=str, keep_default_na=False, na_values=[""])
    return Dataset.from_pandas(cells, preserve_index=False)


def _pairs(path: Path, rows: list[dict[str, Any]]) -> dict[str, tuple[str, bool]]:
    """Utterance → its pair, and whether it is the good one."""
    if not any(as_text(row.get("pair")) for row in rows):
        return {}
    from bench.lm.pairs import listed

    try:
        found = listed(rows)
    except UserError as error:
        raise UserError(f"{path}: {error}") from error
    good = {name: (pair, True) for pair, name, _ in found}
    return good | {name: (pair, False) for pair, _, name in found}


def _item(
    path: Path, spec: SuiteFile, row: dict[str, Any], pairs: dict[str, tuple[str, bool]]
) -> Item:
    name = as_text(row.get("utterance"))
    if not name:
        raise UserError(f"{path}: a row of the manifest has no utterance id")
    for column in ("speaker", "language", "file"):
        if not as_text(row.get(column)) and (column != "file" or row.get("data") is None):
            raise UserError(f"{path}: utterance '{name}' has no {column}")
    file = None
    if row.get("data") is None:
        if not as_text(row.get("file")):
            raise UserError(f"{path}: utterance '{name}' has no file")
        file = Path(str(row["file"]))
        if not row.get("outside"):
            root = path.parent.resolve()
            file = (root / file).resolve()
            if not file.is_relative_to(root):
                raise UserError(
                    f"{path}: the file of utterance '{name}' leaves the manifest's folder; "
                    "use paths below that folder"
                )
    try:
        seconds = float(as_text(row.get("seconds")) or 0.0) or _seconds(file, row.get("data"))
    except (TypeError, ValueError):
        raise UserError(
            f"{path}: utterance '{name}' has seconds '{row['seconds']}', which is no number"
        ) from None
    affect = as_text(row.get("affect"))
    utterance = Utterance(
        id=name,
        corpus=as_text(row.get("corpus")) or spec.name,
        language=str(row["language"]),
        speaker=str(row["speaker"]),
        seconds=seconds,
        text=as_text(row.get("text")),
        affect=None if affect is None or affect.lower() in _COMMON_LABELS else affect,
    )
    given = row.get("tasks")
    if isinstance(given, str):
        given = [t for t in given.replace(";", ",").split(",") if t.strip()]
    tasks = {str(t).strip() for t in given} if given is not None else _tasks(spec, utterance)
    unknown = tasks - set(TASKS)
    if unknown:
        raise UserError(
            f"{path}: utterance '{name}' has the unknown task '{sorted(unknown)[0]}'; "
            f"tasks are {', '.join(TASKS)}"
        )
    where = f"{path}: utterance '{name}'"
    pair, good = pairs.get(name, (None, None))
    return Item(
        utterance,
        frozenset(tasks),
        file,
        row.get("data"),
        phones=spans(row.get("phones"), "phone", where),
        words=spans(row.get("words"), "word", where),
        pair=pair,
        good=good,
    )


def _tasks(spec: SuiteFile, utterance: Utterance) -> set[str]:
    """The tasks of a row whose manifest does not name them."""
    tasks = {"signal", "speaker"}
    if utterance.text and utterance.language == spec.transcription_language:
        tasks.add("transcription")
    if utterance.affect:
        tasks.add("emotion")
    if utterance.seconds >= spec.min_quality_seconds:
        tasks.add("quality")
    return tasks


def _seconds(file: Path | None, data: bytes | None) -> float:
    """Length by the file's header; 0 where it cannot be read (the run will list that)."""
    import io

    import soundfile

    try:
        info = soundfile.info(io.BytesIO(data) if data is not None else str(file))
        return float(info.frames / info.samplerate)
    except (RuntimeError, OSError, TypeError):
        return 0.0


def _check_unique(path: Path, items: list[Item]) -> None:
    twice = [n for n, count in Counter(i.utterance.id for i in items).items() if count > 1]
    if twice:
        raise UserError(f"{path}: utterance '{twice[0]}' stands twice; ids must be unique")


def _digest(items: list[Item]) -> str:
    """sha256 over id, sha256 of the audio file, text, affect, tasks and pair of every utterance."""
    lines = []
    for item in items:
        try:
            content = hashlib.sha256(item.read_bytes()).hexdigest()
        except ItemFailure:
            content = "missing"
        u = item.utterance
        lines.append(
            json.dumps(
                [u.id, content, u.speaker, u.language, u.text, u.affect, sorted(item.tasks)]
                + ([item.pair, item.good] if item.pair is not None else []),
                ensure_ascii=False,
            )
        )
    return hashlib.sha256("\n".join(sorted(lines)).encode()).hexdigest()
