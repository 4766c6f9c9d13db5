"""Where weights lie: a folder that the person names, or a cache filled once and checked."""

from __future__ import annotations

import hashlib
import os
import urllib.error
import urllib.request
from collections.abc import Mapping
from pathlib import Path

from bench.errors import UserError, WeightsUnavailable


def home() -> Path:
    """`BENCH_WEIGHTS_DIR`, else `~/.cache/bench/weights`."""
    given = os.environ.get("BENCH_WEIGHTS_DIR")
    return Path(given) if given else Path.home() / ".cache" / "bench" / "weights"


def sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def fetch(name: str, files: Mapping[str, str], base: str, folder: str | None = None) -> Path:
    """The folder that holds `files` (file name → sha256) of plugin `name`.

    Looked for in `folder` where one is given, else in `home()/name`; a file that is nowhere is
    downloaded once from `base` + its name. A file with another hash is refused, never used.
    Raises WeightsUnavailable where a file can be neither found nor fetched.
    """
    place = Path(folder) if folder else home() / name
    if folder and not place.is_dir():
        raise UserError(f"{name}: the folder weights={folder} does not exist")
    for file, expected in files.items():
        path = place / file
        if not path.is_file():
            if folder:
                raise UserError(f"{name}: {folder} lacks the file {file}")
            _download(name, base + file, path, expected, _command(place, files, base))
        elif sha256(path) != expected:
            raise UserError(
                f"{name}: {path} is not the published file (its sha256 differs); delete it and "
                "run again to fetch it anew"
            )
    return place


def _command(place: Path, files: Mapping[str, str], base: str) -> str:
    """What a person types to get all the files."""
    return f"curl -L --create-dirs --output-dir {place} " + " ".join(f"-O {base}{f}" for f in files)


def _download(name: str, address: str, path: Path, expected: str, command: str) -> None:
    try:
        with urllib.request.urlopen(address, timeout=30) as answer:
            data = answer.read()
    except (urllib.error.URLError, OSError) as error:
        raise WeightsUnavailable(
            f"the weights of {name} (looked for in {path.parent}, download failed: "
            f"{getattr(error, 'reason', error)})",
            command,
        ) from error
    if hashlib.sha256(data).hexdigest() != expected:
        raise UserError(f"{name}: what {address} sent is not the published file; nothing was kept")
    path.parent.mkdir(parents=True, exist_ok=True)
    scratch = path.with_name(f".{path.name}.{os.getpid()}")
    scratch.write_bytes(data)
    scratch.replace(path)
