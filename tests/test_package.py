"""The wheel holds every file that the tool needs, where the tool looks for it."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from tests.conftest import ROOT

FOLDERS = {
    "bench": "bench",
    "tokenizers": "bench/tokenizers",
    "probes": "bench/probes",
    "leaderboards": "bench/leaderboards",
}
PIP = [sys.executable, "-m", "pip", "--disable-pip-version-check", "-q"]


def tracked() -> list[str]:
    """Files under version control that are there; the checkout may be a plain copy: then skip."""
    done = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True)
    if done.returncode:
        pytest.skip("not a git checkout: clone the repository to compare with its files")
    return [f for f in done.stdout.split("\0") if f and (ROOT / f).is_file()]


def place(file: str) -> str | None:
    """Where a wheel holds a file of the checkout; None for what is no part of it."""
    top, _, rest = file.partition("/")
    hidden = Path(file).name.startswith(".")
    return f"{FOLDERS[top]}/{rest}" if top in FOLDERS and rest and not hidden else None


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A wheel of the tracked files alone, built as `pip install .` builds it."""
    source, out = tmp_path_factory.mktemp("source"), tmp_path_factory.mktemp("wheel")
    for file in tracked():
        (source / file).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(ROOT / file, source / file)
    subprocess.run(
        [*PIP, "wheel", "--no-deps", "--no-build-isolation", "-w", str(out), str(source)],
        check=True,
        capture_output=True,
    )
    (made,) = out.glob("*.whl")
    return made


@pytest.mark.slow
def test_every_tracked_file_of_the_packages_is_in_the_wheel(wheel: Path) -> None:
    inside = {n for n in zipfile.ZipFile(wheel).namelist() if ".dist-info/" not in n}
    wanted = {found for file in tracked() if (found := place(file))}
    assert wanted - inside == set()
    assert inside - wanted == set()
    assert "bench/suites/mini/manifest.parquet" in inside
    assert any(n.startswith("bench/judges/") and n.endswith(".safetensors") for n in inside)


@pytest.mark.slow
def test_the_wheel_holds_what_the_checkout_holds(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        for file in tracked():
            found = place(file)
            if found:
                assert archive.read(found) == (ROOT / file).read_bytes(), file


@pytest.mark.slow
def test_an_installed_wheel_works_anywhere(wheel: Path, tmp_path: Path) -> None:
    target, elsewhere = tmp_path / "site", tmp_path / "elsewhere"
    elsewhere.mkdir()
    subprocess.run(
        [*PIP, "install", "--no-deps", "--target", str(target), str(wheel)],
        check=True,
        capture_output=True,
    )
    env = {**os.environ, "PYTHONPATH": str(target)}

    def python(*arguments: str) -> str:
        done = subprocess.run(
            [sys.executable, *arguments], cwd=elsewhere, env=env, capture_output=True, text=True
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    listed = python("-m", "bench", "list", "tokenizers")
    for name in ("lyra", "mulaw", "text"):
        assert name in listed
    code = (
        "import tokenizers, bench, bench.tokenizers.mulaw as m\n"
        "from bench.suites.load import load_suite\n"
        "print(bench.__file__, m.__file__, hasattr(tokenizers, 'Tokenizer'), sep='\\n')\n"
        "print(load_suite('mini').path)"
    )
    bench_file, mulaw_file, real, suite = python("-c", code).splitlines()
    site = str(target)
    assert all(path.startswith(site) for path in (bench_file, mulaw_file, suite))
    assert real == "True"
    made = python("-m", "bench", "eval", "mulaw", "--tracks", "tokens", "--limit", "3", "--json")
    assert '"failures": []' in made
