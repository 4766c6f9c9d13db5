"""Finds the recordings that a person names: files, folders, manifests."""

from __future__ import annotations

import csv
import os
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from bench.errors import UserError

_LOSSY = (".ogg", ".oga", ".opus", ".mp3")
_PLAIN = (".wav", ".flac", ".aif", ".aiff", ".aifc", ".au", ".snd", ".caf", ".w64", ".rf64")
_SPEECH = (".sph", ".nist", ".voc")
SUFFIXES = frozenset((*_LOSSY, *_PLAIN, *_SPEECH))  # of what libsndfile reads
MANIFESTS = frozenset({".csv", ".tsv", ".parquet"})


@dataclass(slots=True)
class Recording:
    """One audio file. `file` is what the data set tells of it, `path` where it lies here.

    frames, rate (Hz), size (bytes), changed (ns) are what `scan` finds; trouble: why it cannot be
    read, "" where it can.
    """

    utterance: str
    file: str
    path: str
    transcript: str | None = None
    frames: int = 0
    rate: int = 0
    size: int = 0
    changed: int = 0
    trouble: str = ""


def find(inputs: Sequence[str]) -> tuple[list[Recording], dict[str, int]]:
    """All recordings, in the order given (a folder's sorted by name), and suffix → number of the
    files in folders that were left alone. UserError for what does not exist or is named twice."""
    found: list[Recording] = []
    others: Counter[str] = Counter()
    for text in inputs:
        path = Path(text)
        if path.is_dir():
            found += _in_folder(path, others)
        elif not path.exists():
            raise UserError(f"{text} does not exist; give audio files, folders or a manifest")
        elif path.suffix.lower() in MANIFESTS:
            found += _in_manifest(path)
        else:
            found.append(_recording(path.name, str(path)))
    seen: dict[str, str] = {}
    for one in found:
        if one.utterance in seen:
            raise UserError(
                f"two recordings would be called '{one.utterance}' ({seen[one.utterance]} and "
                f"{one.path}): give their common folder, or a manifest with a column 'utterance'"
            )
        seen[one.utterance] = one.path
    if not found:
        raise UserError(
            f"no audio in {', '.join(inputs)}; looked for files that end in "
            f"{' '.join(sorted(SUFFIXES))}"
        )
    return found, dict(sorted(others.items()))


def _recording(
    file: str, path: str, utterance: str | None = None, transcript: str | None = None
) -> Recording:
    # A name that is no UTF-8 cannot stand in a Parquet file; the path keeps it as it is.
    told = file.encode("utf-8", "surrogateescape").decode("utf-8", "replace")
    if utterance is None:
        name = PurePosixPath(told)
        utterance = str(name.with_suffix("")) if name.name else told
    return Recording(utterance, told, path, transcript)


def _in_folder(folder: Path, others: Counter[str]) -> Iterator[Recording]:
    names = []
    for place, folders, files in os.walk(folder):
        folders[:] = [f for f in folders if not f.startswith(".")]
        for file in files:
            suffix = Path(file).suffix.lower()
            if file.startswith("."):
                continue
            if suffix in SUFFIXES:
                names.append(Path(place, file).relative_to(folder).as_posix())
            else:
                others[suffix or "no suffix"] += 1
    return (_recording(name, str(folder / name)) for name in sorted(names))


def _in_manifest(path: Path) -> Iterator[Recording]:
    for number, row in enumerate(_rows(path), 1):
        file, utterance, text = (_cell(row, key) for key in ("file", "utterance", "text"))
        if file is None:
            raise UserError(f"{path}: row {number} has no file; the column 'file' must name one")
        yield _recording(file, str(path.parent / file), utterance, text)


def _cell(row: dict[str, Any], key: str) -> str | None:
    value = row.get(key)
    return None if value is None or str(value).strip() == "" else str(value)


def _rows(path: Path) -> Iterator[dict[str, Any]]:
    """Rows of a manifest that has a column `file`; cells of text files stay as they stand."""
    wanted = f"{path}: a manifest wants a column 'file' (and may have 'utterance' and 'text')"
    if path.suffix.lower() == ".parquet":
        import pyarrow as pa
        import pyarrow.parquet as pq

        try:
            table = pq.ParquetFile(path)
            names = [n for n in ("file", "utterance", "text") if n in table.schema_arrow.names]
            if "file" not in names:
                raise UserError(wanted)
            for batch in table.iter_batches(columns=names):
                yield from batch.to_pylist()
        except (pa.ArrowException, OSError) as error:
            raise UserError(f"{path} cannot be read as Parquet: {error}") from error
        return
    try:
        with path.open(newline="", encoding="utf-8-sig") as lines:
            reader = csv.DictReader(lines, delimiter="\t" if path.suffix.lower() == ".tsv" else ",")
            if "file" not in (reader.fieldnames or ()):
                raise UserError(wanted)
            yield from reader
    except (UnicodeDecodeError, csv.Error) as error:
        raise UserError(f"{path} cannot be read as UTF-8 text: {error}") from error
