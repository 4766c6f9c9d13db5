"""The store: round trips, atomic writes, damage."""

from __future__ import annotations

import sqlite3

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bench.contracts import Tokens
from bench.errors import UserError
from bench.store import Store, key_of, pack_audio, pack_tokens, unpack_audio, unpack_tokens

ids = st.lists(st.integers(0, 2**40), max_size=30).map(lambda x: np.array(x, dtype=np.int64))


@given(st.lists(ids, min_size=1, max_size=8))
@settings(max_examples=60, deadline=None)
def test_tokens_round_trip(streams):
    back = unpack_tokens(pack_tokens(Tokens(tuple(streams))))
    assert len(back.streams) == len(streams)
    for a, b in zip(back.streams, streams, strict=True):
        assert a.dtype == np.int64
        np.testing.assert_array_equal(a, b)


def test_audio_round_trip_is_exact():
    x = np.random.default_rng(0).uniform(-1, 1, 1001).astype(np.float32)
    np.testing.assert_array_equal(unpack_audio(pack_audio(x)), x)


def test_a_damaged_row_is_absent_and_can_be_written_again(tmp_path):
    store = Store(tmp_path / "s.sqlite")
    store.put({"a": b"hello", "b": b"world"})
    with sqlite3.connect(tmp_path / "s.sqlite") as db:
        db.execute("UPDATE entry SET value = ? WHERE key = 'a'", (b"hellO",))
    assert store.get("a") is None
    assert store.get("b") == b"world"
    assert store.missing(["a", "b", "c"]) == ["a", "c"]
    store.put({"a": b"again"})
    assert store.get("a") == b"again"


def test_a_file_that_is_no_database_is_put_aside(tmp_path):
    (tmp_path / "s.sqlite").write_bytes(b"not a database at all" * 100)
    store = Store(tmp_path / "s.sqlite")
    store.put({"a": b"1"})
    assert store.get("a") == b"1"
    assert (tmp_path / "s.corrupt").exists()


def test_a_full_disk_is_one_sentence_and_keeps_what_was_written(tmp_path):
    store = Store(tmp_path / "s.sqlite")
    store.put({"a": b"1"})
    store._db.execute("PRAGMA max_page_count = 4")
    with pytest.raises(UserError, match="full"):
        store.put({"b": bytes(1_000_000), "c": b"2"})
    assert store.get("a") == b"1"
    assert store.get("c") is None


def test_keys_cover_what_they_are_given_in_any_order():
    assert key_of(a=1, b={"x": 1, "y": 2}) == key_of(b={"y": 2, "x": 1}, a=1)
    assert key_of(a=1) != key_of(a=2)
    assert key_of(kind="tokens", revision="1") == "a2f4c59605c94f3ffc28760a"  # a golden: see FORMAT
