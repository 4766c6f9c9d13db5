"""One entry of the leaderboard: the closed set of files in its folder, read and typed.

An entry is `submissions/<suite>-<version>/<variant>/<revision>/` with `result.json`, `card.json`,
`scores.parquet` and `token_hashes.parquet`; a withdrawn one has `withdrawal.json` besides.
"""

from __future__ import annotations

import hashlib
import os
import struct
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypeVar

from pydantic import BaseModel, Field, ValidationError

from bench.errors import UserError
from bench.leaderboards.strict import MEGABYTE, Refused, json_of, parquet_of, regular
from bench.results import Closed, Result, read_result

if TYPE_CHECKING:
    import pyarrow as pa

    from bench.contracts import Tokens

RESULT, CARD = "result.json", "card.json"
SCORES, HASHES = "scores.parquet", "token_hashes.parquet"
WITHDRAWAL = "withdrawal.json"
LIMITS = {
    RESULT: 4 * MEGABYTE,
    CARD: MEGABYTE // 16,
    SCORES: 64 * MEGABYTE,
    HASHES: 32 * MEGABYTE,
    WITHDRAWAL: MEGABYTE // 64,
}
NEEDED = (RESULT, CARD, SCORES, HASHES)
MAX_ROWS = 2_000_000
Model = TypeVar("Model", bound=BaseModel)


class Link(Closed):
    label: str = Field(min_length=1, max_length=60)
    url: str = Field(max_length=500, description="http or https")


class Card(Closed):
    """What a submitter says of a tokenizer; shown as said, never computed with."""

    schema_version: Literal[1] = 1
    name: str = Field(description="as a reader shall see it, at most 80 characters")
    description: str = Field("", description="a sentence or two")
    links: list[Link] = Field(max_length=8, description="paper, code, weights")
    licence: str = Field(min_length=1, max_length=200, description="of code and weights")
    training_data: str = Field(min_length=1, description="what it was trained on, as declared")
    contact: str = Field(max_length=200, description="an e-mail or http(s) address")
    explanations: dict[str, str] = Field(
        default_factory=dict,
        max_length=20,
        description="metric → why a figure that seems implausible is right; the entry then stays "
        "unranked until it is verified",
    )


class Withdrawal(Closed):
    """Takes an entry out of the ranks; the entry stays where it is and visible."""

    schema_version: Literal[1] = 1
    reason: str = Field(min_length=1, max_length=500)


@dataclass
class Entry:
    """What was read of one folder. place: `<suite>/<variant>/<revision>`; digest: sha256 over
    the names and contents of its files but the withdrawal, to which a verification holds."""

    place: str
    folder: Path
    result: Result
    card: Card
    scores: pa.Table = field(repr=False)
    hashes: pa.Table = field(repr=False)
    digest: str = ""
    withdrawal: Withdrawal | None = None
    raw: dict[str, Any] = field(default_factory=dict, repr=False)

    @property
    def suite(self) -> str:
        return self.place.split("/")[0]

    @property
    def revision(self) -> str:
        return self.place.split("/")[2]


def hash_schema() -> pa.Schema:
    """Columns of `token_hashes.parquet`. counts: ids of each stream, in the streams' order."""
    import pyarrow as pa

    return pa.schema(
        [
            ("utterance", pa.string()),
            ("seconds", pa.float64()),
            ("sha256", pa.string()),
            ("counts", pa.list_(pa.int64())),
        ]
    )


def token_hash(streams: Iterable[Iterable[int]]) -> str:
    """sha256 over each stream's length and ids, all as 64-bit little-endian integers."""
    digest = hashlib.sha256()
    for ids in streams:
        values = [int(i) for i in ids]
        digest.update(struct.pack(f"<{len(values) + 1}q", len(values), *values))
    return digest.hexdigest()


def hash_of(tokens: Tokens) -> str:
    """`token_hash` of one utterance."""
    return token_hash(ids.tolist() for ids in tokens.streams)


def suite_folder(name: str, version: str) -> str:
    """The folder of a suite's version: figures of two versions never meet."""
    return f"{name}-{version}"


def list_files(folder: Path) -> dict[str, str]:
    """File → why it may not lie in an entry; empty where the folder holds what it should."""
    wrong: dict[str, str] = {}
    found = []
    with os.scandir(folder) as items:
        for count, item in enumerate(items):
            if count > 20:
                wrong["."] = "it holds more than 20 files"
                break
            found.append(item.name)
            if item.is_symlink():
                wrong[item.name] = "it is a symbolic link; an entry holds plain files"
            elif item.name not in LIMITS:
                wrong[item.name] = f"an entry holds {', '.join(LIMITS)} and nothing else"
            elif not item.is_file(follow_symlinks=False):
                wrong[item.name] = "it is no plain file"
    wrong |= {name: "it is missing" for name in NEEDED if name not in found}
    return wrong


def digest_of(contents: dict[str, bytes]) -> str:
    """sha256 over names and contents of an entry's files, the withdrawal left out."""
    digest = hashlib.sha256()
    for name in sorted(set(contents) - {WITHDRAWAL}):
        digest.update(f"{name}\0{hashlib.sha256(contents[name]).hexdigest()}\n".encode())
    return digest.hexdigest()


def read_entry(folder: Path, place: str) -> tuple[Entry | None, dict[str, str]]:
    """The entry, or None with file → reason for each file that is refused."""
    from bench.scores import SCHEMA

    wrong = list_files(folder)
    if wrong:
        return None, wrong
    contents: dict[str, bytes] = {}
    raw: dict[str, Any] = {}
    made: dict[str, Any] = {}
    for name, limit in LIMITS.items():
        if name == WITHDRAWAL and not (folder / name).exists():
            continue
        try:
            contents[name] = regular(folder / name, limit)
            if name.endswith(".json"):
                raw[name] = json_of(contents[name])
            if name == RESULT:
                made[name] = read_result(folder / name)
            elif name == CARD:
                made[name] = model(Card, raw[name])
            elif name == WITHDRAWAL:
                made[name] = model(Withdrawal, raw[name])
            else:
                schema = SCHEMA if name == SCORES else hash_schema()
                made[name] = parquet_of(contents[name], schema, MAX_ROWS)
        except Refused as refusal:
            wrong[name] = str(refusal)
        except UserError as refusal:
            wrong[name] = str(refusal).removeprefix(f"{folder / name} ")
    if wrong:
        return None, wrong
    return Entry(
        place,
        folder,
        made[RESULT],
        made[CARD],
        made[SCORES],
        made[HASHES],
        digest_of(contents),
        made.get(WITHDRAWAL),
        raw,
    ), {}


def model(kind: type[Model], value: Any) -> Model:
    """A closed model of a parsed JSON value; Refused with the first thing that is wrong."""
    try:
        return kind.model_validate(value, strict=True)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"])) or "the file"
        raise Refused(f"{where}: {first['msg']}") from error
