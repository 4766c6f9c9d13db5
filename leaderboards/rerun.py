"""`--rerun N`: encode utterances of an entry again with the installed tokenizer, and compare.

Ids must be equal. Scores must agree as far as another machine lets them: the judges' networks
round differently on another processor, so a few single scores may differ, and their sum may not.
"""

from __future__ import annotations

import hashlib
import math
import tempfile
from dataclasses import dataclass, field, replace
from pathlib import Path

from bench.errors import UserError
from bench.leaderboards.board import RESYNTHESIS, TOKENS, Board
from bench.leaderboards.entry import Entry, hash_of
from bench.leaderboards.names import safe_revision
from bench.leaderboards.rates_check import few

CLOSE = 0.01  # a score agrees within this share of 1 + |score|
SHARE = 0.02  # share of a metric's scores that may not
FEWEST = 1


@dataclass
class Agreement:
    """What a rerun found. utterances, scores: how many agreed; problems: what did not."""

    place: str
    utterances: int = 0
    scores: int = 0
    problems: list[str] = field(default_factory=list)


def choose(names: list[str], count: int, seed: int) -> list[str]:
    """`count` names in an order that only the seed knows."""

    def rank(name: str) -> bytes:
        return hashlib.sha256(f"{seed}\0{name}".encode()).digest()

    return sorted(sorted(names, key=rank)[:count])


def rerun(entry: Entry, board: Board, count: int, *, seed: int, device: str) -> Agreement:
    """Encode and judge `count` utterances, and those that give the codec's delay; compare.

    The tokenizer is the installed one, by name and options: nothing of the entry is run. Raises
    UserError where it is not installed or has other weights than the entry names.
    """
    from bench.codec import Codec
    from bench.collect import collect
    from bench.originals import Originals
    from bench.plan import make_plan
    from bench.progress import Bars, stderr_console
    from bench.run import Pass
    from bench.suites.load import load_suite

    if count < FEWEST:
        raise UserError(f"--rerun wants a number of utterances from {FEWEST} up")
    told = entry.result.tokenizer
    settings = {k: _setting(v) for k, v in told.options.items() if v is not None}
    tracks = [t for t in (RESYNTHESIS, TOKENS) if t in entry.result.tracks]
    plan = make_plan(told.name, settings, device=device, tracks=tracks)
    agreement = Agreement(entry.place)
    if safe_revision(plan.tokenizer.info.revision) != safe_revision(told.weights):
        raise UserError(
            f"{entry.place}: the installed {told.name} has the weights "
            f"{plan.tokenizer.info.revision}, not {told.weights}; get those first"
        )
    plan.token_tracks = ()  # figures of a whole corpus say nothing of a part
    path = board.folder / board.policy.suite
    suite = load_suite(str(path) if path.is_file() else board.policy.suite)
    hashes = {r["utterance"]: r["sha256"] for r in entry.hashes.to_pylist()}
    wanted = set(choose(sorted(hashes), count, seed))
    console = stderr_console()
    with tempfile.TemporaryDirectory() as scratch:
        bars = Bars(console)
        whole = Codec(plan.tokenizer, plan.identity, Originals(suite), Path(scratch), bars, 60.0)
        first = {i for batch in whole.plan()[0] for i in batch}
        whole.close()
        items = tuple(
            item for i, item in enumerate(suite.items) if i in first or item.utterance.id in wanted
        )
        with bars.live():
            measured = Pass(
                plan, replace(suite, items=items), cache=Path(scratch), where=device,
                reporter=bars, batch_seconds=60.0, seed=entry.result.seed,
            ).run()  # fmt: skip
        _compare_ids(measured, hashes, agreement)
        if measured.codec.delay != told.delay_samples:
            agreement.problems.append(
                f"the delay is {measured.codec.delay} samples, not {told.delay_samples}"
            )
        records, _, _ = collect(measured)
        _compare_scores(entry, records, agreement)
        measured.close()
    return agreement


def _setting(value: str | int | float | bool) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _compare_ids(measured: object, hashes: dict[str, str], agreement: Agreement) -> None:
    from bench.run import Measured

    assert isinstance(measured, Measured)
    other = []
    for index in measured.originals.good:
        name = measured.utterance(index).id
        if measured.codec.unencoded(index):
            if name in hashes:
                agreement.problems.append(f"{few([name])} cannot be encoded here")
        elif hash_of(measured.codec.ids(index)) == hashes.get(name):
            agreement.utterances += 1
        else:
            other.append(name)
    if other:
        agreement.problems.append(f"other ids come out for {len(other)}: {few(other)}")


def _compare_scores(entry: Entry, records: list[dict[str, object]], agreement: Agreement) -> None:
    """Scores of the same utterances, metric by metric; trials pair utterances, so they are out."""
    claimed = {
        (r["metric"], r["utterance"]): r["numerator"] / r["denominator"]
        for r in entry.scores.to_pylist()
        if r["track"] == RESYNTHESIS and r["target"] is None and r["denominator"]
    }
    made: dict[str, list[bool]] = {}
    for row in records:
        key = (row["metric"], row["utterance"])
        if row["track"] != RESYNTHESIS or row.get("target") is not None or key not in claimed:
            continue
        score = float(str(row["numerator"])) / float(str(row["denominator"]))
        close = math.isclose(score, claimed[key], abs_tol=CLOSE * (1 + abs(claimed[key])))
        made.setdefault(str(row["metric"]), []).append(close)
    for name, agreed in sorted(made.items()):
        agreement.scores += sum(agreed)
        wrong = len(agreed) - sum(agreed)
        if wrong > max(1, SHARE * len(agreed)):
            agreement.problems.append(f"{name}: {wrong} of {len(agreed)} scores are other ones")
