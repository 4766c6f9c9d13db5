"""Checks of utterances and token counts, and the rates computed from them again."""

from __future__ import annotations

import math
import re
from collections import Counter
from typing import Any

from bench.leaderboards.board import RATES, TOKENS, Facts
from bench.leaderboards.entry import HASHES, RESULT, SCORES, Entry
from bench.leaderboards.identity import Found

SECONDS_SLACK = 0.02
FRAME_SLACK = 2  # ids by which a stream of fixed rate may differ from rate × seconds ...
SHARE_SLACK = 0.02  # ... and the share, for codecs that pad to a longer unit
_SHA256 = re.compile(r"[0-9a-f]{64}")
_LOST = ("load", "encode")
_OWN_STAGE = re.compile(r"load|encode|decode|(?:judge|metric):.*", re.DOTALL)  # not another split's


def few(names: list[str]) -> str:
    """Some names for a sentence: the first three and how many more."""
    shown = ", ".join(ascii(n)[1:-1][:60] for n in names[:3])
    return shown + (f" and {len(names) - 3} more" if len(names) > 3 else "")


def lost(entry: Entry, stages: tuple[str, ...]) -> set[str]:
    """Utterances of the entry's failures at any of the stages."""
    return {f.utterance for f in entry.result.failures if f.stage in stages}


def check_failures(entry: Entry, facts: Facts) -> Found:
    """Failures are of utterances that the suite has."""
    unknown = sorted(
        {
            f.utterance
            for f in entry.result.failures
            if _OWN_STAGE.fullmatch(f.stage) and f.utterance not in facts.utterances
        }
    )
    if unknown:
        yield RESULT, f"failures name utterances that the suite lacks: {few(unknown)}"


def check_utterances(entry: Entry, facts: Facts) -> Found:
    """`token_hashes.parquet` has every utterance of the suite once, and no other."""
    table = entry.hashes.to_pylist()
    names = [row["utterance"] for row in table]
    twice = [n for n, count in Counter(names).items() if count > 1]
    if twice:
        yield HASHES, f"utterances stand twice: {few([str(n) for n in twice])}"
    strange = [str(n) for n in dict.fromkeys(names) if n not in facts.utterances]
    if strange:
        yield HASHES, f"utterances are not of the suite: {few(strange)}"
    missing = sorted(set(facts.utterances) - set(names) - lost(entry, _LOST))
    if missing:
        yield HASHES, f"utterances are missing and no failure tells why: {few(missing)}"
    suite = entry.result.suite
    if suite.utterances != len(facts.utterances):
        yield (
            RESULT,
            (f"suite.utterances is {suite.utterances}; the suite has {len(facts.utterances)}"),
        )
    whole = sum(
        u.seconds for name, u in facts.utterances.items() if name not in lost(entry, ("load",))
    )
    if abs(suite.seconds - whole) > SECONDS_SLACK * max(1, len(facts.utterances)):
        yield RESULT, f"suite.seconds is {suite.seconds:.2f}; the suite has {whole:.2f}"


def check_counts(entry: Entry, facts: Facts) -> Found:
    """Each row of `token_hashes.parquet` can be true."""
    streams = entry.result.tokenizer.streams
    for row in entry.hashes.to_pylist():
        name, seconds, counts = row["utterance"], row["seconds"], row["counts"]
        if name not in facts.utterances:
            continue
        shown = few([name])
        if not _SHA256.fullmatch(row["sha256"] or ""):
            yield HASHES, f"{shown}: its sha256 is none"
        if seconds is None or not math.isfinite(seconds):
            yield HASHES, f"{shown}: its length in seconds is no number"
        elif abs(seconds - facts.utterances[name].seconds) > SECONDS_SLACK:
            yield (
                HASHES,
                (
                    f"{shown}: it has {seconds:.3f} s; the suite's has "
                    f"{facts.utterances[name].seconds:.3f} s"
                ),
            )
        elif not counts or len(counts) != len(streams):
            yield HASHES, f"{shown}: it counts {len(counts or [])} streams, not {len(streams)}"
        else:
            yield from _stream_counts(shown, seconds, counts, streams)


def _stream_counts(shown: str, seconds: float, counts: list[Any], streams: list[Any]) -> Found:
    for stream, count in zip(streams, counts, strict=True):
        if count is None or count < 0:
            yield HASHES, f"{shown}: a stream has the count {count}"
        elif stream.rate is not None:
            wanted = stream.rate * seconds
            if abs(count - wanted) > FRAME_SLACK + SHARE_SLACK * wanted:
                yield (
                    HASHES,
                    (
                        f"{shown}: {count} ids in stream {stream.name!a}, whose rate of "
                        f"{stream.rate:g} Hz makes {wanted:.0f}"
                    ),
                )
                return


def check_rates(entry: Entry) -> Found:
    """Streams' rates and the sums of `token_rate` and `bitrate`, from the counts alone."""
    tokenizer = entry.result.tokenizer
    table = entry.hashes.to_pylist()
    if not table or any(
        r["seconds"] is None or r["counts"] is None or len(r["counts"]) != len(tokenizer.streams)
        for r in table
    ):
        return  # told by `check_counts`
    for at, stream in enumerate(tokenizer.streams):
        if not 1 <= stream.vocabulary <= 2**40:
            yield RESULT, f"stream {stream.name!a} has a vocabulary of {stream.vocabulary}"
            return
        seconds = sum(r["seconds"] for r in table)
        made = sum(r["counts"][at] or 0 for r in table) / seconds if seconds else 0.0
        if not math.isclose(made, stream.measured_rate, rel_tol=1e-6, abs_tol=1e-9):
            yield (
                RESULT,
                (
                    f"tokenizer.streams.{stream.name!a}.measured_rate is "
                    f"{stream.measured_rate:g} Hz; its token counts make {made:g}"
                ),
            )
    if tokenizer.side_info_bits < 0:
        yield RESULT, f"tokenizer.side_info_bits is {tokenizer.side_info_bits:g}"
    yield from _rate_sums(entry, table)


def _rate_sums(entry: Entry, table: list[dict[str, Any]]) -> Found:
    tokenizer = entry.result.tokenizer
    bits = [math.log2(s.vocabulary) for s in tokenizer.streams]
    sums = {
        r["utterance"]: (
            float(sum(r["counts"])),
            math.fsum(c * b for c, b in zip(r["counts"], bits, strict=True))
            + tokenizer.side_info_bits,
            r["seconds"],
        )
        for r in table
    }
    scores = entry.scores.to_pandas()
    for at, name in enumerate(RATES):
        part = scores[(scores["track"] == TOKENS) & (scores["metric"] == name)]
        for row in part.itertuples():
            expected = sums.get(row.utterance)
            if expected is None:
                yield SCORES, f"{name} of {few([row.utterance])} has no token counts"
                return
            if not (
                math.isclose(row.numerator, expected[at], rel_tol=1e-9)
                and math.isclose(row.denominator, expected[2], rel_tol=1e-9)
            ):
                yield (
                    SCORES,
                    (
                        f"{name} of {few([row.utterance])} is {row.numerator:g} in "
                        f"{row.denominator:g} s; its token counts make {expected[at]:g} in "
                        f"{expected[2]:g} s"
                    ),
                )
                return
