"""`bench list`: names and one line each, read without importing a plugin."""

from __future__ import annotations

import json
from pathlib import Path

from bench import registry


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
    listed: dict[str, dict[str, str]] = {}
    for each in kinds:
        if each == "suites":
            listed[each] = _suites()
        else:
            listed[each] = {n: p.summary() for n, p in registry.plugins(each).items()}
    if as_json:
        print(json.dumps(listed, ensure_ascii=False))
        return 0
    for each, entries in listed.items():
        print(each)
        for name, summary in entries.items():
            print(f"  {name:<16}{summary}")
        if not entries:
            print("  none yet")
    return 0
