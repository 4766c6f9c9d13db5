"""Reads a token data set that may be a stranger's: nothing in it is believed unchecked."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from pydantic import ValidationError

from bench.contracts import Tokens
from bench.dataset import COLUMNS, FORMAT, KEY, Meta, schema_of
from bench.errors import ItemFailure, UserError

MAX_GROUP_IDS, MAX_GROUP_ROWS, MAX_TEXT_BYTES = 1 << 28, 1 << 20, 1 << 28
MAX_METADATA = 1 << 20  # bytes


def read_meta(schema: pa.Schema, path: Path) -> Meta:
    """The checked metadata; UserError where the file was not written by `bench encode`."""
    text = (schema.metadata or {}).get(KEY)
    if text is None:
        raise UserError(f"{path} is no token data set: it was not written by `bench encode`")
    try:
        if len(text) > MAX_METADATA:
            raise ValueError("it is longer than a megabyte")
        told = json.loads(text)
        if isinstance(told, dict) and told.get("format") != FORMAT:
            raise ValueError(f"its format is {told.get('format')!r}, this bench reads {FORMAT}")
        return Meta.model_validate(told, strict=True)
    except ValidationError as error:
        first = error.errors()[0]
        what = f"{'.'.join(map(str, first['loc']))}: {first['msg']}"
        raise UserError(f"{path}: its metadata cannot be used ({what}); write it anew") from error
    except (ValueError, RecursionError) as error:
        raise UserError(f"{path}: its metadata cannot be used ({error}); write it anew") from error


def open_dataset(path: Path) -> tuple[pq.ParquetFile, Meta]:
    """A data set whose metadata and column types hold; rows are checked one by one by `row_of`."""
    if not path.is_file():
        raise UserError(f"{path} does not exist; `bench encode` writes such a file")
    try:
        opened = pq.ParquetFile(path, page_checksum_verification=True)
        schema = opened.schema_arrow
    except (pa.ArrowException, OSError) as error:
        raise UserError(f"{path} cannot be read as Parquet: {str(error)[:200]}") from error
    meta = read_meta(schema, path)
    if len({s.name for s in meta.streams} | set(COLUMNS)) < len(meta.streams) + len(COLUMNS):
        raise UserError(f"{path}: two columns have one name; write it anew with `bench encode`")
    if len(meta.ids) != len(meta.streams):
        raise UserError(f"{path}: its metadata counts other streams than it has; write it anew")
    if [(f.name, f.type) for f in schema] != [(f.name, f.type) for f in schema_of(meta)]:
        raise UserError(f"{path}: its columns are not those of its metadata; write it anew")
    return opened, meta


def read_group(
    opened: pq.ParquetFile, group: int, path: Path, columns: list[str] | None = None
) -> pa.Table:
    """A row group, its size checked before it is unpacked (a few bytes can hold 10^9 ids)."""
    facts = opened.metadata.row_group(group)
    sizes = [facts.column(k) for k in range(facts.num_columns)]
    text = sum(c.total_uncompressed_size for c in sizes[: len(COLUMNS)])
    most = max(c.num_values for c in sizes)
    if facts.num_rows > MAX_GROUP_ROWS or most > MAX_GROUP_IDS or text > MAX_TEXT_BYTES:
        raise UserError(
            f"{path}: its row group {group} is larger than `bench encode` makes any; write it anew"
        )
    try:
        return opened.read_row_group(group, columns=columns)
    except (pa.ArrowException, OSError, MemoryError) as error:
        raise UserError(
            f"{path} is damaged in its row group {group} ({str(error)[:200]}); write it anew"
        ) from error


@dataclass(frozen=True)
class Heads:
    """Names and lengths (samples of audio) of the rows of one row group, not checked."""

    names: list[str | None]
    samples: list[int | None]


def heads(opened: pq.ParquetFile, path: Path) -> list[Heads]:
    """What every row is called and how long it is, without its ids."""
    found = []
    for group in range(opened.metadata.num_row_groups):
        table = read_group(opened, group, path, ["utterance", "audio_samples"])
        found.append(Heads(*(column.to_pylist() for column in table.columns)))
    return found


def fingerprint(path: Path) -> str:
    """Identity of a Parquet file: sha256 of its footer, which tells every page's place and the
    metadata; 32 hex digits."""
    with path.open("rb") as file:
        file.seek(-8, 2)
        length = int.from_bytes(file.read(4), "little")
        file.seek(-8 - length, 2)
        return hashlib.sha256(file.read(length)).hexdigest()[:32]


def tokens_of(table: pa.Table, index: int, meta: Meta) -> Tokens:
    """Ids of one row as int64, ranges not checked; ItemFailure where a list or an id is null."""
    found = []
    for stream in meta.streams:
        ids = table.column(stream.name)[index].values
        if ids is None or ids.null_count:
            raise ItemFailure(f"stream '{stream.name}' holds null")
        found.append(ids.to_numpy(zero_copy_only=False).astype(np.int64))
    return Tokens(tuple(found))
