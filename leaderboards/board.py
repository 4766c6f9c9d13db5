"""What an entry is held against: the suite's utterances, the rows there are, the board's versions.

`boards.json` lists the boards, one for each version of a suite: its digest, the seed, and the
versions of judges, metrics and tracks whose figures may stand in one table. The first version of
a list is the current one; entries with a later one of the list are shown and not ranked.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from pydantic import Field, ValidationError

from bench import registry, tracks
from bench.contracts import MetricInfo, MetricRow, Utterance
from bench.errors import UserError
from bench.leaderboards.entry import suite_folder
from bench.leaderboards.strict import MEGABYTE, Refused, json_of, regular
from bench.results import Closed

BOARDS = Path(__file__).with_name("boards.json")
RESYNTHESIS, TOKENS = "resynthesis", "tokens"
RATES = ("token_rate", "bitrate")


class Policy(Closed):
    """One board of `boards.json`."""

    suite: str = Field(description="a bundled suite, or the path of a suite.yaml from boards.json")
    digest: str = Field(description="of the suite's utterances")
    seed: int = Field(description="the one seed of all entries, so that nobody may pick one")
    judges: dict[str, list[str]] = Field(description="judge → accepted versions")
    optional_judges: list[str] = Field(description="judges whose rows may be empty")
    metrics: dict[str, list[str]] = Field(description="metric → accepted versions")
    tracks: dict[str, list[str]] = Field(description="track on tokens → accepted versions")


class Boards(Closed):
    boards: dict[str, Policy]


@dataclass(frozen=True)
class Facts:
    """A suite without its audio. utterances and tasks: by id, in the order of ids."""

    name: str
    version: str
    digest: str
    utterances: dict[str, Utterance]
    tasks: dict[str, frozenset[str]]

    def of_task(self, task: str) -> list[Utterance]:
        return [u for name, u in self.utterances.items() if task in self.tasks[name]]


@dataclass(frozen=True)
class Known:
    """One row of a table: its track, and for a metric's row the metric it belongs to."""

    track: str
    row: MetricRow
    metric: MetricInfo | None = None
    trials: Any = None

    def expected(self, facts: Facts) -> list[str]:
        """Ids of the utterances that the row scores (of tests, where it has trials)."""
        if self.metric is None:
            return list(facts.utterances)
        return [u.id for u in facts.of_task(self.metric.task)]


@dataclass
class Board:
    """One suite's version with its policy and, loaded when first needed, its utterances."""

    name: str
    policy: Policy
    folder: Path

    @cached_property
    def facts(self) -> Facts:
        """UserError where the suite on this machine is not the board's."""
        from bench.suites.load import load_suite

        beside = self.folder / self.policy.suite
        suite = load_suite(str(beside) if beside.is_file() else self.policy.suite)
        if suite.digest != self.policy.digest or self.name != suite_folder(
            suite.name, suite.version
        ):
            raise UserError(
                f"board {self.name}: the suite on this machine is {suite.name} {suite.version} "
                f"with digest {suite.digest[:12]}, not {self.policy.digest[:12]}"
            )
        utterances = {item.utterance.id: item.utterance for item in suite.items}
        tasks = {item.utterance.id: item.tasks for item in suite.items}
        return Facts(suite.name, suite.version, suite.digest, utterances, tasks)

    @cached_property
    def rows(self) -> dict[tuple[str, str], Known]:
        """(track, row) → what is known of it: built-in metrics and the tracks on tokens."""
        found: dict[tuple[str, str], Known] = {}
        for plugin in registry.plugins("metrics").values():
            if plugin.origin != "built-in":
                continue
            metric = plugin.load()
            if metric.info.name in self.policy.metrics:
                for row in metric.info.rows:
                    known = Known(RESYNTHESIS, row, metric.info, getattr(metric, "trials", None))
                    found[RESYNTHESIS, row.name] = known
        for name in tracks.MODULES:
            for row in tracks.load(name).rows:
                found[name, row.name] = Known(name, row)
        return found

    def required(self, known: Known) -> bool:
        """An entry without a figure in this row is not complete."""
        if not known.row.shown:
            return False
        if known.metric is None:
            return known.row.name in RATES
        return not set(known.metric.judges) & set(self.policy.optional_judges)


def load_boards(path: Path = BOARDS) -> dict[str, Board]:
    """Name → board; UserError where the file is not of that shape."""
    try:
        made = Boards.model_validate(json_of(regular(path, MEGABYTE)), strict=True)
    except Refused as refusal:
        raise UserError(f"{path}: {refusal}") from refusal
    except ValidationError as error:
        first = error.errors()[0]
        raise UserError(f"{path}: {'.'.join(map(str, first['loc']))}: {first['msg']}") from error
    return {name: Board(name, policy, path.parent) for name, policy in made.boards.items()}
