"""Data sets of the hub, or local folders of the same shape, through Hugging Face `datasets`."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit
from urllib.request import getproxies

from bench.errors import UserError
from bench.registry import did_you_mean
from bench.suites.schema import Hub, as_text


def rows(path: Path, corpora: list[Hub]) -> list[dict[str, Any]]:
    """Rows as of a manifest, with audio as bytes or as a file anywhere; `path`: of suite.yaml."""
    return [row for hub in corpora for row in _rows(path, hub)]


def _rows(path: Path, hub: Hub) -> list[dict[str, Any]]:
    from datasets import Audio, load_dataset

    source = hub.dataset
    if (path.parent / source).exists():
        source = str(path.parent / source)
    remote = source == hub.dataset and not Path(source).is_dir()
    try:
        with _offline() if remote and not _hub_answers() else nullcontext():
            table = load_dataset(source, hub.config, split=hub.split, revision=hub.revision)
    except Exception as error:
        reason = (str(error) or type(error).__name__).splitlines()[0]
        mend = (
            f"; fetch it where the hub can be reached with `hf download --repo-type dataset "
            f"{hub.dataset} --local-dir FOLDER` and name that folder as `dataset`"
        )
        raise UserError(
            f"data set '{hub.dataset}' cannot be loaded: {reason}{mend if remote else ''}"
        ) from error
    sound = hub.columns.get("audio", "audio")
    for name, column in {"audio": sound, **hub.columns}.items():
        if column not in table.column_names:
            raise UserError(
                f"data set '{hub.dataset}' has no column '{column}' for columns.{name}: "
                f"{did_you_mean(column, table.column_names)}"
            )
    labels = {c: f.names for c, f in table.features.items() if hasattr(f, "names")}
    table = table.cast_column(sound, Audio(decode=False))
    rows = []
    for index, record in enumerate(table):
        row: dict[str, Any] = {
            n: _named(record[c], labels.get(c)) for n, c in hub.columns.items() if n != "audio"
        }
        cell = record[sound]
        own, speaker = as_text(row.get("utterance")), as_text(row.get("speaker"))
        row.update(
            utterance=f"{hub.corpus}/{own or index}",
            corpus=hub.corpus,
            language=hub.language,
            split=None,
            speaker=f"{hub.corpus}/{speaker or 'unknown'}",
            data=cell.get("bytes"),
            file=cell.get("path"),
            outside=True,
        )
        rows.append(row)
    return rows


def _named(value: Any, names: list[str] | None) -> Any:
    """The name of a class label, any other value as it is; −1 is the hub's "no label"."""
    if names is None or value is None:
        return value
    return names[value] if value >= 0 else None


def _hub_answers() -> bool:
    """Whether the hub's host can be connected to (behind a proxy that is for the proxy to say)."""
    from huggingface_hub import constants

    if constants.HF_HUB_OFFLINE or getproxies():
        return True
    address = urlsplit(constants.ENDPOINT)
    port = address.port or (80 if address.scheme == "http" else 443)
    try:
        socket.create_connection((address.hostname or "", port), timeout=5).close()
    except OSError:
        return False
    return True


@contextmanager
def _offline() -> Iterator[None]:
    """What is cached is used, and what is not fails at once, not after half a minute of retries."""
    from datasets import config
    from huggingface_hub import constants

    before = config.HF_HUB_OFFLINE, constants.HF_HUB_OFFLINE
    config.HF_HUB_OFFLINE = constants.HF_HUB_OFFLINE = True
    try:
        yield
    finally:
        config.HF_HUB_OFFLINE, constants.HF_HUB_OFFLINE = before
