"""Turns standings into the site's files: path → bytes, the same for the same entries."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from bench.compare.axes import AXES, BITRATE, TOKEN_RATE, axis_of
from bench.leaderboards.names import LINK
from bench.leaderboards.plots import plots_of
from bench.leaderboards.standings import Column, Line, Standings
from bench.leaderboards.strict import MEGABYTE, json_of, regular
from bench.show import figure, span

HERE = Path(__file__).parent
ASSETS = ("compare.js", "icon.svg", "site.css", "site.js")
Files = dict[str, bytes]


def render(boards: Sequence[Standings]) -> Files:
    """All files of the site. Everything from an entry is escaped by the templates, and only
    http(s) addresses become links."""
    pages = _Pages()
    files: Files = {f"assets/{name}": (HERE / "assets" / name).read_bytes() for name in ASSETS}
    shown = [_board_facts(standings) for standings in boards]
    files["index.html"] = pages.page("index.html", "", boards=shown)
    files["methodology.html"] = pages.page("methodology.html", "", boards=shown)
    changes = json_of(regular(HERE / "changelog.json", MEGABYTE))["changes"]
    files["changelog.html"] = pages.page("changelog.html", "", changes=changes)
    tables = json_of(regular(HERE / "published.json", MEGABYTE))["tables"]
    files["published.html"] = pages.page("published.html", "", tables=tables)
    for standings, facts in zip(boards, shown, strict=True):
        files |= dict(_board(pages, standings, facts))
    return files


class _Pages:
    """The templates, with escaping always on."""

    def __init__(self) -> None:
        from jinja2 import Environment, FileSystemLoader, StrictUndefined

        self._made = Environment(
            loader=FileSystemLoader(HERE / "templates"),
            autoescape=True,
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
            keep_trailing_newline=True,
        )
        self._made.filters["link"] = lambda url: url if LINK.fullmatch(url) else None

    def page(self, template: str, root: str, **values: Any) -> bytes:
        """root: the way from the page back to the site's top, "" or "../"."""
        return self._made.get_template(template).render(root=root, **values).encode()


def _board_facts(standings: Standings) -> dict[str, Any]:
    policy = standings.board.policy
    return {
        "name": standings.board.name,
        "digest": policy.digest,
        "seed": policy.seed,
        "judges": sorted((j, v[0]) for j, v in policy.judges.items()),
        "metrics": sorted((m, v[0]) for m, v in policy.metrics.items()),
        "tracks": standings.tracks(),
        "entries": len(standings.lines),
        "verified": sum(line.badge == "verified" for line in standings.lines),
    }


def _board(
    pages: _Pages, standings: Standings, facts: dict[str, Any]
) -> Iterator[tuple[str, bytes]]:
    name = standings.board.name
    drawn = plots_of(standings)
    for plot in drawn:
        for theme, svg in plot.svg.items():
            yield f"{name}/plots/{plot.name}-{theme}.svg", svg.encode()
    common: dict[str, Any] = {"board": facts}
    for track in standings.tracks():
        columns = _columns(standings, track)
        yield f"{name}/{track}.html", pages.page(
            "track.html", "../", track=track, columns=[_head(c) for c in columns],
            rows=[_cells(line, columns) for line in standings.lines],
            families=sorted({x.entry.result.tokenizer.family for x in standings.lines}),
            plots=drawn if track == "resynthesis" else [], **common,
        )  # fmt: skip
    for line in standings.lines:
        yield (
            f"{name}/{line.slug}.html",
            pages.page("entry.html", "../", line=line, rows=_rows(line, standings), **common),
        )
    yield f"{name}/compare.html", pages.page("compare.html", "../", **common)
    yield f"{name}/compare-data.js", b"window.BOARD = " + _script(_pairs(standings)) + b";\n"
    table = list(_long(standings))
    yield f"{name}/data.json", (json.dumps(table, indent=1, ensure_ascii=False) + "\n").encode()
    yield f"{name}/data.csv", _csv(table)
    yield f"{name}/data.parquet", _parquet(table)


def _columns(standings: Standings, track: str) -> list[Column]:
    """The rates first, then the track's other rows."""
    own = [c for k, c in standings.columns.items() if k[0] == track]
    rates = [standings.columns[k] for k in (BITRATE, TOKEN_RATE) if k in standings.columns]
    return rates + [c for c in own if c not in rates]


_LEADS = {lead for axis in AXES for lead in axis.leads[:1]} | {
    *("bitrate", "token_rate", "entropy_rate", "utilisation", "pnmi_corrected", "abx_within"),
    *("lm_ngram_flatten", "lm_small_flatten", "lm_pairs_order", "lm_pairs_speaker"),
    *("asr_cer_network", "phone_accuracy_network", "speaker_accuracy_linear", "speaker_eer_linear"),
    *("emotion_uar_linear", "words_kept", "swap_correlation", "swap_same_text"),
    *("encode_rtf", "decode_rtf", "look_ahead", "first_packet"),
}
"""Columns that a table shows before "all metrics" is asked for."""


