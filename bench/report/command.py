"""`bench report`: from parsed arguments to `report.html` and the figures beside it."""

from __future__ import annotations

import argparse
import json
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from bench import __version__, device
from bench.errors import UserError
from bench.progress import Quiet
from bench.report import choose, plots, tables
from bench.report.clips import ORIGINAL, Listening, listening
from bench.report.curves import detail_plots
from bench.report.figures import Plot, inline, save, style
from bench.report.page import render
from bench.report.runs import Run, read_run, with_others
from bench.write import atomically, make_folder

AGAINST_BITRATE = ("wer", "distillmos", "utmos")
MOST_CLIPS = 100


def report(arguments: argparse.Namespace) -> int:
    """Write the report and say where it is; 0."""
    if not 0 <= arguments.clips <= MOST_CLIPS:
        raise UserError(f"--clips wants a number from 0 to {MOST_CLIPS}")
    warnings.filterwarnings("ignore")  # third parties' deprecations say nothing to a user
    main = read_run(arguments.run)
    runs = with_others(main, [read_run(path) for path in arguments.others])
    out = Path(arguments.out) if arguments.out else main.folder / "report.html"
    if out.suffix.lower() not in (".html", ".htm"):
        raise UserError(f"-o {out}: name a file that ends in .html")
    folder = out.with_suffix("")
    make_folder(folder)
    known = choose.known_rows()
    names = choose.leads(main)
    heard = listening(
        runs,
        count=arguments.clips,
        names=names,
        known=known,
        suite=arguments.suite,
        device=device.resolve(arguments.device),
        reporter=Quiet(),
    )
    parts = tables.breakdowns(main, names)
    with style():
        figures = [_inline(plot, folder) for plot in _plots(runs, names, parts)]
        clips = [(clip, _inline(clip.plot, folder)) for clip in heard.clips]
    page = render(_context(runs, names, known, parts, figures, clips, heard))
    atomically(out, lambda path: _put(path, page))
    size = len(page.encode())
    told = {
        "report": str(out),
        "bytes": size,
        "figures": str(folder),
        "clips": len(heard.clips),
        "notes": list(heard.notes),
    }
    if arguments.json:
        print(json.dumps(told, ensure_ascii=False))
    else:
        print(f"{out}: {size / 1e6:.1f} MB, {len(heard.clips)} utterances; plots in {folder}")
        for note in heard.notes:
            print(f"  {note}")
    return 0


def _put(path: Path, text: str) -> None:
    path.write_text(text, encoding="utf-8", newline="\n")


def _plots(
    runs: Sequence[Run], names: Sequence[str], parts: Sequence[tables.Breakdown]
) -> list[Plot]:
    found = [plots.against_bitrate(metric, runs) for metric in AGAINST_BITRATE]
    found.append(plots.codebook_use(runs[0]))
    for part in parts:
        if part.by != "corpus":
            divided = [name for name in names if len(part.of(name)) > 1]
            widest = sorted(divided, key=lambda name: -len(part.of(name)))
            for name in dict.fromkeys([*divided[:1], *widest[:1]]):
                found.append(plots.breakdown(part.by, name, part.of(name)))
    found += detail_plots(runs[0].details, len(runs[0].info.streams))
    return [plot for plot in found if plot is not None]


def _inline(plot: Plot, folder: Path) -> dict[str, Any]:
    from markupsafe import Markup

    prefix = plot.stem.replace("_", "-")
    return {
        "plot": plot,
        "id": f"plot-{prefix}",
        "svg": Markup(inline(save(plot, folder), prefix, plot.finding)),
    }


def _context(
    runs: Sequence[Run],
    names: Sequence[str],
    known: Any,
    parts: Sequence[tables.Breakdown],
    figures: list[dict[str, Any]],
    clips: list[Any],
    heard: Listening,
) -> dict[str, Any]:
    result = runs[0].result
    every = [row for rows in result.tracks.values() for row in rows.values()]
    return {
        "version": __version__,
        "result": result,
        "runs": runs,
        "labels": [run.label for run in runs],
        "original": ORIGINAL,
        "headlines": tables.headlines(runs[0], names, known),
        "columns": tables.METRIC_COLUMNS,
        "tracks": {
            track: tables.metric_lines(rows, known) for track, rows in result.tracks.items()
        },
        "few_speakers": any(row.clusters == "utterance" and row.n for row in every),
        "figures": figures,
        "breakdowns": parts,
        "clips": clips,
        "order": heard.order,
        "notes": heard.notes,
        "failures": result.failures[: tables.MOST_FAILURES],
        "environment": json.dumps(result.environment, indent=1, ensure_ascii=False),
    }
