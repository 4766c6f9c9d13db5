"""`suite.yaml` and the columns of a manifest."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from bench.errors import UserError
from bench.registry import did_you_mean

TASKS = ("transcription", "emotion", "speaker", "signal", "quality")
REQUIRED = ("utterance", "file", "language", "speaker")
OPTIONAL = (
    "corpus",
    "split",
    "seconds",
    "text",
    "normalised_text",
    "affect",
    "phones",
    "words",
    "pair",
    "good",
    "licence",
    "tasks",
)


Column = Literal[
    "audio", "utterance", "speaker", "seconds", "text", "affect", "pair", "good", "tasks"
]


class Hub(BaseModel):
    """A data set of the hub (or of a local folder) that Hugging Face `datasets` loads."""

    model_config = ConfigDict(extra="forbid")
    dataset: str = Field(description="hub id or local folder, as `datasets.load_dataset` takes it")
    config: str | None = None
    split: str = "test"
    revision: str | None = Field(None, description="commit of the data set; pin it")
    language: str = Field(description="ISO 639-1 code given to every utterance")
    corpus: str
    columns: dict[Column, str] = Field(
        default_factory=dict, description="manifest column → column of the data set"
    )


class SuiteFile(BaseModel):
    """What `suite.yaml` may say: one manifest of local files, or data sets of the hub."""

    model_config = ConfigDict(extra="forbid")
    name: str = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$")
    version: str
    description: str = ""
    manifest: str | None = Field(None, description="Parquet, CSV or JSONL, beside this file")
    corpora: list[Hub] = Field(default_factory=list)
    split: str = "test"
    digest: str | None = Field(None, description="sha256 that the loaded utterances must have")
    transcription_language: Literal["en"] = "en"
    min_quality_seconds: float = Field(2.0, ge=0, description="shorter ones get no MOS")

    @model_validator(mode="after")
    def _one_source(self) -> SuiteFile:
        if bool(self.manifest) == bool(self.corpora):
            raise ValueError("give either `manifest` or `corpora`")
        return self


def as_text(value: Any) -> str | None:
    """A cell as text; None where it is empty or NaN."""
    if value is None or (isinstance(value, float) and value != value):
        return None
    return str(value)


def suite_path(name: str) -> Path:
    """The `suite.yaml` of a bundled suite's name, of a file or of a folder."""
    here = Path(__file__).parent
    bundled = sorted(p.parent.name for p in here.glob("*/suite.yaml"))
    if name in bundled:
        return here / name / "suite.yaml"
    path = Path(name)
    if path.is_dir() and (path / "suite.yaml").is_file():
        return path / "suite.yaml"
    if path.is_file():
        return path
    if path.suffix in {".yaml", ".yml"} or "/" in name:
        raise UserError(f"suite file '{name}' does not exist; give the path of a suite.yaml")
    raise UserError(
        f"unknown suite '{name}': {did_you_mean(name, bundled)} or give the path of a suite.yaml"
    )


def read_suite(path: Path) -> SuiteFile:
    """Parse and check a `suite.yaml`; UserError with the first thing wrong."""
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
        return SuiteFile.model_validate(content)
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise UserError(f"{path} is not valid YAML: {str(error).splitlines()[0]}") from error
    except OSError as error:
        raise UserError(f"{path} cannot be read: {error.strerror}") from error
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"])) or "the file"
        raise UserError(f"{path}: {where}: {first['msg']}; see docs/suites.md") from error
