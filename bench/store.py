"""What a run keeps on disk: tokens, decoded audio and judgements, each written atomically.

One SQLite file a namespace; the namespace's key covers exactly what changes its content, the
row's key identifies the input. A row carries a checksum: one that a crash or a disk fault damaged
is computed again, never used.
"""

from __future__ import annotations

import hashlib
import json
import sqlite3
import threading
import zlib
from collections.abc import Iterable, Mapping
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np

from bench.contracts import Samples, Tokens
from bench.errors import UserError

FORMAT = 1  # of the stored values; part of every key


def key_of(**parts: Any) -> str:
    """Hash of everything that changes what a namespace holds, 24 hex digits."""
    text = json.dumps({"format": FORMAT, **parts}, sort_keys=True, ensure_ascii=False)
    return hashlib.sha256(text.encode()).hexdigest()[:24]


class Store:
    """Key → bytes in one SQLite file; safe against kill −9 and between threads and processes."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._lock = threading.Lock()
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise UserError(
                f"cache folder {path.parent} cannot be made ({error.strerror}): "
                "choose another --out"
            ) from error
        self._db = self._open()

    def _open(self) -> sqlite3.Connection:
        try:
            db = sqlite3.connect(self.path, timeout=60, check_same_thread=False)
        except sqlite3.OperationalError as error:
            raise UserError(f"cache file {self.path} cannot be opened: {error}") from error
        try:
            with db:
                db.execute(
                    "CREATE TABLE IF NOT EXISTS entry"
                    " (key TEXT PRIMARY KEY, checksum INTEGER NOT NULL, value BLOB NOT NULL)"
                )
            return db
        except sqlite3.DatabaseError as error:
            db.close()
            if _is_full(error):
                raise _full(self.path) from error
            if isinstance(error, sqlite3.OperationalError):
                raise UserError(f"cache file {self.path} cannot be opened: {error}") from error
            # Not a database any more: nothing in it can be trusted, so it is made anew.
            self.path.replace(self.path.with_suffix(".corrupt"))
            return self._open()

    def get(self, key: str) -> bytes | None:
        """The value, or None where it is absent or its checksum is wrong; UserError where
        the file's own structure is damaged."""
        with self._lock:
            try:
                row = self._db.execute(
                    "SELECT checksum, value FROM entry WHERE key = ?", (key,)
                ).fetchone()
            except sqlite3.OperationalError:
                return None
            except sqlite3.DatabaseError as error:
                raise self._damaged(error) from error
        if row is None or zlib.crc32(row[1]) != row[0]:
            return None
        return bytes(row[1])

    def put(self, entries: Mapping[str, bytes]) -> None:
        """Write all entries or none; UserError on a full disk."""
        rows = [(key, zlib.crc32(value), value) for key, value in entries.items()]
        with self._lock:
            try:
                with self._db:
                    self._db.executemany("INSERT OR REPLACE INTO entry VALUES (?, ?, ?)", rows)
            except sqlite3.DatabaseError as error:
                if _is_full(error):
                    raise _full(self.path) from error
                if isinstance(error, sqlite3.OperationalError):  # locked, read-only
                    raise UserError(
                        f"cache file {self.path} cannot be written ({error}): run again"
                    ) from error
                raise self._damaged(error) from error

    def _damaged(self, error: Exception) -> UserError:
        return UserError(f"cache file {self.path} is damaged ({error}): delete it and run again")

    def missing(self, keys: Iterable[str]) -> list[str]:
        """Those keys that have no sound value, in order."""
        return [key for key in keys if self.get(key) is None]

    def close(self) -> None:
        with self._lock:
            self._db.close()


def _is_full(error: Exception) -> bool:
    return "full" in str(error) or "disk I/O" in str(error)


def _full(path: Path) -> UserError:
    return UserError(
        f"the disk that holds {path.parent} is full: free some space and run the same command "
        "again, it goes on where it stopped"
    )


# --------------------------------------------------------------------------------- value codecs
def pack_tokens(tokens: Tokens) -> bytes:
    """Ids as little-endian int64 behind a header of the streams' lengths."""
    header = np.array([len(tokens.streams), *(len(s) for s in tokens.streams)], dtype="<i8")
    return header.tobytes() + b"".join(s.astype("<i8").tobytes() for s in tokens.streams)


def unpack_tokens(data: bytes) -> Tokens:
    """Inverse of `pack_tokens`."""
    values = np.frombuffer(data, dtype="<i8")
    count = int(values[0])
    bounds = np.cumsum([1 + count, *values[1 : 1 + count]])
    return Tokens(tuple(values[a:b].astype(np.int64) for a, b in pairwise(bounds)))


def pack_audio(audio: Samples) -> bytes:
    return audio.astype("<f4").tobytes()


def unpack_audio(data: bytes) -> Samples:
    return np.frombuffer(data, dtype="<f4").astype(np.float32)


def pack_json(value: Mapping[str, Any]) -> bytes:
    return json.dumps(value, sort_keys=True, ensure_ascii=False).encode()


def unpack_json(data: bytes) -> dict[str, Any]:
    return dict(json.loads(data))
