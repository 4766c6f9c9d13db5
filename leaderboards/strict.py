"""Reads files that a stranger wrote: bounded in size, depth and length, or refused with a reason.

Nothing here runs what it reads: JSON is parsed with its traps closed (duplicate keys, NaN, numbers
beyond a double, deep nesting), Parquet only after its schema and sizes were looked at.
"""

from __future__ import annotations

import io
import json
import math
import os
import re
import stat
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pyarrow as pa

MEGABYTE = 1 << 20
MAX_DEPTH = 12
MAX_DIGITS = 20
MAX_CELL = 300  # characters of a text in a Parquet file
_STRINGS = re.compile(r'"(?:[^"\\]|\\.)*"', re.DOTALL)


@dataclass(frozen=True)
class Problem:
    """Why a file is refused: its path below the submissions, and one sentence."""

    file: str
    reason: str

    def __str__(self) -> str:
        return f"{self.file}: {self.reason}"


class Refused(Exception):  # noqa: N818 - a verdict on a file, not a mistake of the program
    """A file that cannot even be read safely, for `str(self)` as the reason."""


def regular(path: Path, limit: int) -> bytes:
    """The bytes of a plain file of at most `limit` bytes; Refused for links, devices and more.

    Size and kind are those of the opened file, so nothing can be exchanged in between.
    """
    try:
        number = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    except OSError as error:
        if path.is_symlink():
            raise Refused("it is a symbolic link; an entry holds plain files") from error
        raise Refused(f"it cannot be read: {error.strerror}") from error
    with os.fdopen(number, "rb") as file:
        found = os.fstat(number)
        if not stat.S_ISREG(found.st_mode):
            raise Refused("it is no plain file")
        if found.st_size > limit:
            raise Refused(
                f"it has {found.st_size:,} bytes; at most {limit:,} are accepted".replace(",", " ")
            )
        return file.read(limit)


def _depth(text: str) -> int:
    """Deepest nesting of brackets outside strings."""
    deepest = depth = 0
    for sign in re.findall(r"[\[\]{}]", _STRINGS.sub("", text)):
        depth += 1 if sign in "[{" else -1
        deepest = max(deepest, depth)
    return deepest


def _pairs(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    made: dict[str, Any] = {}
    for key, value in pairs:
        if key in made:
            raise Refused(f"the key '{key[:60]}' stands twice in one object")
        made[key] = value
    return made


def _constant(word: str) -> Any:
    raise Refused(f"it holds {word}, which is no number")


def _integer(digits: str) -> int:
    if len(digits) > MAX_DIGITS:
        raise Refused(f"a number has more than {MAX_DIGITS} digits")
    return int(digits)


def _float(digits: str) -> float:
    value = float(digits)
    if not math.isfinite(value):
        raise Refused(f"the number {digits[:30]} is too large")
    return value


def json_of(data: bytes) -> Any:
    """Parsed JSON; Refused for what two readers might understand differently."""
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError as error:
        raise Refused("it is not UTF-8 text") from error
    if _depth(text) > MAX_DEPTH:
        raise Refused(f"it is nested deeper than {MAX_DEPTH} levels")
    try:
        return json.loads(
            text,
            object_pairs_hook=_pairs,
            parse_constant=_constant,
            parse_int=_integer,
            parse_float=_float,
        )
    except json.JSONDecodeError as error:
        raise Refused(f"it is not JSON: {error.msg} in line {error.lineno}") from error


def parquet_of(data: bytes, schema: pa.Schema, max_rows: int) -> pa.Table:
    """The table of a Parquet file that has exactly `schema`, at most `max_rows` rows and no text
    above 300 characters; Refused otherwise, before anything large is unpacked."""
    import pyarrow as pa
    import pyarrow.compute as pc
    import pyarrow.parquet as pq

    if data[:4] != b"PAR1" or data[-4:] != b"PAR1":
        raise Refused("it is not a Parquet file")
    texts = [field.name for field in schema if field.type == pa.string()]
    try:
        file = pq.ParquetFile(io.BytesIO(data), read_dictionary=texts)
        meta = file.metadata
        if meta.num_rows > max_rows:
            raise Refused(f"it has {meta.num_rows} rows; at most {max_rows} are accepted")
        _same_columns(file.schema_arrow, schema)
        groups = [meta.row_group(g) for g in range(meta.num_row_groups)]
        size = sum(group.total_byte_size for group in groups)
        if size > 256 * MEGABYTE:
            raise Refused(f"it unpacks to {size >> 20} MB; at most 256 MB are accepted")
        table = file.read()
        for name in texts:
            for chunk in table.column(name).chunks:
                longest = pc.max(pc.utf8_length(chunk.dictionary)).as_py() or 0
                if longest > MAX_CELL:
                    raise Refused(f"a text in '{name}' has more than {MAX_CELL} characters")
        return table.cast(schema)
    except (pa.ArrowException, OSError, ValueError) as error:
        reason = str(error).splitlines()[0][:200] if str(error) else type(error).__name__
        raise Refused(f"it is not a Parquet file that can be read: {reason}") from error


def _same_columns(found: pa.Schema, wanted: pa.Schema) -> None:
    import pyarrow as pa

    def plain(kind: pa.DataType) -> pa.DataType:
        return kind.value_type if pa.types.is_dictionary(kind) else kind

    have = {field.name: plain(field.type) for field in found}
    want = {field.name: field.type for field in wanted}
    if len(found) != len(have) or list(have) != list(want):
        raise Refused(f"its columns are not {', '.join(want)}")
    for name, kind in want.items():
        if have[name] != kind:
            raise Refused(f"its column '{name}' holds {have[name]}, not {kind}")
