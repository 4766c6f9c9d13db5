"""`bench list`: what there is, read without importing a plugin."""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Sequence
from dataclasses import asdict
from itertools import groupby
from pathlib import Path
from typing import Any

from bench import registry
from bench.cards import Card, card
from bench.registry import Plugin, told

NONE = "–"
HEADER = ("name", "family", "kHz", "Hz", "streams", "kbit/s", "licence", "weights", "summary")
NARROW = 24  # characters of the summary that a narrow terminal leaves at least
LICENCE = 28  # characters of a licence in the table; --json has it whole


def _suites() -> dict[str, str]:
    """Bundled suites; the description is found without a YAML parser."""
    found = {}
    for path in sorted((Path(__file__).parent / "suites").glob("*/suite.yaml")):
        lines = path.read_text(encoding="utf-8").splitlines()
        about = next((x for x in lines if x.startswith("description:")), "description:")
        found[path.parent.name] = about.partition(":")[2].strip().strip("\"'")
    return found


def show_list(kind: str, *, as_json: bool) -> int:
    """Print what there is of one kind, or of all."""
    kinds = [*registry.KINDS, "suites"] if kind == "all" else [kind]
    tokenizers = registry.plugins("tokenizers") if "tokenizers" in kinds else {}
    cards = {name: _card(plugin) for name, plugin in tokenizers.items()}
    listed: dict[str, dict[str, Any]] = {}
    for each in kinds:
        if each == "suites":
            listed[each] = _suites()
        elif each == "tokenizers":
            listed[each] = {n: _fields(p, cards[n]) for n, p in tokenizers.items()}
        else:
            listed[each] = {n: p.summary() for n, p in registry.plugins(each).items()}
    if as_json:
        print(json.dumps(listed, ensure_ascii=False))
        return 0
    for each, entries in listed.items():
        print(each)
        if each == "tokenizers" and entries:
            _table([_row(n, cards[n], fields) for n, fields in entries.items()])
            continue
        for name, summary in entries.items():
            print(f"  {name:<16}{summary}")
        if not entries:
            print("  none yet")
    return 0


# ---------------------------------------------------------------------------------- tokenizers
def _card(plugin: Plugin) -> Card | str | None:
    """The card, what is wrong with it, or None where there is none."""
    try:
        return card(plugin)
    except (ValueError, SyntaxError, OSError) as error:
        return told(error)


def _fields(plugin: Plugin, found: Card | str | None) -> dict[str, Any]:
    """Everything that is known, for `--json`."""
    made: dict[str, Any] = {"summary": plugin.summary(), "origin": plugin.origin}
    if isinstance(found, str):
        made["card_error"] = found
    if isinstance(found, Card):
        made |= {k: v for k, v in asdict(found).items() if k not in ("folder", "weights")}
        made |= {"needs": found.weights, "weights": found.lack()}
    return made


def _row(name: str, found: Card | str | None, fields: dict[str, Any]) -> tuple[str, ...]:
    if isinstance(found, str):
        return name, *[NONE] * (len(HEADER) - 2), f"{fields['summary']} [{found}]"
    if found is None:
        return name, *[NONE] * (len(HEADER) - 2), fields["summary"]
    return (
        name,
        found.family,
        f"{found.sample_rate / 1000:g}",
        "/".join(
            dict.fromkeys(NONE if r is None else f"{round(r, 2):g}" for r in found.frame_rate)
        ),
        _streams(found.streams),
        NONE if found.kbps is None else f"{found.kbps:g}",
        _cut(found.licence, LICENCE),
        fields["weights"],
        fields["summary"],
    )


def _streams(groups: Sequence[tuple[int, int]]) -> str:
    """`8×1024`; neighbouring groups of one vocabulary are told as one."""
    alike = groupby(groups, key=lambda group: group[1])
    return " + ".join(f"{sum(count for count, _ in g)}×{vocabulary}" for vocabulary, g in alike)


def _table(rows: Sequence[tuple[str, ...]]) -> None:
    """Columns as wide as their content; on a terminal the summary is cut at its edge."""
    lines = [HEADER, *rows]
    widths = [max(len(line[k]) for line in lines) for k in range(len(HEADER) - 1)]
    left = shutil.get_terminal_size().columns - sum(widths) - 2 * len(HEADER)
    cut = max(left, NARROW) if sys.stdout.isatty() else None
    for *cells, summary in lines:
        padded = "  ".join(cell.ljust(width) for cell, width in zip(cells, widths, strict=True))
        print(f"  {padded}  {_cut(summary, cut)}")


def _cut(text: str, width: int | None) -> str:
    return text if width is None or len(text) <= width else text[: width - 1] + "…"
