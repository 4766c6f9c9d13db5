"""The documents say what is there: commands parse, links lead somewhere, every row is described."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest

from bench import tracks
from bench.cli import parser
from bench.plan import choose_metrics
from tests.conftest import ROOT

DOCUMENTS = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))]


def commands() -> list[str]:
    found = []
    for document in DOCUMENTS:
        for block in re.findall(r"```\w*\n(.*?)```", document.read_text(), re.S):
            found += [line for line in block.splitlines() if line.startswith("bench ")]
    return sorted(set(found))


@pytest.mark.parametrize("line", commands())
def test_every_command_in_the_documents_parses(line: str) -> None:
    parser().parse_args(shlex.split(line, comments=True)[1:])


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda d: d.name)
def test_every_link_to_a_file_leads_to_one(document: Path) -> None:
    for target in re.findall(r"\]\(([^)#\s]+)\)", document.read_text()):
        if not target.startswith("http"):
            assert (document.parent / target).exists(), target


def test_every_row_is_described() -> None:
    text = (ROOT / "docs" / "metrics.md").read_text()
    metrics, _ = choose_metrics([])
    for row in (row for metric in metrics for row in metric.info.rows):
        assert f"`{row.name}`" in text, row.name
        assert row.source in text, row.name


@pytest.mark.parametrize("name", tracks.MODULES)
def test_every_row_of_a_track_is_described(name: str) -> None:
    text = (ROOT / "docs" / {"probe": "probes.md"}.get(name, f"{name}.md")).read_text()
    for row in tracks.load(name).rows:
        if row.name.startswith("length_"):  # the tests' own probe, where another test installed it
            continue
        assert f"`{row.name}`" in text, row.name
        assert row.source in text, row.name


def test_make_targets_in_the_documents_exist() -> None:
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.M))
    for document in DOCUMENTS:
        used = re.findall(r"(?:^|`)make ([a-z-]+)", document.read_text(), re.M)
        assert set(used) <= targets, (document.name, set(used) - targets)
