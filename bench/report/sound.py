"""The recordings behind a run: from its caches, or decoded again from the ids that it kept.

Originals come from the suite. A resynthesis is what the judges heard: at 16 kHz, its delay
removed. Nothing here changes a run or its caches, save that a judgement that is missing is added.
"""

from __future__ import annotations

import contextlib
import hashlib
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from bench.checks import check_tokens
from bench.codec import Codec
from bench.contracts import AudioBatch, Samples, Tokenizer, TokenizerInfo, Tokens
from bench.errors import ContractError, ItemFailure, UserError
from bench.loading import load_tokenizer
from bench.options import NOT_IDENTITY
from bench.originals import Originals
from bench.progress import Reporter
from bench.registry import plugin
from bench.report.runs import Run
from bench.results import SuiteResult
from bench.store import key_of, pack_tokens
from bench.suites.load import Suite, load_suite

BATCH_SECONDS = 60.0


def find_suite(told: SuiteResult, given: str | None) -> Suite:
    """The utterances of a run, in `given` or else in the bundled suite of its name.

    UserError where there is no such suite, or where its utterances are others.
    """
    suite = load_suite(given or told.name, limit=max(1, told.utterances))
    if suite.digest != told.digest:
        raise UserError(
            f"suite {given or told.name} has other utterances than the run (digest "
            f"{suite.digest[:12]}, not {told.digest[:12]}): name the right one with --suite"
        )
    return suite


def originals_of(suite: Suite, wanted: Sequence[str]) -> Originals:
    """The recordings of some utterances, in the order of `wanted`."""
    items = {item.utterance.id: item for item in suite.items}
    return Originals(replace(suite, items=tuple(items[n] for n in wanted if n in items)))


def cache_of(run: Run) -> Path | None:
    """The folder `.cache` that `bench eval` kept beside the run, where it is still there."""
    for parent in run.folder.resolve().parents[:3]:
        if (parent / ".cache" / "tokens").is_dir():
            return parent / ".cache"
    return None


def plugin_name(run: Run) -> str:
    """Name of the plugin, which a variant starts with."""
    return run.result.tokenizer.variant.partition("@")[0]


class _Stored:
    """Stands for a tokenizer of which only what was stored is read."""

    def __init__(self, info: TokenizerInfo) -> None:
        self.info = info

    def encode(self, batch: AudioBatch) -> list[Tokens]:
        raise ContractError("the tokenizer is not loaded")

    def decode(self, tokens: list[Tokens]) -> list[Samples]:
        raise ContractError("the tokenizer is not loaded")


def resyntheses(
    run: Run, originals: Originals, reporter: Reporter, device: str
) -> tuple[dict[int, Samples], str | None]:
    """Index in `originals` → float32 [L] at 16 kHz; and why some are missing, if some are."""
    found = _cached(run, originals, reporter)
    missing = [i for i in originals.good if i not in found]
    if not missing:
        return found, None
    try:
        with _decoder(run, originals, reporter, device) as codec:
            tokens = run.tokens([originals.items[i].utterance.id for i in missing])
            for i in missing:
                ids = tokens.get(originals.items[i].utterance.id)
                if ids is None:  # its failure is listed in the result
                    continue
                codec.tokens.put({codec.row(i): pack_tokens(check_tokens(ids, codec.info))})
                for ready in codec.process([i]):
                    found[ready] = codec.resynthesis(ready)
    except (UserError, ItemFailure) as error:
        return found, f"{run.label}: no resynthesis to be heard: {error}"
    lost = sorted({*missing} - {*found})
    if lost:
        names = ", ".join(originals.items[i].utterance.id for i in lost)
        return found, f"{run.label}: no resynthesis of {names}; see its failures"
    return found, None


def _cached(run: Run, originals: Originals, reporter: Reporter) -> dict[int, Samples]:
    cache = cache_of(run)
    if cache is None:
        return {}
    try:
        source = plugin("tokenizers", plugin_name(run)).source_file
        identity = {
            "tokenizer": plugin_name(run),
            "options": {
                k: v for k, v in run.result.tokenizer.options.items() if k not in NOT_IDENTITY
            },
            "rate": run.info.sample_rate,
            "device": run.result.environment.get("device", "cpu"),
            "code": hashlib.sha256(source.read_bytes()).hexdigest() if source else "",
        }
        key = key_of(kind="tokens", **identity, revision=run.info.revision)
        if not all((cache / kind / f"{key}.sqlite").is_file() for kind in ("tokens", "audio")):
            return {}
        codec = Codec(_Stored(run.info), identity, originals, cache, reporter, BATCH_SECONDS)
        return _read(codec, run, originals)
    except UserError:  # a plugin that is gone, a damaged cache: the ids are still there
        return {}


def _read(codec: Codec, run: Run, originals: Originals) -> dict[int, Samples]:
    codec.delay = run.result.tokenizer.delay_samples
    found = {}
    try:
        for i in originals.good:
            with contextlib.suppress(ContractError):
                found[i] = codec.resynthesis(i)
    finally:
        codec.close()
    return found


@contextlib.contextmanager
def _decoder(run: Run, originals: Originals, reporter: Reporter, device: str) -> Iterator[Codec]:
    """The run's own tokenizer, with a store that lasts as long as the report is made."""
    told = run.result.tokenizer
    if not run.has("tokens"):
        raise UserError("its tokens.parquet and its cache are gone")
    for key in NOT_IDENTITY & {k for k, v in told.options.items() if v is not None}:
        raise UserError(f"its result sets {key}, a place on a machine")
    tokenizer = _load(run, device)
    with tempfile.TemporaryDirectory() as scratch:
        codec = Codec(tokenizer, {}, originals, Path(scratch), reporter, BATCH_SECONDS)
        codec.delay = told.delay_samples
        try:
            yield codec
        finally:
            codec.close()


def _load(run: Run, device: str) -> Tokenizer:
    told = run.result.tokenizer
    asked = {key: str(value) for key, value in told.options.items() if value is not None}
    loaded = load_tokenizer(plugin_name(run), asked, device)
    streams = [(s.name, s.vocabulary, s.rate) for s in loaded.info.streams]
    if loaded.info.revision != told.weights:
        raise UserError(
            f"the weights here are '{loaded.info.revision}', those of the run '{told.weights}'"
        )
    if streams != [(s.name, s.vocabulary, s.rate) for s in told.streams]:
        raise UserError("the tokenizer here has other streams than the run")
    return loaded.tokenizer
