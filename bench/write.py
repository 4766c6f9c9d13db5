"""Puts a run's files in `runs/<suite>/<variant>/`, each whole or not at all."""

from __future__ import annotations

import hashlib
import json
import os
import platform
from collections.abc import Callable
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

import bench
from bench import device
from bench.collect import collect
from bench.errors import UserError
from bench.options import NOT_IDENTITY
from bench.results import (
    Artifact,
    Result,
    Row,
    StreamResult,
    SuiteResult,
    TokenizerResult,
    dump,
)
from bench.run import Measured
from bench.scores import aggregate, table

PACKAGES = (
    "numpy",
    "torch",
    "onnxruntime",
    "scipy",
    "librosa",
    "soxr",
    "soundfile",
    "jiwer",
    "pesq",
    "pystoi",
    "scikit-learn",
    "whisper-normalizer",
)


def make_folder(folder: Path) -> None:
    """UserError where it cannot be made (no right to write, a name that is too long)."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UserError(
            f"{folder} cannot be made ({error.strerror}): choose another --out"
        ) from error


def atomically(path: Path, write: Callable[[Path], None]) -> None:
    """`write` to a file beside `path`, then put it in place; UserError on a full disk."""
    make_folder(path.parent)
    scratch = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        write(scratch)
        with scratch.open("rb+") as file:
            os.fsync(file.fileno())
        scratch.replace(path)
    except OSError as error:
        scratch.unlink(missing_ok=True)
        raise UserError(
            f"{path} cannot be written ({error.strerror or error}): free space or choose another "
            "--out; what was computed is kept in the cache"
        ) from error


def sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def tokens_table(measured: Measured) -> pa.Table:
    """Ids of every utterance: one list column a stream, with its length in seconds."""
    info = measured.codec.info
    rows = []
    for index in measured.originals.good:
        if measured.codec.unencoded(index):
            continue
        tokens = measured.codec.ids(index)
        row = {
            "utterance": measured.utterance(index).id,
            "seconds": measured.originals.seconds(index),
        }
        row |= {s.name: ids for s, ids in zip(info.streams, tokens.streams, strict=True)}
        rows.append(row)
    schema = pa.schema(
        [
            ("utterance", pa.string()),
            ("seconds", pa.float64()),
            *((s.name, pa.list_(pa.int64())) for s in info.streams),
        ]
    )
    return pa.Table.from_pylist(rows, schema=schema)


def environment(measured: Measured, where: str) -> dict[str, object]:
    """Versions and device: what another machine needs to get the same figures."""
    versions = {}
    for name in PACKAGES:
        try:
            versions[name] = version(name)
        except PackageNotFoundError:
            versions[name] = "absent"
    return {
        "bench": bench.__version__,
        "python": platform.python_version(),
        "machine": platform.machine(),
        "device": where,
        "processor": device.processor(where),
        "judges": {n: j.judge.info.version for n, j in sorted(measured.judging.items())},
        "metrics": {m.info.name: m.info.version for m in measured.plan.metrics},
        "tracks": {t.name: t.version for t in measured.plan.token_tracks},
        "packages": versions,
    }


def _tokenizer(measured: Measured) -> TokenizerResult:
    info, plan = measured.codec.info, measured.plan
    counted = [i for i in measured.originals.good if not measured.codec.unencoded(i)]
    seconds = sum(measured.originals.seconds(i) for i in counted)
    totals = [0] * len(info.streams)
    for index in counted:
        for k, ids in enumerate(measured.codec.ids(index).streams):
            totals[k] += len(ids)
    streams = [
        StreamResult(
            name=s.name,
            vocabulary=s.vocabulary,
            rate=s.rate,
            measured_rate=total / seconds if seconds else 0.0,
        )
        for s, total in zip(info.streams, totals, strict=True)
    ]
    return TokenizerResult(
        name=info.name,
        variant=plan.variant,
        options={k: v for k, v in plan.options.items() if k not in NOT_IDENTITY},
        family=info.family,
        sample_rate=info.sample_rate,
        streams=streams,
        nested=info.nested,
        causal=info.causal,
        side_info_bits=info.side_info_bits,
        parameters=info.parameters,
        weights=info.revision,
        licence=info.licence,
        source=info.source,
        training_data=info.training_data,
        training_speakers=(
            None if info.training_speakers is None else sorted(info.training_speakers)
        ),
        delay_samples=measured.codec.delay,
    )


def write_run(measured: Measured, folder: Path, *, where: str, seed: int) -> Result:
    """Write tokens, scores, details and result.json, the last one last; returns the result."""
    records, failures, specs = collect(measured)
    scores = table(records)
    tokens = tokens_table(measured)
    atomically(folder / "tokens.parquet", lambda p: pq.write_table(tokens, p, compression="zstd"))
    atomically(folder / "scores.parquet", lambda p: pq.write_table(scores, p, compression="zstd"))
    files = {name: f"{name}.parquet" for name in ("scores", "tokens")}
    files |= _details(measured, folder)
    suite = measured.suite
    result = Result(
        tokenizer=_tokenizer(measured),
        suite=SuiteResult(
            name=suite.name,
            version=suite.version,
            digest=suite.digest,
            utterances=len(suite.items),
            seconds=sum(measured.originals.seconds(i) for i in measured.originals.good),
        ),
        environment=environment(measured, where),
        seed=seed,
        tracks=_rows(measured, aggregate(scores.to_pandas(), specs, seed)),
        failures=failures,
        artifacts={
            name: Artifact(file=file, sha256=sha256(folder / file)) for name, file in files.items()
        },
        timing={name: round(value, 6) for name, value in measured.seconds.items()},
    )
    atomically(folder / "result.json", lambda p: _text(p, dump(result)))
    return result


def _rows(measured: Measured, tracks: dict[str, dict[str, Row]]) -> dict[str, dict[str, Row]]:
    """The rows made of sums and those that a track made itself, in the track's order."""
    for track in measured.plan.token_tracks:
        found = {**tracks.get(track.name, {}), **measured.results[track.name].rows}
        if found:  # none of its rows may have been asked for
            tracks[track.name] = {r.name: found[r.name] for r in track.rows if r.name in found}
    return tracks


def _details(measured: Measured, folder: Path) -> dict[str, str]:
    """Write what the tracks tell in full; artifact → file, empty where they tell nothing."""
    told = {name: r.details for name, r in measured.results.items() if r.details}
    path = folder / "details.json"
    if not told:
        path.unlink(missing_ok=True)  # of an earlier run with other rows
        return {}
    text = json.dumps(told, indent=1, ensure_ascii=False, allow_nan=False) + "\n"
    atomically(path, lambda p: _text(p, text))
    return {"details": path.name}


def _text(path: Path, content: str) -> None:
    path.write_text(content, encoding="utf-8")
