"""`bench show`: a finished run again, whole or by language, corpus, speaker or heard voices.

Every figure is computed from `scores.parquet`, with the interval that `bench eval` gives.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator
from pathlib import Path

import pandas as pd
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table

from bench import registry, tracks
from bench.contracts import MetricRow
from bench.errors import UserError
from bench.results import Result, Row, read_result
from bench.scores import Spec, aggregate
from bench.show import WIDTH, figure, span
from bench.show import show as show_all

HEARD, UNHEARD = "heard in training", "never heard"


def show_run(arguments: argparse.Namespace) -> int:
    """Print a run; the exit status."""
    folder = Path(arguments.run)
    folder = folder.parent if folder.name == "result.json" else folder
    result = read_result(folder / "result.json")
    console = Console(highlight=False)
    console = console if console.is_terminal else Console(width=WIDTH, highlight=False)
    if arguments.by is None and not arguments.metrics:
        if arguments.json:
            print(json.dumps(result.model_dump(mode="json"), ensure_ascii=False))
        else:
            show_all(result, console, str(folder))
        return 0
    wanted = [name.strip() for name in arguments.metrics.split(",") if name.strip()]
    parts = broken_down(result, folder / "scores.parquet", arguments.by, wanted)
    if arguments.json:
        print(json.dumps({group: {name: row.model_dump(mode="json") for name, row in rows.items()}
                          for group, rows in parts.items()}, ensure_ascii=False))  # fmt: skip
        return 0
    _print(result, parts, console)
    return 0


def broken_down(result: Result, scores: Path, by: str | None, wanted: list[str]
                ) -> dict[str, dict[str, Row]]:  # fmt: skip
    """Group → metric → row. by: "language", "corpus", "speaker", "voices" or None for one group.

    wanted: metrics, all where empty. Raises UserError where the run does not tell what is asked.
    """
    try:
        table = pd.read_parquet(scores)
    except (OSError, ValueError) as error:
        raise UserError(f"{scores} cannot be read: {error}") from error
    known = [name for rows in result.tracks.values() for name in rows]
    for name in wanted:
        if name not in known:
            raise UserError(
                f"this run has no metric '{name}': {registry.did_you_mean(name, known)}"
            )
    _refuse_whole(wanted, table)
    keys = _keys(result, table, by)
    parts: dict[str, dict[str, Row]] = {}
    for group, part in table.groupby(keys, sort=True):
        # A row that counts utterances of the whole task says nothing of a part's failures.
        rows = (pair for pair in rows_of_tracks() if pair[1].name in (wanted or known))
        specs = [Spec(track, row, 0) for track, row in rows]
        made = aggregate(part, specs, result.seed)
        parts[str(group)] = {n: row for rows in made.values() for n, row in rows.items() if row.n}
    return parts


def _refuse_whole(wanted: list[str], table: pd.DataFrame) -> None:
    """UserError for a figure of the whole corpus: no sums of an utterance divide into it."""
    scored = {*table["metric"]}
    for name in wanted:
        if name not in scored:
            raise UserError(
                f"'{name}' has no scores of single utterances, so it has no parts: see it in the "
                "whole run, `bench show RUN`"
            )


def _keys(result: Result, table: pd.DataFrame, by: str | None) -> pd.Series:
    if by is None:
        return pd.Series("all", index=table.index)
    if by != "voices":
        return table[by]
    heard = result.tokenizer.training_speakers
    if heard is None:
        raise UserError(
            f"{result.tokenizer.variant} does not tell which speakers it was trained on; "
            "use --by speaker"
        )
    return table["speaker"].isin(heard).map({True: HEARD, False: UNHEARD})


def rows_of_tracks() -> Iterator[tuple[str, MetricRow]]:
    """Track and row of every shown row of the metrics and tracks that are installed."""
    for plugin in registry.plugins("metrics").values():
        for row in plugin.load().info.rows:
            if row.shown:
                yield "resynthesis", row
    for name in tracks.MODULES:
        for row in tracks.load(name).rows:
            yield name, row


def _print(result: Result, parts: dict[str, dict[str, Row]], console: Console) -> None:
    names = list(dict.fromkeys(name for rows in parts.values() for name in rows))
    suite = result.suite
    table = Table(title=f"{result.tokenizer.variant} on {suite.name} {suite.version}",
                  title_justify="left", title_style="bold", box=SIMPLE_HEAD,
                  pad_edge=False)  # fmt: skip
    for column in ("metric", "of", "value", "95 % interval", "original", "n"):
        table.add_column(column, justify="left" if column in ("metric", "of") else "right")
    for name in names:
        for at, (group, rows) in enumerate(parts.items()):
            row = rows.get(name)
            if row is None:
                continue
            arrow = "↑" if row.higher_is_better else "↓"
            table.add_row(f"{name} {arrow} [dim]{row.unit}[/dim]" if at == 0 else "", group,
                          figure(row.value, row.unit), span(row.ci95, row.unit),
                          figure(row.reference, row.unit),
                          f"{row.n}{'*' if row.clusters == 'utterance' else ''}")  # fmt: skip
        table.add_section()
    console.print(table, crop=False)
    console.print("* too few speakers for an interval over speakers: for these speakers only")