def _head(column: Column) -> dict[str, Any]:
    return {
        "name": column.key[1],
        "unit": column.row.unit,
        "higher": column.row.higher_is_better,
        "about": column.row.description,
        "declared": column.declared,
        "lead": column.key[1] in _LEADS,
    }


def _cell(line: Line, column: Column) -> dict[str, Any]:
    row = line.row(column.key)
    rank = column.rank(line.slug)
    if row is None or row.value is None:
        return {"sort": "", "value": "–", "span": "", "rank": None, "failures": 0, "lead": True}
    return {
        "sort": repr(row.value),
        "value": figure(row.value, row.unit),
        "span": span(row.ci95, row.unit),
        "rank": rank,
        "failures": row.failures,
        "lead": column.key[1] in _LEADS,
    }


def _cells(line: Line, columns: Sequence[Column]) -> dict[str, Any]:
    cells = [_cell(line, c) for c in columns]
    for cell, column in zip(cells, columns, strict=True):
        cell["lead"] = column.key[1] in _LEADS
    return {"line": line, "family": line.entry.result.tokenizer.family, "cells": cells}


def _rows(line: Line, standings: Standings) -> list[tuple[str, list[dict[str, Any]]]]:
    """Track → every row of one entry, with its original and difference."""
    made: dict[str, list[dict[str, Any]]] = {}
    for key, column in standings.columns.items():
        row = line.row(key)
        if row is not None:
            cell = _head(column) | _cell(line, column)
            cell |= {
                "original": figure(row.reference, row.unit),
                "difference": "" if row.difference is None else figure(row.difference, row.unit),
                "difference_span": span(row.difference_ci95, row.unit),
                "n": row.n,
                "clusters": f"{row.n_clusters} {row.clusters}s",
                "note": row.note,
            }
            made.setdefault(key[0], []).append(cell)
    return list(made.items())


def _pairs(standings: Standings) -> dict[str, Any]:
    """What the compare page works on: figures of entries, and claims on pairs of ranked ones."""
    columns = []
    for (track, name), column in standings.columns.items():
        columns.append(
            {
                "track": track,
                "name": name,
                "unit": column.row.unit,
                "higher": column.row.higher_is_better,
                "axis": axis_of((track, name)),
                "slugs": column.slugs,
                "ranks": list(zip(column.low, column.high, strict=True)),
                "sign": "".join("-0+"[s + 1] for s in column.sign),
                "half": column.half,
                "figures": {
                    line.slug: [row.value, figure(row.value, row.unit), span(row.ci95, row.unit)]
                    for line in standings.lines
                    for row in [line.row((track, name))]
                    if row is not None and row.value is not None
                },
            }
        )
    entries = [
        {"slug": x.slug, "variant": x.variant, "revision": x.entry.revision, "badge": x.badge}
        for x in standings.lines
    ]
    return {"board": standings.board.name, "entries": entries, "columns": columns}


def _script(value: Any) -> bytes:
    """JSON that stays data inside a script, whatever the strings hold."""
    text = json.dumps(value, ensure_ascii=True, separators=(",", ":"))
    return text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026").encode()


def _long(standings: Standings) -> Iterator[dict[str, Any]]:
    """One record for each entry and row: what the downloads hold."""
    for line in standings.lines:
        for key, column in standings.columns.items():
            row = line.row(key)
            if row is None:
                continue
            rank = column.rank(line.slug) or (None, None)
            low, high = row.ci95 or (None, None)
            yield {
                "board": standings.board.name,
                "variant": line.variant,
                "revision": line.entry.revision,
                "badge": line.badge,
                "track": key[0],
                "metric": key[1],
                "unit": row.unit,
                "higher_is_better": row.higher_is_better,
                "value": row.value,
                "low": low,
                "high": high,
                "n": row.n,
                "failures": row.failures,
                "reference": row.reference,
                "rank_low": rank[0],
                "rank_high": rank[1],
            }


def _csv(table: Sequence[Mapping[str, Any]]) -> bytes:
    """Texts that a spreadsheet would take for a formula get an apostrophe."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(list(_SCHEMA))
    for record in table:
        writer.writerow([_safe(record[name]) for name in _SCHEMA])
    return out.getvalue().encode()


def _safe(value: Any) -> Any:
    if isinstance(value, str) and value[:1] in ("=", "+", "-", "@", "\t", "\r"):
        return f"'{value}"
    return value


_SCHEMA = {
    "board": "string", "variant": "string", "revision": "string", "badge": "string",
    "track": "string", "metric": "string", "unit": "string", "higher_is_better": "bool",
    "value": "double", "low": "double", "high": "double", "n": "int64", "failures": "int64",
    "reference": "double", "rank_low": "int64", "rank_high": "int64",
}  # fmt: skip


def _parquet(table: Sequence[Mapping[str, Any]]) -> bytes:
    import pyarrow as pa
    import pyarrow.parquet as pq

    schema = pa.schema([(name, pa.type_for_alias(kind)) for name, kind in _SCHEMA.items()])
    out = pa.BufferOutputStream()
    pq.write_table(pa.Table.from_pylist(list(table), schema=schema), out, compression="zstd")
    return out.getvalue().to_pybytes()
