"""Decodes the rows of a token data set to audio files. All of it is checked."""

from __future__ import annotations

import errno
import io
from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from pathlib import Path
from typing import TypeGuard

import pyarrow as pa
import pyarrow.parquet as pq

from bench import audio
from bench.batching import batches
from bench.checks import SLACK_SECONDS, check_audio, check_count, check_tokens
from bench.codec import reason_of, robustly
from bench.contracts import Samples, Tokenizer, Tokens
from bench.dataset import Meta
from bench.dataset_io import MAX_SECONDS, file_name
from bench.dataset_read import Heads, read_group, tokens_of
from bench.errors import ContractError, ItemFailure
from bench.parts import Failure
from bench.progress import Reporter

STAGE = "decode"
SCRATCH = ".unfinished"  # the file that is being written
# Errors of one name, not of the disk: the row is listed and the others go on.
_OF_A_NAME = {errno.EEXIST, errno.ENOTDIR, errno.EISDIR, errno.ENAMETOOLONG, errno.EILSEQ}


class Decoder:
    """Decodes rows in batches. A file is put in place whole; one that is there is kept.

    written, skipped: files; seconds: of audio decoded; failures: rows that gave no file.
    """

    def __init__(
        self,
        tokenizer: Tokenizer,
        meta: Meta,
        folder: Path,
        suffix: str,
        reporter: Reporter,
        batch_seconds: float,
    ) -> None:
        self.tokenizer, self.info, self.meta = tokenizer, tokenizer.info, meta
        self.folder, self.suffix, self.reporter = folder, suffix, reporter
        self.limit = int(batch_seconds * meta.sample_rate)
        self.keeps_time = all(stream.rate is not None for stream in meta.streams)
        self.written = self.skipped = 0
        self.seconds = 0.0
        self.failures: list[Failure] = []

    def run(
        self,
        opened: pq.ParquetFile,
        source: Path,
        groups: Sequence[Heads],
        wanted: AbstractSet[str] | None,
    ) -> None:
        """Every row of `opened`, or those called as in `wanted`. groups: what `heads` found."""
        taken: set[str] = set()
        work = [self._plan(rows, wanted, taken) for rows in groups]
        lengths = (
            rows.samples[i] for rows, (todo, _) in zip(groups, work, strict=True) for i in todo
        )
        self.reporter.total(STAGE, sum(filter(self._possible, lengths)) / self.info.sample_rate)
        for group, (todo, paths) in enumerate(work):
            if todo:
                self._group(read_group(opened, group, source), groups[group], todo, paths)
        (self.folder / SCRATCH).unlink(missing_ok=True)

    def _plan(
        self, rows: Heads, wanted: AbstractSet[str] | None, taken: set[str]
    ) -> tuple[list[int], dict[int, Path]]:
        """Indices of the rows to decode, and index → file for the rows that may have one: those
        whose file no row before them has."""
        todo, paths = [], {}
        for index, name in enumerate(rows.names):
            relative = f"{file_name(name)}.{self.suffix}" if name is not None else ""
            if relative and relative not in taken:
                taken.add(relative)
                paths[index] = self.folder / relative
            if wanted is None or name in wanted:
                if index in paths and paths[index].is_file():
                    self.skipped += 1
                else:
                    todo.append(index)
        return todo, paths

    def _possible(self, samples: int | None) -> TypeGuard[int]:
        return samples is not None and 1 <= samples <= (MAX_SECONDS + 1) * self.info.sample_rate

    def _group(
        self, table: pa.Table, rows: Heads, todo: list[int], paths: Mapping[int, Path]
    ) -> None:
        samples: dict[int, int] = {}
        for index in todo:
            length = rows.samples[index]
            if index not in paths:
                trouble = "it has no name, or one whose file another row has"
            elif not self._possible(length):
                trouble = f"audio_samples is {length}"
            else:
                samples[index] = length
                continue
            self._fail(table, index, ItemFailure(trouble))
        indices = list(samples)
        for batch in batches(list(samples.values()), self.info.batching, self.limit):
            self._batch(table, [indices[j] for j in batch], samples, paths)

    def _batch(
        self,
        table: pa.Table,
        batch: list[int],
        samples: Mapping[int, int],
        paths: Mapping[int, Path],
    ) -> None:
        tokens: dict[int, Tokens] = {}
        for index in batch:
            try:
                tokens[index] = self._checked(tokens_of(table, index, self.meta), samples[index])
            except ItemFailure as failure:
                self._fail(table, index, failure)

        def call(part: list[int]) -> Sequence[object]:
            return check_count(
                self.tokenizer.decode([tokens[i] for i in part]), len(part), "decode"
            )

        made = robustly(call, list(tokens), self.reporter.warn) if tokens else {}
        for index, sound in made.items():
            try:
                if isinstance(sound, Exception):
                    raise ItemFailure(reason_of(sound)) from sound
                seconds = samples[index] / self.info.sample_rate
                self._write(paths[index], self._cut(sound, samples[index]))
                self.written += 1
                self.seconds += seconds
            except ItemFailure as failure:
                self._fail(table, index, failure)
        self.reporter.done(STAGE, sum(samples[i] for i in batch) / self.info.sample_rate)

    def _checked(self, tokens: Tokens, samples: int) -> Tokens:
        """ContractError for ids out of range, or more than so much audio can have."""
        seconds = samples / self.info.sample_rate
        for stream, ids in zip(self.info.streams, tokens.streams, strict=True):
            rate = stream.rate or self.info.sample_rate
            if len(ids) > rate * (seconds + SLACK_SECONDS) + 2:
                raise ContractError(
                    f"stream '{stream.name}' has {len(ids)} ids for {seconds:.2f} s of audio"
                )
        return check_tokens(tokens, self.info)

    def _cut(self, sound: object, samples: int) -> Samples:
        """As long as the original where the tokenizer keeps time, else as long as it came."""
        checked = check_audio(sound, self.info, samples / self.info.sample_rate)
        return audio.align(checked, 0, samples) if self.keeps_time else checked

    def _write(self, path: Path, sound: Samples) -> None:
        """16 bits a sample; ItemFailure where a file of that name cannot be made."""
        import soundfile

        data = io.BytesIO()
        soundfile.write(
            data, sound, self.info.sample_rate, format=self.suffix.upper(), subtype="PCM_16"
        )
        scratch = self.folder / SCRATCH
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            if not path.resolve().is_relative_to(self.folder.resolve()):
                raise ItemFailure("a link leads its file out of the folder")
            scratch.write_bytes(data.getvalue())
            scratch.replace(path)
        except OSError as error:
            if error.errno not in _OF_A_NAME:
                raise
            raise ItemFailure(f"its file cannot be made: {error.strerror}") from error

    def _fail(self, table: pa.Table, index: int, failure: ItemFailure) -> None:
        told = (table.column(name)[index].as_py() or "?" for name in ("utterance", "file"))
        utterance, file = told
        self.failures.append(
            Failure(utterance=utterance, file=file, stage=STAGE, reason=str(failure))
        )
