"""The token data set: one Parquet file whose schema says what wrote it and how to decode it.

Columns: `utterance` and `file` (text), `start` and `seconds` (of the recording, s), `audio_samples`
(length of the audio at the tokenizer's rate), `transcript` (text or null), then one column of lists
of ids a stream, under the stream's name. The key `bench` of the schema's metadata holds `Meta` as
JSON.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from pydantic import BaseModel, ConfigDict, Field

import bench
from bench.contracts import TokenizerInfo, Tokens
from bench.errors import UserError

FORMAT = 1  # the only one that `Meta` takes
KEY = b"bench"
RESULTS = {"bench", "rows", "seconds", "ids", "bits", "failures"}  # of `Meta`: not what was asked
COLUMNS = {
    "utterance": pa.string(),
    "file": pa.string(),
    "start": pa.float64(),
    "seconds": pa.float64(),
    "audio_samples": pa.int64(),
    "transcript": pa.string(),
}
GROUP_IDS, GROUP_ROWS = 1 << 22, 1 << 14  # a row group is closed when it holds as much


class StreamMeta(BaseModel):
    """One stream, as `bench.contracts.Stream`."""

    model_config = ConfigDict(allow_inf_nan=False)
    name: str = Field(min_length=1, max_length=200)
    vocabulary: int = Field(ge=1, le=1 << 62)
    rate: float | None = Field(gt=0)


class Meta(BaseModel):
    """What the file's metadata says; nothing in it names a place on the machine that wrote it.

    recordings: digest of names, lengths and transcripts of all the recordings that were given;
    max_seconds: the length above which a recording becomes several rows. rows, seconds, ids (of
    each stream), bits (side information included): what the file holds; failures: how many rows
    are absent because they failed.
    """

    model_config = ConfigDict(allow_inf_nan=False)
    format: Literal[1] = 1
    tokenizer: str = Field(max_length=200)
    variant: str = Field(max_length=2000)
    options: dict[str, str | int | float | bool | None]
    revision: str = Field(max_length=2000)
    sample_rate: int = Field(ge=1, le=1_000_000)
    streams: list[StreamMeta] = Field(min_length=1, max_length=4096)
    side_info_bits: float = Field(ge=0)
    nested: bool
    licence: str
    device: str
    max_seconds: float = Field(gt=0)
    recordings: str
    bench: str
    rows: int = Field(0, ge=0)
    seconds: float = Field(0.0, ge=0)
    ids: list[int] = []
    bits: float = Field(0.0, ge=0)
    failures: int = Field(0, ge=0)

    @classmethod
    def of(cls, info: TokenizerInfo, **known: Any) -> Meta:
        """known: tokenizer, variant, options, device, max_seconds, recordings."""
        for stream in info.streams:
            if stream.name in COLUMNS:
                raise UserError(
                    f"tokenizer '{info.name}': a stream called '{stream.name}' cannot stand in a "
                    f"data set beside the columns {', '.join(COLUMNS)}; rename it in the plugin"
                )
        return cls(
            revision=info.revision,
            sample_rate=info.sample_rate,
            streams=[
                StreamMeta(name=s.name, vocabulary=s.vocabulary, rate=s.rate) for s in info.streams
            ],
            side_info_bits=info.side_info_bits,
            nested=info.nested,
            licence=info.licence,
            bench=bench.__version__,
            **known,
        )


@dataclass(frozen=True)
class Row:
    """One recording, or one piece of it, with its ids."""

    utterance: str
    file: str
    start: float
    seconds: float
    audio_samples: int
    transcript: str | None
    tokens: Tokens


# ------------------------------------------------------------------------------------- writing
def id_type(vocabulary: int) -> pa.DataType:
    """The smallest signed integers that hold the ids [0, vocabulary): int16, int32 or int64."""
    return next(
        (t for t, bits in ((pa.int16(), 15), (pa.int32(), 31)) if vocabulary <= 1 << bits),
        pa.int64(),
    )


def schema_of(meta: Meta) -> pa.Schema:
    """Columns and metadata of a data set."""
    ids = [(s.name, pa.list_(id_type(s.vocabulary))) for s in meta.streams]
    return pa.schema(
        [*COLUMNS.items(), *ids],
        metadata={KEY: json.dumps(meta.model_dump(), ensure_ascii=False, sort_keys=True).encode()},
    )


def table_of(rows: Sequence[Row], schema: pa.Schema) -> pa.Table:
    """Rows as Arrow, ids in the schema's types."""
    columns = [pa.array([getattr(row, c) for row in rows], kind) for c, kind in COLUMNS.items()]
    for k, column in enumerate(list(schema)[len(COLUMNS) :]):
        ids = [row.tokens.streams[k] for row in rows]
        offsets = np.cumsum([0, *(len(i) for i in ids)], dtype=np.int64)
        flat = np.concatenate([*ids, np.zeros(0, np.int64)])
        columns.append(
            pa.ListArray.from_arrays(
                pa.array(offsets, pa.int32()), pa.array(flat, column.type.value_type)
            )
        )
    return pa.Table.from_arrays(columns, schema=schema)


def ids_in(table: pa.Table) -> int:
    """Number of ids of all streams."""
    return sum(len(c.values) for column in table.columns[len(COLUMNS) :] for c in column.chunks)


def write_table(table: pa.Table, path: Path) -> None:
    pq.write_table(table, path, compression="zstd", write_page_checksum=True)


def join(parts: Iterable[pa.Table], path: Path, schema: pa.Schema) -> None:
    """One file of all parts' rows, in row groups whose bounds follow from the rows alone; no
    more than a row group and a part are in memory."""
    with pq.ParquetWriter(path, schema, compression="zstd", write_page_checksum=True) as writer:
        kept: list[pa.Table] = []
        ids = rows = 0
        for part in parts:
            kept.append(part.replace_schema_metadata(schema.metadata))
            ids, rows = ids + ids_in(part), rows + len(part)
            if ids >= GROUP_IDS or rows >= GROUP_ROWS:
                writer.write_table(pa.concat_tables(kept), row_group_size=rows or 1)
                kept, ids, rows = [], 0, 0
        if rows:
            writer.write_table(pa.concat_tables(kept), row_group_size=rows)
