"""`result.json`: closed, versioned, every field described; and its rows from `scores.parquet`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from bench.errors import UserError


class Closed(BaseModel):
    model_config = ConfigDict(extra="forbid", allow_inf_nan=False)


class StreamResult(Closed):
    """One stream as declared, with the rate that came out."""

    name: str = Field(description="the stream's name")
    vocabulary: int = Field(description="number of different ids, V")
    rate: float | None = Field(description="declared tokens a second (Hz); null where it varies")
    measured_rate: float = Field(description="tokens a second (Hz) over all utterances")


class TokenizerResult(Closed):
    """Which tokenizer, in which variant, with which weights."""

    name: str
    variant: str = Field(description="name with its resolved options, `lyra@quantizers=46`")
    options: dict[str, str | int | float | bool | None] = Field(description="resolved options")
    family: Literal["ssl", "codec", "text-aligned", "reference"]
    sample_rate: int = Field(description="Hz")
    streams: list[StreamResult]
    nested: bool
    causal: bool = Field(description="declared")
    side_info_bits: float = Field(description="bits an utterance besides the streams")
    parameters: int
    weights: str = Field(description="revision of the weights: hash, tag or version")
    licence: str
    source: str
    training_data: str
    training_speakers: list[str] | None = Field(
        default=None, description="speakers it was trained on; null: not known"
    )
    delay_samples: int | None = Field(
        description="delay removed, in samples at 16 kHz; null: output follows no waveform, or "
        "the run decoded nothing"
    )


class SuiteResult(Closed):
    """Which utterances."""

    name: str
    version: str
    digest: str = Field(description="sha256 over ids, audio, texts, labels and tasks")
    utterances: int
    seconds: float


class Row(Closed):
    """One metric: value and interval of the resynthesis, of the original, and their difference."""

    value: float | None = Field(description="null where nothing could be scored; see note")
    ci95: tuple[float, float] | None
    n: int = Field(description="utterances (or trials) scored")
    unit: str
    higher_is_better: bool
    reference: float | None = Field(description="the same metric on the original audio")
    difference: float | None = Field(description="value − reference, on the same utterances")
    difference_ci95: tuple[float, float] | None
    clusters: str = Field(description='what was taken as independent: "speaker" or "utterance"')
    n_clusters: int
    failures: int = Field(description="utterances of the task that could not be scored")
    note: str | None = None


class Failure(Closed):
    """One utterance that one stage could not process."""

    track: str
    utterance: str
    stage: str = Field(
        description="load, encode, decode (of another split: encode:train), judge:<name>, "
        "metric:<name>, or what the track did"
    )
    reason: str


class Artifact(Closed):
    file: str
    sha256: str


class Result(Closed):
    """One tokenizer variant on one suite."""

    schema_version: Literal[1] = 1
    tokenizer: TokenizerResult
    suite: SuiteResult
    environment: dict[str, Any] = Field(description="versions, device, judges")
    seed: int
    tracks: dict[str, dict[str, Row]]
    failures: list[Failure]
    artifacts: dict[str, Artifact]
    timing: dict[str, float] = Field(
        description="seconds; with the rows that are not repeatable (MetricRow), the only part "
        "that differs between two runs of the same thing"
    )


def read_result(path: Path) -> Result:
    """A result of any schema version there ever was; UserError where it is none."""
    try:
        return Result.model_validate_json(path.read_bytes())
    except OSError as error:
        raise UserError(f"{path} cannot be read: {error.strerror}") from error
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"])) or "the file"
        raise UserError(f"{path} is not a result of this tool: {where}: {first['msg']}") from error


def dump(result: Result) -> str:
    """The file's text; equal results give equal bytes."""
    return json.dumps(result.model_dump(mode="json"), indent=1, ensure_ascii=False) + "\n"
