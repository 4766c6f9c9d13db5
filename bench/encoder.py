"""Encodes recordings part by part: reads ahead, encodes in batches, keeps every finished part."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor

import pyarrow as pa

from bench.batching import batches
from bench.checks import check_count, check_tokens
from bench.codec import reason_of, robustly
from bench.contracts import AudioBatch, Samples, Tokenizer, Tokens
from bench.dataset import Meta, Row, schema_of, table_of
from bench.dataset_io import Piece, pieces, read_piece
from bench.errors import ContractError, ItemFailure, UserError
from bench.parts import Facts, Failure, Parts
from bench.progress import Reporter
from bench.rates import bits
from bench.recordings import Recording

STAGE = "encode"
PART_SECONDS, PART_ROWS = 300.0, 2048  # of audio in a part: the most that a kill costs


def plan_parts(
    recordings: Sequence[Recording], max_seconds: float, part_seconds: float
) -> list[list[Piece]]:
    """All pieces, in order, in parts of at most `part_seconds` (a longer piece is one alone)."""
    made: list[list[Piece]] = []
    names: set[str] = set()
    held = 0.0
    for piece in (p for one in recordings for p in pieces(one, max_seconds)):
        if piece.utterance in names:
            raise UserError(
                f"two rows would be called '{piece.utterance}': a long recording is cut into "
                "pieces called name#0001, name#0002...; rename the file that has such a name"
            )
        names.add(piece.utterance)
        if not made or held + piece.seconds > part_seconds or len(made[-1]) >= PART_ROWS:
            made.append([])
            held = 0.0
        made[-1].append(piece)
        held += piece.seconds
    return made


class Encoder:
    """One tokenizer over parts. In memory are the audio of two parts and the ids of one."""

    def __init__(
        self, tokenizer: Tokenizer, meta: Meta, reporter: Reporter, batch_seconds: float
    ) -> None:
        self.tokenizer, self.info = tokenizer, tokenizer.info
        self.reporter = reporter
        self.schema = schema_of(meta)
        self.limit = int(batch_seconds * self.info.sample_rate)

    def run(
        self, groups: Sequence[Sequence[Piece]], parts: Parts, threads: int
    ) -> tuple[list[Facts], float]:
        """What came out of every part, and how many seconds of audio were encoded now."""
        known: dict[int, Facts] = {}
        for number in range(len(groups)):
            facts, damaged = parts.facts(number)
            if facts is not None:
                known[number] = facts
            if damaged:
                self.reporter.warn(f"part {number} is damaged: it is made again")
        todo = [number for number in range(len(groups)) if number not in known]
        total = sum(piece.seconds for number in todo for piece in groups[number])
        self.reporter.total(STAGE, total)
        with ThreadPoolExecutor(threads, thread_name_prefix="read") as readers:
            try:
                for number, loading in self._ahead(groups, todo, readers):
                    table_and_facts = self._part(groups[number], loading)
                    parts.write(number, *table_and_facts)
                    known[number] = table_and_facts[1]
            except BaseException:
                readers.shutdown(wait=False, cancel_futures=True)
                raise
        return [known[number] for number in range(len(groups))], total

    def _ahead(
        self, groups: Sequence[Sequence[Piece]], todo: list[int], readers: ThreadPoolExecutor
    ) -> Iterator[tuple[int, list[Future[Samples]]]]:
        """Part after part, the next one being read meanwhile."""

        def start(number: int) -> list[Future[Samples]]:
            return [readers.submit(read_piece, p, self.info.sample_rate) for p in groups[number]]

        coming = start(todo[0]) if todo else []
        for at, number in enumerate(todo):
            here, coming = coming, start(todo[at + 1]) if at + 1 < len(todo) else []
            yield number, here

    def _part(
        self, group: Sequence[Piece], loading: list[Future[Samples]]
    ) -> tuple[pa.Table, Facts]:
        """The rows of a part, in order, and what came out; one bad recording costs its own row."""
        clips: dict[int, Samples] = {}
        trouble: dict[int, tuple[str, str]] = {}
        for index, (piece, future) in enumerate(zip(group, loading, strict=True)):
            try:
                clips[index] = future.result()
            except ItemFailure as failure:
                trouble[index] = ("read", str(failure))
                self.reporter.done(STAGE, piece.seconds)
        loading.clear()
        lengths = {index: len(clip) for index, clip in clips.items()}
        done: dict[int, Tokens] = {}
        indices = list(clips)
        for batch in batches(list(lengths.values()), self.info.batching, self.limit):
            for index, made in self._batch([indices[j] for j in batch], group, clips).items():
                del clips[index]
                self.reporter.done(STAGE, group[index].seconds)
                if isinstance(made, Exception):
                    trouble[index] = ("encode", reason_of(made))
                else:
                    done[index] = made
        rows = [_row(group[index], lengths[index], done[index]) for index in sorted(done)]
        facts = Facts(
            rows=len(rows),
            seconds=sum(row.seconds for row in rows),
            ids=[
                sum(len(row.tokens.streams[k]) for row in rows)
                for k in range(len(self.info.streams))
            ],
            bits=sum(bits(row.tokens, self.info) for row in rows),
            failures=[_failure(group[index], *trouble[index]) for index in sorted(trouble)],
        )
        return table_of(rows, self.schema), facts

    def _batch(
        self, batch: list[int], group: Sequence[Piece], clips: dict[int, Samples]
    ) -> dict[int, Tokens | Exception]:
        def call(part: list[int]) -> Sequence[object]:
            audio = AudioBatch.of(
                [clips[i] for i in part],
                self.info.sample_rate,
                [group[i].recording.transcript for i in part],
            )
            return check_count(self.tokenizer.encode(audio), len(part), "encode")

        checked: dict[int, Tokens | Exception] = {}
        for index, made in robustly(call, batch, self.reporter.warn).items():
            if isinstance(made, Exception):
                checked[index] = made
                continue
            try:
                checked[index] = check_tokens(made, self.info)
            except ContractError as error:
                checked[index] = error
        return checked


def _row(piece: Piece, length: int, tokens: Tokens) -> Row:
    one = piece.recording
    return Row(
        piece.utterance, one.file, piece.begins, piece.seconds, length, one.transcript, tokens
    )


def _failure(piece: Piece, stage: str, reason: str) -> Failure:
    return Failure(utterance=piece.utterance, file=piece.recording.file, stage=stage, reason=reason)
